"""Which options mean something for which task, model and data; the others are refused.

A key that is read and then ignored trains another model than was asked for. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from models.checks import JobError
from models.config import Optimizer, Train
from models.model_config import Model

Kind = Literal["tokens", "values"]

SELECTABLE: dict[str, tuple[str, ...]] = {
    "classify": ("loss", "accuracy", "macro_f1"),
    "label_steps": ("loss", "accuracy", "macro_f1"),
    "regress": ("loss", "rmse"),
    "regress_steps": ("loss", "rmse"),
    "translate": ("loss", "token_accuracy"),
    "next": ("loss", "token_accuracy"),
    "reconstruct": ("loss",),
}
"""Figures of each task that the best epoch can be chosen by."""


_OF_RECORDS, _OF_STEPS = ("classify", "regress"), ("label_steps", "regress_steps")
TASKS: dict[str, tuple[str, ...]] = {
    "lstm": (*_OF_RECORDS, *_OF_STEPS),
    "min_lstm": (*_OF_RECORDS, *_OF_STEPS),
    "chunks": (*_OF_RECORDS, *_OF_STEPS),
    "hierarchical": _OF_RECORDS,
    "split": _OF_RECORDS,
    "encoder_decoder": ("translate",),
    "autoencoder": ("reconstruct",),
    "next_symbol": ("next",),
}
"""What each model learns."""
CARRIED = ("lstm", "min_lstm", "next_symbol")
"""Models that are read segment by segment with the state handed on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """What an option is judged by."""

    train: Train
    task: str
    kind: Kind
    has_validation: bool

    def names(self, *names: str) -> bool:
        """Whether the model is one of these."""
        return self.train.model.name in names

    @property
    def pools(self) -> bool:
        return self.task in _OF_RECORDS


def _only(*names: str) -> tuple[Callable[[_Case], bool], str]:
    return lambda case: case.names(*names), f"model.name: {' or '.join(names)}"


_MEANING: dict[str, tuple[Callable[[_Case], bool], str]] = {
    "model.input": (lambda case: case.kind == "tokens", "tokens; these sequences are values"),
    "model.embedding": (
        lambda case: (
            case.names("encoder_decoder")
            or (case.kind == "tokens" and case.train.model.input == "embedding")
        ),
        "tokens with `input: embedding`, or model.name: encoder_decoder",
    ),
    "model.noise": (
        lambda case: not case.names("encoder_decoder", "autoencoder"),
        "another model.name than encoder_decoder and autoencoder",
    ),
    "model.pooling": (lambda case: case.pools, "task classify or regress"),
    "model.attention": _only("encoder_decoder"),
    "model.beam": _only("encoder_decoder"),
    "model.teacher_forcing": _only("encoder_decoder"),
    "model.max_target": _only("encoder_decoder"),
    "model.parts": _only("split"),
    "model.merge": _only("split"),
    "model.second_backwards": _only("split"),
    "model.chunk": _only("hierarchical", "chunks"),
    "model.overlap": _only("chunks"),
    "model.upper_hidden": _only("hierarchical"),
    "model.lower_pooling": _only("hierarchical"),
    "model.code_every": _only("autoencoder"),
    "model.continuation": _only("next_symbol"),
    "model.temperature": (
        lambda case: case.names("next_symbol") and case.train.model.continuation > 0,
        "model.name: next_symbol with a continuation",
    ),
    "optimizer.momentum": (
        lambda case: case.train.optimizer.name in ("sgd", "rmsprop"),
        "optimizer.name: sgd or rmsprop",
    ),
    "class_weights": (
        lambda case: case.task in ("classify", "label_steps"),
        "task classify or label_steps",
    ),
    "label_smoothing": (
        lambda case: case.task in ("classify", "label_steps", "translate", "next"),
        "task classify, label_steps, translate or next",
    ),
    "early_stopping": (lambda case: case.has_validation, "validation rows; the split has none"),
    "select_by": (lambda case: case.has_validation, "validation rows; the split has none"),
}
"""Keys under `train` -> when a value beside the default means something, and what that needs."""


def check_task(name: str, task: str) -> None:
    """Refuse a task that a model does not learn.

    Raises:
        JobError: naming the models that do.
    """
    if task not in TASKS[name]:
        able = [other for other, tasks in TASKS.items() if task in tasks]
        raise JobError(
            f"train.model.name: {name} does not learn task {task!r} (it does "
            f"{', '.join(TASKS[name])}); choose {' or '.join(able)}, or change source.task"
        )


def front_stride(model: Model) -> int:
    """How many input steps the front makes one."""
    return model.front.parallel * math.prod(conv.stride for conv in model.front.conv)


