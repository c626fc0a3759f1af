"""Which length is named, on literal scores of records."""

from __future__ import annotations

import numpy as np

from flows.comparison.scores import Score, score
from flows.length_study.verdict import decide, told

NAMES = {
    8: "the last 8 steps",
    16: "the last 16 steps",
    32: "the last 32 steps",
    64: "whole records",
}


def right(share: float, *, seeds: int = 3, records: int = 200, place: int = 0) -> Score:
    """So many right answers of each seed, the same records first."""
    row = (np.arange(records) < round(share * records)).astype(np.float64)
    return score("accuracy", np.tile(row, (seeds, 1)), place=place)


def scores_of(*shares: float) -> dict[int, Score]:
    pairs = zip(NAMES, shares, strict=True)
    return {steps: right(share, place=n) for n, (steps, share) in enumerate(pairs)}


def said(scores: dict[int, Score], chance: float = 0.5) -> str:
    decision = decide(scores, chance=chance)
    return told(decision, scores, names=NAMES, cost="", beside="")


def test_the_shortest_within_the_interval_of_the_best_is_named() -> None:
    """Would break if the best itself were named, or the first one whatever its score."""
    found = decide(scores_of(0.5, 0.6, 0.89, 0.9), chance=0.5)
    assert (found.best, found.shortest, found.outside) == (64, 32, ())


def test_of_equal_scores_the_shorter_is_the_best() -> None:
    """Would break if steps that tell nothing were paid for."""
    assert decide(scores_of(0.5, 0.9, 0.9, 0.9), chance=0.5).best == 16


def test_a_longer_length_that_learns_badly_is_said() -> None:
    """Would break if a fall behind the named length went unsaid."""
    scores = scores_of(0.5, 0.9, 0.6, 0.55)
    assert decide(scores, chance=0.5).outside == (32, 64)
    assert "the last 32 steps, whole records, though longer, lie outside of it" in said(scores)


def test_a_length_with_fewer_seeds_is_not_judged() -> None:
    """Would break if the longest won, or the shortest was named, by one lucky seed."""
    scores = scores_of(0.9, 0.6, 0.8, 0.95)
    scores |= {8: right(0.9, seeds=1), 64: right(0.95, seeds=1, place=3)}
    decision = decide(scores, chance=0.5)
    assert (decision.best, decision.shortest, decision.unjudged) == (32, 32, (8, 64))
    wanted = "of the last 8 steps, whole records fewer seeds came to their end"
    assert wanted in said(scores)


def test_the_best_lies_in_its_own_interval() -> None:
    """Would break if rounding put a perfect score outside of what it says of itself."""
    for records in range(6, 200):
        best = right(1.0, records=records)
        assert decide({8: right(0.1, records=records), 64: best}, chance=0.0).outside == ()


def test_chance_is_not_a_finding() -> None:
    """Would break if a study of noise named a length."""
    scores = scores_of(0.5, 0.52, 0.48, 0.51)
    assert decide(scores, chance=0.5).is_chance
    assert decide(scores_of(0.5, 0.4, 0.3, 0.2), chance=0.8).is_chance
    assert said(scores).startswith("**No length tells more than chance here**")


def test_a_named_length_that_may_be_chance_is_said() -> None:
    """Would break if a wide interval of few records made a length enough without a warning."""
    few = {8: right(0.6, records=8), 16: right(0.9, records=8, place=1)}
    assert decide(few, chance=0.4).shortest == 8
    assert "the last 8 steps alone do not leave chance behind" in said(few, chance=0.4)


def test_smaller_errors_are_better() -> None:
    """Would break if of numbers the worst length were named."""
    errors = {8: 4.0, 16: 1.0, 32: 0.99}
    scores = {
        steps: score("rmse", -np.full((2, 50), error), place=n)
        for n, (steps, error) in enumerate(errors.items())
    }
    found = decide(scores, chance=3.0)
    assert (found.best, found.shortest, found.is_chance) == (32, 32, False)


def test_the_verdict_is_two_sentences_with_the_doubt() -> None:
    """Would break if a reader were not told how sure it is."""
    text = said(scores_of(0.5, 0.6, 0.89, 0.9))
    assert text == (
        "**The last 32 steps are enough**: their validation accuracy, 0.890 (0.845 to 0.930), lies "
        "within the interval of the best, 0.900 (0.855 to 0.940) of whole records, over 3 seeds. "
        "The doubt: the interval is of 200 validation records; the last 16 steps, the next shorter "
        "length, have 0.600, outside of it."
    )


def test_the_longest_is_needed_where_it_alone_is_good() -> None:
    """Would break if whole records were called enough."""
    assert said(scores_of(0.5, 0.5, 0.5, 0.9)).startswith("**Whole records are needed**")
    cut_off = {8: right(0.5), 16: right(0.9, place=1)}
    assert "nothing longer was tried" in said(cut_off)
    assert "nothing shorter was tried" in said(scores_of(0.9, 0.9, 0.9, 0.9))
