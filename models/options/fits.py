"""Which options mean something for which task, model and data; the others are refused.

A key that is read and then ignored trains another model than was asked for. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from models.options.checks import JobError
from models.options.model import Front, Model
from models.options.model_fits import CARRIED, OF_RECORDS, Kind, can_pack, check_model
from models.options.training import Backpropagation, Optimizer, Train

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
        return self.task in OF_RECORDS


def _only(*names: str) -> tuple[Callable[[_Case], bool], str]:
    return lambda case: case.names(*names), f"model.name: {' or '.join(names)}"


MEANING: dict[str, tuple[Callable[[_Case], bool], str]] = {
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
    "model.execution": (
        lambda case: (
            not case.names("min_lstm")
            and (
                case.train.model.execution == "dense"
                or (can_pack(case.train.model) and case.train.backpropagation.mode == "full")
            )
        ),
        "an LSTM (min_lstm runs in one form), backpropagation.mode full and, with chunks, an "
        "overlap (state is handed on in the dense form only)",
    ),
    "model.front.layout": (
        lambda case: case.train.model.front.parallel > 1,
        "front.parallel >= 2: one part has one layout",
    ),
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
    "backpropagation.label_each": (
        lambda case: case.pools,
        "task classify or regress: where every step has a target, every segment has a loss",
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
    "early_stopping": (
        lambda case: case.has_validation and case.train.select_by != "last",
        "validation rows, and an epoch that is the best of them: not select_by: last",
    ),
    "select_by": (lambda case: case.has_validation, "validation rows; the split has none"),
}
"""Keys under `train` -> when a value beside the default means something, and what that needs."""


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
    check_model(train.model, task=task, kind=kind)
    allowed = (*SELECTABLE[task], "last")
    if train.select_by not in allowed:
        raise JobError(
            f"train.select_by: {train.select_by} is not a figure of task {task!r}; choose from "
            f"{', '.join(allowed)}"
        )
    case = _Case(train=train, task=task, kind=kind, has_validation=has_validation)
    for key, (means_something, needed) in MEANING.items():
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
    if carries and model.bidirectional:
        raise JobError(
            f"train.model.bidirectional: true, but backpropagation.mode: {mode} hands the state on "
            "in one direction only; set bidirectional: false"
        )


def _value(train: Train, key: str) -> tuple[Any, Any]:
    """The value of a dotted key, and its default."""
    part, _, name = key.rpartition(".")
    holder = {
        "": train,
        "model": train.model,
        "model.front": train.model.front,
        "optimizer": train.optimizer,
        "backpropagation": train.backpropagation,
    }[part]
    return getattr(holder, name), _DEFAULTS[part][name]


def _defaults(of: Train | Model | Front | Optimizer | Backpropagation) -> dict[str, Any]:
    return {item.name: getattr(of, item.name) for item in fields(of)}


_DEFAULTS = {
    "": _defaults(Train()),
    "model": _defaults(Model()),
    "model.front": _defaults(Front()),
    "optimizer": _defaults(Optimizer()),
    "backpropagation": _defaults(Backpropagation()),
}
