"""A model in training, where it stands, and what it tells the outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.answers.objectives import Objective
from models.options.training import Train
from models.ranks import Ranks
from models.segments.phase import SegmentTraining
from models.training.memory import Growth

SOON_S = 10.0
"""Seconds of an evaluation after which it is broken off to stop; a shorter one is let end, for it
would have to be done again."""


class Stopped(Exception):  # noqa: N818
    """The run was asked to stop, and its checkpoint is written."""


@dataclass(kw_only=True, slots=True)
class Progress:
    """Where a run stands; all of it goes into the checkpoint.

    Args:
        epoch: epochs done. batch: batches done of the next one. seen: batches in all.
        updates: steps of the optimiser. skipped: batches that were not finite; bad_in_row: the
            last ones of these.
        best_score, best_epoch: of validation; waited: epochs since.
        loss, weight: sums over the epoch so far. epoch_seconds: of it. clipped: its clipped
            updates. finite: its steps of the optimiser; grad_norm, grad_norm_clipped: sums over
            these, before and after clipping.
        steps, computed: real and computed steps in all. context: steps that were read again, for a
            gradient that reaches back beyond its segment. seconds: of training and evaluation.
        largest: computed steps of the largest batch. memory_bytes: that the process grew by
            from the first update on, at most, evaluation included.
        resumed: how often the run was taken up again.
        history: one object an epoch.
    """

    epoch: int = 0
    batch: int = 0
    seen: int = 0
    updates: int = 0
    skipped: int = 0
    bad_in_row: int = 0
    best_score: float | None = None
    best_epoch: int | None = None
    waited: int = 0
    loss: float = 0.0
    weight: float = 0
    clipped: int = 0
    finite: int = 0
    grad_norm: float = 0.0
    grad_norm_clipped: float = 0.0
    epoch_seconds: float = 0.0
    steps: int = 0
    context: int = 0
    computed: int = 0
    largest: int = 0
    memory_bytes: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0
    resumed: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def real_steps_per_s(self) -> float:
        """Real steps a second of training."""
        return self.steps / max(self.train_seconds, 1e-9)

    @property
    def padding_share(self) -> float:
        """Padded steps over all computed steps."""
        return 1 - (self.steps + self.context) / max(1, self.computed)

    @property
    def context_share(self) -> float:
        """Steps that were read again over all computed steps."""
        return self.context / max(1, self.computed)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(kw_only=True, slots=True)
class Run:
    """A model in training.

    Args:
        model, optimizer: being changed. module: the model with its loss, of a batch, as
            backpropagation goes, its gradients joined over all processes.
        objective: with class weights and smoothing; plain: as evaluation uses it.
        options: of the job. device: of the model. ranks: the processes. scaler: of the loss, for
            float16.
        segments: where training goes by segments. majority: code of the most frequent training
            class, where there are classes.
        progress: counters. best: weights of the best epoch, {} before it. growth: of memory.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    module: nn.Module
    objective: Objective
    plain: Objective
    options: Train
    device: torch.device
    ranks: Ranks = Ranks()  # noqa: RUF009 - frozen, thus a value
    scaler: torch.amp.GradScaler = field(
        default_factory=lambda: torch.amp.GradScaler(enabled=False)
    )
    segments: SegmentTraining | None = None
    majority: int | None = None
    progress: Progress = field(default_factory=Progress)
    best: Mapping[str, Tensor] = field(default_factory=dict)
    growth: Growth = field(default_factory=Growth)

    def note_memory(self) -> None:
        """Count what memory has grown by so far."""
        grown = self.growth.most(self.device)
        self.progress.memory_bytes = max(self.progress.memory_bytes, grown)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What the loop tells the outside.

    Args:
        log: takes an event's name and its fields. save: writes a checkpoint.
        stopping: whether the run shall stop; asked after each update, and while it evaluates.
    """

    log: Callable[[str, dict[str, Any]], None]
    save: Callable[[], None]
    stopping: Callable[[], bool]


def break_off(stopping: Callable[[], bool]) -> Callable[[], None]:
    """What an evaluation that begins now is to call after each batch.

    Args:
        stopping: whether the run shall stop.

    Returns:
        It raises Stopped when the run shall stop and the evaluation is not soon done.
    """
    start = time.monotonic()

    def between() -> None:
        if time.monotonic() - start >= SOON_S and stopping():
            raise Stopped

    return between
