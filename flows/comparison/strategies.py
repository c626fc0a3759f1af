"""The ways of handling long sequences that a comparison tries: one entry each of STRATEGIES.

A strategy starts from the plain pipeline (see `applied.plain`): the person's split, tokens, sizes
and optimiser, without any step or front that shortens a record. It adds steps to the recipe or
changes keys of the training. Whether it fits a domain and a task is decided by the pipeline file's
own checks; here stands only what those cannot know.
"""

from __future__ import annotations

from collections.abc import Callable

from flows.comparison.strategy import Case, Found, Strategy

LEAST_VOCABULARY = 256
"""Distinct tokens below which there are no rare ends to cut."""
_ONE_DIRECTION = {"model.bidirectional": False}


def _full(case: Case) -> Found:
    told = "whole records, backpropagation over all steps"
    return Strategy(name="full", family="as they are", told=told)


def _exact(case: Case) -> Found:
    told = "whole records, the same gradient recomputed in segments with less memory"
    train = {"backpropagation": {"mode": "exact"}}
    return Strategy(name="exact", family="as they are", told=told, train=train)


def _truncate(keep: str, told: str) -> Callable[[Case], Found]:
    def make(case: Case) -> Found:
        return Strategy(
            name=f"truncate-{keep.replace('_', '-')}",
            family="truncate",
            told=told.format(case.cut),
            steps=({"truncate": {"length": case.cut, "keep": keep}},),
        )

    return make


def _summarize(name: str, told: str, **rules: int | float) -> Callable[[Case], Found]:
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


def _informative(by: str, told: str) -> Callable[[Case], Found]:
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


def _random_steps(case: Case) -> Found:
    return Strategy(
        name="random-steps",
        family="sample",
        told=f"{case.cut} random steps of each record, drawn once",
        steps=({"remove_steps": {"length": case.cut}},),
    )


def _random_steps_views(case: Case) -> Found:
    return Strategy(
        name="random-steps-each-epoch",
        family="augment",
        told=f"{case.cut} other random steps in every epoch; scored on whole records",
        steps=({"remove_steps": {"length": case.cut, "when": "train"}},),
    )