def check_keeps_steps(model: Model, task: str) -> None:
    """Refuse a front that shortens where each step needs an output of its own.

    Raises:
        JobError: naming the front's options.
    """
    stride = front_stride(model)
    if stride > 1:
        raise JobError(
            f"task {task!r} needs an output for each step, but train.model.front leaves one of "
            f"{stride} steps (parallel x strides of conv: a stride of {stride} in all); set "
            "parallel and every stride to 1"
        )


def check_foretells(model: Model, *, tokens: bool) -> None:
    """Refuse what would see the symbol that is to be foretold, or has none.

    Raises:
        JobError: naming the option.
    """
    if not tokens:
        raise JobError(
            "task 'next' foretells tokens, and these sequences are values; make them tokens, e.g. "
            "by prepare.tokens: {unit: symbol}, or choose task reconstruct"
        )
    if model.front.conv or model.front.parallel > 1:
        raise JobError(
            "train.model.front: next_symbol would see in conv or parallel the steps that it has "
            "to foretell; remove them"
        )
    if model.bidirectional:
        raise JobError(
            "train.model.bidirectional: true, but next_symbol would see in the other direction "
            "what it has to foretell; set bidirectional: false"
        )


def check_codes(model: Model) -> None:
    """Refuse codes of blocks of steps that the front tears apart.

    Raises:
        JobError: naming the options.
    """
    every = model.code_every
    if every is None:
        return
    stride = front_stride(model)
    if every % stride:
        raise JobError(
            f"train.model.code_every must be a multiple of the front's stride ({stride}), got "
            f"{every}; try {max(1, round(every / stride)) * stride}"
        )
    if model.front.parallel > 1 and model.front.layout == "contiguous":
        raise JobError(
            "train.model.code_every needs neighbouring steps side by side, but front.layout: "
            "contiguous puts distant ones there; choose layout: interleaved"
        )


def check_fits(train: Train, *, task: str, kind: Kind, has_validation: bool) -> None:
    """Refuse options that would be ignored or can not be met, before any work starts.

    Args:
        train: the options.
        task: what is learnt.
        kind: of the inputs.
        has_validation: whether the split leaves validation rows.

    Raises:
        JobError: naming the first such key, its value, and what it needs.
    """
    check_task(train.model.name, task)
    if task in _OF_STEPS:
        check_keeps_steps(train.model, task)
    if task == "next":
        check_foretells(train.model, tokens=kind == "tokens")
    if task == "reconstruct":
        check_codes(train.model)
    if train.select_by not in SELECTABLE[task]:
        raise JobError(
            f"train.select_by: {train.select_by} is not a figure of task {task!r}; choose from "
            f"{', '.join(SELECTABLE[task])}"
        )
    case = _Case(train=train, task=task, kind=kind, has_validation=has_validation)
    for key, (means_something, needed) in _MEANING.items():
        value, default = _value(train, key)
        if value != default and not means_something(case):
            raise JobError(
                f"train.{key}: {value!r} would be ignored: it needs {needed}; leave it at "
                f"{default!r}"
            )
    _check_directions(train)


def _check_directions(train: Train) -> None:
    """Refuse what cannot be done in two directions, or not by this model at all."""
    mode, model = train.backpropagation.mode, train.model
    carries = mode in ("last_k", "segments")
    if carries and model.name not in CARRIED:
        raise JobError(
            f"train.backpropagation.mode: {mode} needs a model whose state is handed on from "
            f"segment to segment ({', '.join(CARRIED)}), not {model.name}; choose mode exact or "
            "full"
        )
    if carries and model.front.conv:
        raise JobError(
            f"train.backpropagation.mode: {mode} cuts records into segments, which a convolution "
            "in model.front would see as records of their own; remove front.conv, or choose exact"
        )
    if carries and model.front.parallel > 1:
        raise JobError(
            f"train.backpropagation.mode: {mode} cuts records into segments, but "
            "model.front.parallel needs whole records; remove one of them"
        )
    why = None
    if carries:
        why = f"backpropagation.mode: {mode} hands the state on in one direction only"
    elif model.name == "chunks" and not model.overlap:
        why = "chunks without overlap hand the state on in one direction only"
    if why is not None and model.bidirectional:
        raise JobError(f"train.model.bidirectional: true, but {why}; set bidirectional: false")


def _value(train: Train, key: str) -> tuple[Any, Any]:
    """The value of a dotted key, and its default."""
    part, _, name = key.rpartition(".")
    holder = {"": train, "model": train.model, "optimizer": train.optimizer}[part]
    return getattr(holder, name), _DEFAULTS[part][name]


def _defaults(of: Train | Model | Optimizer) -> dict[str, Any]:
    return {item.name: getattr(of, item.name) for item in fields(of)}


_DEFAULTS = {
    "": _defaults(Train()),
    "model": _defaults(Model()),
    "optimizer": _defaults(Optimizer()),
}
