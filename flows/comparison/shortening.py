"""Strategies that change the rows: what shortens a record before a model reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flows.comparison.strategy import Case, Found, Strategy

LEAST_VOCABULARY = 256
"""Distinct tokens below which there are no rare ends to cut."""
MOST_SYMBOLS, FEWEST_LETTERS = 4096, 3
"""Different tokens that letters of all channels may make, and letters that still tell a shape."""
TAU = 1.0
"""Nats by which a token's IDF must differ from the reference's."""


def truncate(keep: str, told: str) -> Callable[[Case], Found]:
    """One part of each record, of `case.cut` steps."""

    def make(case: Case) -> Found:
        return Strategy(
            name=f"truncate-{keep.replace('_', '-')}",
            family="truncate",
            told=told.format(case.cut),
            steps=({"truncate": {"length": case.cut, "keep": keep}},),
        )

    return make


def summarize(name: str, told: str, **rules: int | float) -> Callable[[Case], Found]:
    """Without the tokens that are the most or the least frequent."""

    def make(case: Case) -> Found:
        if few := _few_tokens(case):
            return few
        steps = ({"summarize": dict(rules)},)
        return Strategy(name=name, family="summarise", told=told, steps=steps)

    return make


def _few_tokens(case: Case) -> str | None:
    if case.vocab_size is None:
        return "values have no frequency"
    if case.vocab_size < LEAST_VOCABULARY:
        return f"{case.vocab_size} distinct tokens have no rare end to cut"
    return None


def informative(by: str, told: str) -> Callable[[Case], Found]:
    """The tenth of the tokens that tells most about the label."""

    def make(case: Case) -> Found:
        if few := _few_tokens(case):
            return few
        assert case.vocab_size is not None
        keep = max(LEAST_VOCABULARY // 2, case.vocab_size // 10)
        return Strategy(
            name=by.replace("_", "-"),
            family="summarise",
            told=told.format(keep),
            steps=({"usefulness": {"by": by, "keep": keep}},),
        )

    return make


def random_steps(case: Case) -> Found:
    """Random steps, the same in every epoch."""
    return Strategy(
        name="random-steps",
        family="sample",
        told=f"{case.cut} random steps of each record, drawn once",
        steps=({"remove_steps": {"length": case.cut}},),
    )


def random_steps_views(case: Case) -> Found:
    """Random steps as augmentation."""
    return Strategy(
        name="random-steps-each-epoch",
        family="augment",
        told=f"{case.cut} other random steps in every epoch; scored on whole records",
        steps=({"remove_steps": {"length": case.cut, "when": "train"}},),
    )


def random_pieces(case: Case) -> Found:
    """Random contiguous pieces, the same in every epoch."""
    piece = max(2, case.cut // 4)
    return Strategy(
        name="random-pieces",
        family="sample",
        told=f"4 random pieces of {piece} steps, joined in order, drawn once",
        steps=({"subsequences": {"pieces": 4, "piece": piece}},),
    )


def random_pieces_views(case: Case) -> Found:
    """A random contiguous piece as augmentation."""
    return Strategy(
        name="random-piece-each-epoch",
        family="augment",
        told=f"another random piece of {case.cut} steps in every epoch; scored on whole records",
        steps=({"subsequences": {"pieces": 1, "piece": case.cut, "when": "train"}},),
    )


def windows(case: Case) -> Found:
    """Windows whose predictions are pooled."""
    return Strategy(
        name="windows",
        family="windows",
        told=f"windows of {case.cut} steps by themselves, their predictions averaged",
        steps=({"windows": {"length": case.cut}},),
    )


def block_means(case: Case) -> Found:
    """Means of neighbouring steps."""
    if case.unit != "value":
        return "means are of values"
    return Strategy(
        name="block-means",
        family="project",
        told="means of 4 steps: a quarter of the steps",
        steps=({"block_means": {"block": 4}},),
    )


def projection(case: Case) -> Found:
    """A random projection of windows of values."""
    if case.unit != "value":
        return "a random projection is of values"
    features = min(32, 4 * case.channels)
    return Strategy(
        name="random-projection",
        family="project",
        told=f"8 steps projected at random to {features} numbers, every fourth step",
        steps=({"project": {"window": 8, "stride": 4, "features": features}},),
    )


def hashing(case: Case) -> Found:
    """Hashed n-grams of blocks of tokens."""
    if case.unit == "value":
        return "values are no tokens that make pairs"
    return Strategy(
        name="hashing",
        family="hash",
        told="pairs of tokens in blocks of 16, hashed to 128 counts: a sixteenth of the steps",
        steps=({"hash": {"n": 2, "block": 16, "features": 128}},),
    )


def spectrum(case: Case) -> Found:
    """The power spectrum of windows of a signal."""
    if case.rate_hz is None or case.unit != "value":
        return "a spectrum is of a signal with a known rate"
    window_s = 128 / case.rate_hz
    options = {"window_s": window_s, "stride_s": window_s / 2, "max_hz": min(40, case.rate_hz / 4)}
    return Strategy(
        name="spectrum",
        family="project",
        told=f"log power of windows of 128 steps, every 64th, up to {options['max_hz']:.3g} Hz",
        steps=({"spectrum": options},),
    )


def sax(case: Case) -> Found:
    """Letters for the means of a normalised signal; of several channels they are one token."""
    if case.unit != "value":
        return "letters of a signal are of values"
    letters = min(8, int(MOST_SYMBOLS ** (1 / max(1, case.channels)) + 1e-9))
    if letters < FEWEST_LETTERS:
        return (
            f"even {FEWEST_LETTERS} letters of {case.channels} channels are more than "
            f"{MOST_SYMBOLS:,} different tokens"
        )
    each = " and channel" if case.channels > 1 else ""
    return Strategy(
        name="sax",
        family="encode",
        told=f"a letter of {letters} for each 4 steps{each} of the normalised signal",
        steps=({"sax": {"block": 4, "alphabet": letters}},),
    )


def idf(case: Case) -> Found:
    """The tokens that are more or less frequent here than in other text (P4)."""
    if few := _few_tokens(case):
        return few
    if case.reference is None:
        return (
            "needs a table of tokens of other text: name one with --reference (`seqprep "
            "frequencies OTHER.yaml --out TABLE.parquet` writes it from the training rows of "
            "another dataset)"
        )
    table = Path(case.reference).name
    told = f"the tokens whose IDF differs by {TAU:g} nat or more from that in {table}"
    steps = ({"idf": {"reference": case.reference, "tau": TAU}},)
    return Strategy(name="idf", family="summarise", told=told, steps=steps)