def _random_pieces(case: Case) -> Found:
    piece = max(2, case.cut // 4)
    return Strategy(
        name="random-pieces",
        family="sample",
        told=f"4 random pieces of {piece} steps, joined in order, drawn once",
        steps=({"subsequences": {"pieces": 4, "piece": piece}},),
    )


def _random_pieces_views(case: Case) -> Found:
    return Strategy(
        name="random-piece-each-epoch",
        family="augment",
        told=f"another random piece of {case.cut} steps in every epoch; scored on whole records",
        steps=({"subsequences": {"pieces": 1, "piece": case.cut, "when": "train"}},),
    )


def _last_k(case: Case) -> Found:
    return Strategy(
        name="last-k",
        family="truncated backpropagation",
        told=f"whole records, gradient through the last {case.cut} steps, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "last_k", "k": case.cut}},
    )


def _segments(case: Case) -> Found:
    return Strategy(
        name="segments",
        family="truncated backpropagation",
        told=f"segments of {case.cut} steps with carried state, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "segments", "k1": case.cut}},
    )


def _schedule(case: Case) -> Found:
    return Strategy(
        name="segment-schedule",
        family="truncated backpropagation",
        told="segments that grow from short ones to the whole record, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "segments", "schedule": "auto"}},
    )


def _windows(case: Case) -> Found:
    return Strategy(
        name="windows",
        family="windows",
        told=f"windows of {case.cut} steps by themselves, their predictions averaged",
        steps=({"windows": {"length": case.cut}},),
    )


def _hierarchical(case: Case) -> Found:
    return Strategy(
        name="hierarchical",
        family="model",
        told=f"an LSTM over chunks of {case.chunk} steps, another over the chunks",
        train={"model.name": "hierarchical", "model.chunk": case.chunk},
    )


def _attention(case: Case) -> Found:
    told = "states of all steps pooled by attention"
    return Strategy(
        name="attention", family="model", told=told, train={"model.pooling": ["attention"]}
    )


def _split(case: Case) -> Found:
    told = "two LSTMs, each on one half of the record"
    train = {"model.name": "split", "model.parts": 2}
    return Strategy(name="split", family="model", told=told, train=train)


def _parallel(case: Case) -> Found:
    told = "4 parts of the record side by side as features"
    return Strategy(
        name="parallel-parts", family="model", told=told, train={"model.front": {"parallel": 4}}
    )


def _strided(case: Case) -> Found:
    conv = {"channels": max(32, case.hidden), "kernel": 8, "stride": 4}
    return Strategy(
        name="strided-convolution",
        family="project",
        told="a strided convolution before the LSTM: a quarter of the steps",
        train={"model.front": {"conv": [conv]}},
    )


def _block_means(case: Case) -> Found:
    return Strategy(
        name="block-means",
        family="project",
        told="means of 4 steps: a quarter of the steps",
        steps=({"block_means": {"block": 4}},),
    )


def _projection(case: Case) -> Found:
    if case.unit != "value":
        return "a random projection is of values"
    features = min(32, 4 * case.channels)
    return Strategy(
        name="random-projection",
        family="project",
        told=f"8 steps projected at random to {features} numbers, every fourth step",
        steps=({"project": {"window": 8, "stride": 4, "features": features}},),
    )


def _hashing(case: Case) -> Found:
    return Strategy(
        name="hashing",
        family="hash",
        told="pairs of tokens in blocks of 16, hashed to 128 counts: a sixteenth of the steps",
        steps=({"hash": {"n": 2, "block": 16, "features": 128}},),
    )


def _spectrum(case: Case) -> Found:
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


def _sax(case: Case) -> Found:
    return Strategy(
        name="sax",
        family="encode",
        told="a letter of 8 for each 4 steps of the normalised signal",
        steps=({"sax": {"block": 4, "alphabet": 8}},),
    )


def _min_lstm(case: Case) -> Found:
    told = "a recurrent layer without hidden-to-hidden weights, computed in parallel"
    return Strategy(name="min-lstm", family="model", told=told, train={"model.name": "min_lstm"})


STRATEGIES: dict[str, Callable[[Case], Found]] = {
    "full": _full,
    "exact": _exact,
    "truncate-head": _truncate("head", "the first {} steps"),
    "truncate-tail": _truncate("tail", "the last {} steps"),
    "truncate-head-tail": _truncate("head_tail", "the first and the last of {} steps"),
    "summarize-light": _summarize(
        "summarize-light",
        "without the 20 most frequent tokens and those in one record only",
        drop_top=20,
        min_records=2,
    ),
    "summarize-both-ends": _summarize(
        "summarize-both-ends",
        "without the 100 most frequent tokens and those in fewer than 5 records",
        drop_top=100,
        min_records=5,
    ),
    "summarize-rare": _summarize(
        "summarize-rare",
        "without tokens in more than a tenth of the records or in fewer than 3",
        max_share=0.1,
        min_records=3,
    ),
    "mutual-information": _informative(
        "mutual_information", "the {} tokens that tell most about the class"
    ),
    "random-steps": _random_steps,
    "random-steps-each-epoch": _random_steps_views,
    "random-pieces": _random_pieces,
    "random-piece-each-epoch": _random_pieces_views,
    "last-k": _last_k,
    "segments": _segments,
    "segment-schedule": _schedule,
    "windows": _windows,
    "hierarchical": _hierarchical,
    "attention": _attention,
    "split": _split,
    "parallel-parts": _parallel,
    "strided-convolution": _strided,
    "block-means": _block_means,
    "random-projection": _projection,
    "spectrum": _spectrum,
    "sax": _sax,
    "hashing": _hashing,
    "min-lstm": _min_lstm,
}
"""By name, in the order of the table."""
