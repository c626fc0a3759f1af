"""Which options mean something for which task, model and data; the others are refused.

A key that is read and then ignored trains another model than was asked for. Standard library only.
"""

from __future__ import annotations

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
}
"""Figures of each task that the best epoch can be chosen by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """What an option is judged by."""

    train: Train
    task: str
    kind: Kind
    has_validation: bool

    @property
    def decodes(self) -> bool:
        return self.train.model.name == "encoder_decoder"

    @property
    def pools(self) -> bool:
        return not self.decodes and self.task in ("classify", "regress")


_MEANING: dict[str, tuple[Callable[[_Case], bool], str]] = {
    "model.input": (lambda case: case.kind == "tokens", "tokens; these sequences are values"),
    "model.embedding": (
        lambda case: case.decodes or (case.kind == "tokens" and _embeds(case)),
        "tokens with `input: embedding`, or model.name: encoder_decoder",
    ),
    "model.noise": (lambda case: not case.decodes, "model.name: lstm"),
    "model.pooling": (lambda case: case.pools, "model.name: lstm with task classify or regress"),
    "model.attention": (lambda case: case.decodes, "model.name: encoder_decoder"),
    "model.beam": (lambda case: case.decodes, "model.name: encoder_decoder"),
    "model.teacher_forcing": (lambda case: case.decodes, "model.name: encoder_decoder"),
    "model.max_target": (lambda case: case.decodes, "model.name: encoder_decoder"),
    "optimizer.momentum": (
        lambda case: case.train.optimizer.name == "sgd",
        "optimizer.name: sgd",
    ),
    "class_weights": (
        lambda case: case.task in ("classify", "label_steps"),
        "task classify or label_steps",
    ),
    "label_smoothing": (
        lambda case: case.task in ("classify", "label_steps", "translate"),
        "task classify, label_steps or translate",
    ),
    "early_stopping": (lambda case: case.has_validation, "validation rows; the split has none"),
    "select_by": (lambda case: case.has_validation, "validation rows; the split has none"),
}
"""Keys under `train` -> when a value beside the default means something, and what that needs."""


def _embeds(case: _Case) -> bool:
    return case.train.model.input == "embedding"


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
    if task not in SELECTABLE:
        raise JobError(f"task {task!r} is not built yet; choose from {', '.join(SELECTABLE)}")
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
