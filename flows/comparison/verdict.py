"""What a comparison recommends: the best on validation, and the doubt about it."""

from __future__ import annotations

from collections.abc import Sequence

from flows.comparison.course import Standing, rank, train_seconds
from flows.comparison.scores import TOLD as MEASURE_NAMES
from flows.comparison.scores import least_seeds
from flows.comparison.table import LEAST, Cheap, is_unlearnt, least_of

MOST_NAMED = 4


def judged(standings: Sequence[Standing]) -> list[Standing]:
    """Finalists with as many seeds as half of them have; of the others too few luck may speak."""
    finals = [one for one in standings if one.is_final]
    least = least_seeds([one.validation for one in finals])
    return [one for one in finals if one.validation.seeds >= least]


def best_of(standings: Sequence[Standing]) -> Standing:
    """The finalist with the best mean validation score; of equal ones the quickest to train."""
    return min(judged(standings), key=rank)


def is_recommended(best: Standing, cheap: Sequence[Cheap]) -> bool:
    """Whether the best way is better than an answer that looks at no record."""
    return _unbeaten(best, cheap) is None


def rivals(standings: Sequence[Standing]) -> list[Standing]:
    """Finalists that the best one cannot be told from, the better ones first."""
    best = best_of(standings)
    found = [
        one
        for one in judged(standings)
        if one is not best and not best.validation.is_distinguishable(one.validation)
    ]
    return sorted(found, key=rank)


def told(standings: Sequence[Standing], cheap: Sequence[Cheap]) -> str:
    """The recommendation with its reason, and its doubt: two sentences.

    Args:
        standings: of all strategies.
        cheap: the baselines, the best first.
    """
    best = best_of(standings)
    return f"{_reason(best, standings, cheap)}. {_doubt(best, standings, cheap)}."


def _reason(best: Standing, standings: Sequence[Standing], cheap: Sequence[Cheap]) -> str:
    low, high = best.validation.interval
    seeds = best.validation.seeds
    name, measure = best.entry.name, MEASURE_NAMES[best.validation.measure]
    text = (
        f"the best validation {measure}, {best.validation.shown:.3f} ({low:.3f} to {high:.3f}), "
        f"over {seeds} seed{'s' if seeds > 1 else ''}"
    )
    least = _unbeaten(best, cheap)
    if least is not None:
        return (
            f"**No way is clearly better than {least.name}**, which gives {least.score:.3f}: "
            f"{name} has {text}"
        )
    text = f"Use **{name}** ({best.entry.told}): it has {text}"
    full = next((one for one in standings if one.entry.name == "full" and one.is_final), None)
    if full is not None and full is not best:
        text += f", where whole records give {full.validation.shown:.3f}"
    return text


def _doubt(best: Standing, standings: Sequence[Standing], cheap: Sequence[Cheap]) -> str:
    others, records = rivals(standings), best.validation.records
    size = f"at this size ({records:,} validation records)"
    finals = len(judged(standings))
    if finals == 1:
        text = f"Nothing else was trained in full, so it beats nothing {size}"
    elif min(one.validation.seeds for one in judged(standings)) == 1:
        text = f"One seed cannot tell luck of a training from a better way {size}"
    elif others:
        text = f"It is not distinguishable from {_names(others)} {size}"
        low, high = best.validation.interval
        near = [one for one in others if low <= one.validation.shown <= high]
        quick = min(near, key=train_seconds, default=best)
        if train_seconds(quick) < 0.8 * train_seconds(best):
            ratio = train_seconds(best) / max(train_seconds(quick), 1e-9)
            text += f", of which {quick.entry.name} trains {ratio:.1f} times as fast"
    else:
        rest = "the other one" if finals == 2 else f"the {finals - 1} others"
        text = f"It is distinguishable from {rest} trained in full {size}"
    strong = next(
        (one for one in cheap if one.name not in LEAST and not best.validation.beats(one.score)),
        None,
    )
    if strong is not None:
        text += f", and not clearly better than the cheap baseline {strong.name}"
        text += f" ({strong.score:.3f})"
    unjudged = [one for one in standings if one.is_final and one not in judged(standings)]
    if unjudged:
        text += f"; of {_names(unjudged)} fewer seeds came to their end, too few to judge by"
    unlearnt = _unlearnt(standings, cheap)
    if 2 * unlearnt >= len(standings):
        text += (
            f"; {unlearnt} of the {len(standings)} ways had learnt nothing yet, and may where "
            "--minutes allows more"
        )
    return text


def _unlearnt(standings: Sequence[Standing], cheap: Sequence[Cheap]) -> int:
    """How many ways end no better than an answer that looks at no record."""
    least = least_of(cheap)
    if least is None:
        return 0
    return sum(
        is_unlearnt(one.validation.shown, least, measure=one.validation.measure)
        for one in standings
    )


def _unbeaten(best: Standing, cheap: Sequence[Cheap]) -> Cheap | None:
    """The baseline that looks at no record, where the best way is not better."""
    least = least_of(cheap)
    return None if least is None or best.validation.beats(least.score) else least


def _names(others: Sequence[Standing]) -> str:
    names = [one.entry.name for one in others[:MOST_NAMED]]
    more = len(others) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
