"""Strategies that leave the rows as they are, and change the model or how it learns."""

from __future__ import annotations

from flows.comparison.strategy import Case, Found, Strategy

_ONE_DIRECTION = {"model.bidirectional": False}


def full(case: Case) -> Found:
    """Whole records; the others are held against it."""
    told = "whole records, backpropagation over all steps"
    return Strategy(name="full", family="as they are", told=told)


def exact(case: Case) -> Found:
    """The same gradient with less memory."""
    told = "whole records, the same gradient recomputed in segments with less memory"
    train = {"backpropagation": {"mode": "exact"}}
    return Strategy(name="exact", family="as they are", told=told, train=train)


def last_k(case: Case) -> Found:
    """Gradient through the last steps only."""
    return Strategy(
        name="last-k",
        family="truncated backpropagation",
        told=f"whole records, gradient through the last {case.cut} steps, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "last_k", "k": case.cut}},
    )


def segments(case: Case) -> Found:
    """Updates inside a record, its state carried on."""
    return Strategy(
        name="segments",
        family="truncated backpropagation",
        told=f"segments of {case.cut} steps with carried state, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "segments", "k1": case.cut}},
    )


def schedule(case: Case) -> Found:
    """Segments that grow."""
    return Strategy(
        name="segment-schedule",
        family="truncated backpropagation",
        told="segments that grow from short ones to the whole record, one direction",
        train={**_ONE_DIRECTION, "backpropagation": {"mode": "segments", "schedule": "auto"}},
    )


def hierarchical(case: Case) -> Found:
    """An LSTM over chunks and one over their states."""
    return Strategy(
        name="hierarchical",
        family="model",
        told=f"an LSTM over chunks of {case.chunk} steps, another over the chunks",
        train={"model.name": "hierarchical", "model.chunk": case.chunk},
    )


def attention(case: Case) -> Found:
    """Pooling by attention."""
    told = "states of all steps pooled by attention"
    return Strategy(
        name="attention", family="model", told=told, train={"model.pooling": ["attention"]}
    )


def split(case: Case) -> Found:
    """An LSTM for each half."""
    told = "two LSTMs, each on one half of the record"
    train = {"model.name": "split", "model.parts": 2}
    return Strategy(name="split", family="model", told=told, train=train)


def parallel(case: Case) -> Found:
    """Parts of the record side by side."""
    told = "4 parts of the record side by side as features"
    return Strategy(
        name="parallel-parts", family="model", told=told, train={"model.front": {"parallel": 4}}
    )


def strided(case: Case) -> Found:
    """A strided convolution before the LSTM."""
    conv = {"channels": max(32, case.hidden), "kernel": 8, "stride": 4}
    return Strategy(
        name="strided-convolution",
        family="project",
        told="a strided convolution before the LSTM: a quarter of the steps",
        train={"model.front": {"conv": [conv]}},
    )


def min_lstm(case: Case) -> Found:
    """MinLSTM instead of the LSTM."""
    told = "a recurrent layer without hidden-to-hidden weights, computed in parallel"
    return Strategy(name="min-lstm", family="model", told=told, train={"model.name": "min_lstm"})


def chunks(case: Case) -> Found:
    """Overlapping chunks by themselves, their states averaged."""
    overlap = case.cut // 4
    told = f"chunks of {case.cut} steps side by side, {overlap} of them shared, states averaged"
    train = {"model.name": "chunks", "model.chunk": case.cut, "model.overlap": overlap}
    return Strategy(name="chunks", family="windows", told=told, train=train)


def codes(case: Case) -> Found:
    """An autoencoder's codes instead of the steps (M7)."""
    if case.task not in ("classify", "regress"):
        return "codes stand for blocks of steps, and each step needs an answer of its own"
    told = f"an autoencoder's code for each {case.chunk} steps, learnt first without labels"
    return Strategy(
        name="autoencoder-codes",
        family="autoencoder",
        told=told,
        pretraining="codes",
        autoencoder={"code_every": case.chunk},
    )


def encoder_start(case: Case) -> Found:
    """Training that begins from an autoencoder's encoder (M7)."""
    return Strategy(
        name="encoder-start",
        family="autoencoder",
        told="whole records; front and core are those of an autoencoder that was learnt first",
        pretraining="encoder",
        # An autoencoder of its own: trained at the same time as that of the codes, one with the
        # same options would be the same run.
        autoencoder={"code_every": case.chunk + 1},
    )
