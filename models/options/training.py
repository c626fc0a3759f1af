"""What a person writes about learning: the optimiser and the training run; the model stands beside.

Frozen dataclasses with every key under `train` in the pipeline file. Standard library only, so that
a bare GPU node, the command line and a Prefect deployment all read the same job.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from models.options.checks import JobError, check, check_numbers, size_bytes
from models.options.model import Model
from models.options.retrain import Retrain

__all__ = ["Backpropagation", "Model", "Optimizer", "Retrain", "Train"]

_MODES_OF_KEYS: dict[str, tuple[str, ...]] = {
    "k": ("last_k",),
    "k1": ("segments",),
    "k2": ("segments",),
    "label_each": ("segments",),
    "schedule": ("segments",),
    "patience": ("segments",),
    "memory": ("exact",),
}
"""Keys of backpropagation -> the modes that read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backpropagation:
    """How far gradients flow back (CONTRACT 23, 24).

    Args:
        mode: `full`; `last_k` steps; `segments` with carried state; `exact`, recomputed.
        k: steps of gradient (last_k).
        k1: steps between updates (segments). k2: steps of gradient; none: k1.
        label_each: segments: a loss in every segment, weighted by length / T; every update of an
            epoch divides by the same number, so that each record counts alike.
        memory: exact: bytes for activations.
        schedule: segments, instead of k1: numbers of segments, e.g. [100, 50, 10, 2, 1], each
            ceil(longest row / number) steps; `auto`: by doubling lengths, the whole row last.
        patience: epochs without a better training loss after which the schedule goes on; early
            stopping counts only after it has reached its last number.
    """

    mode: Literal["full", "last_k", "segments", "exact"] = "full"
    k: int | None = None
    k1: int | None = None
    k2: int | None = None
    label_each: bool = False
    memory: str | int | None = None
    schedule: tuple[int, ...] | Literal["auto"] = ()
    patience: int = 20

    def __post_init__(self) -> None:
        for name, modes in _MODES_OF_KEYS.items():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default and self.mode not in modes:
                raise JobError(
                    f"train.backpropagation.{name} has no meaning with mode: {self.mode}; it "
                    f"belongs to mode: {modes[0]}"
                )
        check_numbers(self, "backpropagation.")
        for name in ("k", "k1", "k2"):
            value = getattr(self, name)
            check(value is None or value >= 1, f"backpropagation.{name}", ">= 1 step", value)
        check(self.patience >= 1, "backpropagation.patience", ">= 1 epoch", self.patience)
        if self.mode == "last_k" and self.k is None:
            raise JobError("train.backpropagation.k is missing: steps of gradient for last_k")
        if self.mode == "segments":
            self._check_segments()
        if self.memory_bytes is not None:
            check(self.memory_bytes >= 2**20, "backpropagation.memory", ">= 1MB", self.memory)

    def _check_segments(self) -> None:
        if (self.k1 is None) == (not self.schedule):
            raise JobError(
                "train.backpropagation: mode segments needs either k1, the steps between updates, "
                "or a schedule, the numbers of segments"
            )
        if (
            not self.schedule
            and self.patience != type(self).__dataclass_fields__["patience"].default
        ):
            raise JobError(
                f"train.backpropagation.patience: {self.patience} would be ignored: it belongs to "
                "a schedule; with k1 segments stay as they are"
            )
        if self.k2 is not None and (self.k1 is None or self.k2 < self.k1):
            raise JobError(
                f"train.backpropagation.k2 must be >= k1, got k1 {self.k1} and k2 {self.k2}"
            )
        if self.schedule != "auto":
            check(
                all(number >= 1 for number in self.schedule),
                "backpropagation.schedule",
                "numbers of segments >= 1",
                self.schedule,
            )
            check(
                all(after < before for before, after in pairwise(self.schedule)),
                "backpropagation.schedule",
                "falling numbers of segments, many short ones first",
                self.schedule,
            )

    @property
    def memory_bytes(self) -> int | None:
        """What `memory` says, in bytes; None where nothing was said."""
        if self.memory is None:
            return None
        return size_bytes(self.memory, key="train.backpropagation.memory")

    @property
    def epochs_needed(self) -> int:
        """Epochs before the last number of segments can have one, and that one.

        The first epoch with a number is the best so far, then as many as `patience` are waited.
        `auto` goes on with the training, in any number of epochs.

        >>> Backpropagation(mode="segments", schedule=(100, 50, 10, 2, 1)).epochs_needed
        85
        """
        if self.schedule == "auto" or not self.schedule:
            return 1
        return (len(self.schedule) - 1) * (self.patience + 1) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    """The optimiser, its schedule and clipping.

    Args:
        name: of the optimiser.
        lr: highest learning rate.
        weight_decay: of weights (not of biases), decoupled for adamw.
        schedule: of the learning rate over the updates: `cosine` to 0, or constant.
        warmup: share of the updates over which the rate rises linearly.
        clip_norm: limit of the norm of the whole gradient; it is rescaled to the limit.
        clip_value: limit of each component.
        momentum: sgd and rmsprop only.
    """

    name: Literal["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"] = "adamw"
    lr: float = 0.002
    weight_decay: float = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.1
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "optimizer.")
        check(self.lr > 0, "optimizer.lr", "> 0", self.lr)
        check(self.weight_decay >= 0, "optimizer.weight_decay", ">= 0", self.weight_decay)
        check(0 <= self.momentum < 1, "optimizer.momentum", "in [0, 1)", self.momentum)
        check(0 <= self.warmup < 1, "optimizer.warmup", "a share in [0, 1)", self.warmup)
        for key in ("clip_norm", "clip_value"):
            value = getattr(self, key)
            check(value is None or value > 0, f"optimizer.{key}", "> 0 or none", value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """A training run.

    Args:
        model, backpropagation, optimizer: see there.
        batch_tokens: a batch holds rows x longest <= this many steps; a longer row goes alone.
        max_rows: and at most this many rows; none: no such limit.
        epochs: passes over the training rows.
        updates: instead of epochs: optimiser steps in all.
        seed: of weights, dropout and the order of batches.
        select_by: the validation figure whose best epoch is kept: loss or a metric; `last` keeps
            the last one, for a schedule that ends at 0 beside validation too small to choose by.
        early_stopping: stop after this many epochs without a better one; none: never.
        class_weights: `balanced` weighs classes by the inverse of their share of training rows.
        label_smoothing: of the cross-entropy.
        precision: bf16 and float16 run the recurrent core under autocast, float16 with its loss
            scaled, on CUDA only.
        device: `auto` takes CUDA where there is one.
        threads: CPU threads; none: chosen and reported.
        deterministic: set what PyTorch needs for the same bits on CUDA.
        checkpoint_minutes: how often, at most, a checkpoint is written inside an epoch.
        memory: bytes of examples held at once; a larger dataset is read in windows of shards.
        guard: stop after this many updates in a row with a loss or gradient that is not finite.
        processes: training processes (torchrun).
        tracking: also write TensorBoard events.
        encoder_from: a bundle whose front and core the model starts from (of an autoencoder or a
            next_symbol model, say); none: fresh weights.
        if_newer: train only where the examples are newer than those of the recipe's newest model
            and `retrain` says that it pays. retrain: when it pays, where if_newer is asked.
        warm_start: begin from the weights of the dataset's current model, where it is of the same
            recipe and its vocabulary and shapes fit; else from fresh ones, which is said.
    """

    model: Model = Model()  # noqa: RUF009 - frozen, thus a value
    backpropagation: Backpropagation = Backpropagation()
    optimizer: Optimizer = Optimizer()
    batch_tokens: int = 16_384
    max_rows: int | None = 64
    epochs: int | None = None
    updates: int | None = None
    seed: int = 0
    select_by: Literal["loss", "accuracy", "macro_f1", "token_accuracy", "rmse", "last"] = "loss"
    early_stopping: int | None = None
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    precision: Literal["float32", "bf16", "float16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    deterministic: bool = False
    checkpoint_minutes: float = 5.0
    memory: str | int = "1GB"
    guard: int = 10
    processes: int = 1
    tracking: Literal["none", "tensorboard"] = "none"
    encoder_from: str | None = None
    if_newer: bool = False
    retrain: Retrain = Retrain()  # noqa: RUF009 - frozen, thus a value
    warm_start: bool = False

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise JobError("train: give `epochs` or `updates`, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", 10)
        check_numbers(self)
        for key in ("batch_tokens", "guard", "processes"):
            check(getattr(self, key) >= 1, key, ">= 1", getattr(self, key))
        for key in ("epochs", "updates", "threads", "early_stopping", "max_rows"):
            value = getattr(self, key)
            check(value is None or value >= 1, key, ">= 1", value)
        check(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)", self.label_smoothing)
        self._check_epochs()
        check(self.memory_bytes >= 2**20, "memory", ">= 1MB", self.memory)
        check(self.checkpoint_minutes > 0, "checkpoint_minutes", "> 0", self.checkpoint_minutes)
        if self.warm_start and self.encoder_from is not None:
            raise JobError(
                f"train.encoder_from: {self.encoder_from} and train.warm_start both say what to "
                "start from; remove one of them"
            )

    @property
    def memory_bytes(self) -> int:
        """What `memory` says, in bytes."""
        return size_bytes(self.memory, key="train.memory")

    def _check_epochs(self) -> None:
        """Refuse a schedule of segments whose end lies after the last epoch, whatever the loss."""
        needed = self.backpropagation.epochs_needed
        if self.epochs is not None and self.epochs < needed:
            raise JobError(
                f"train.epochs: {self.epochs}, but backpropagation.schedule "
                f"{list(self.backpropagation.schedule)} with patience "
                f"{self.backpropagation.patience} needs {needed} to reach its last number, even if "
                "the loss never falls; raise train.epochs, lower patience, or use schedule: auto"
            )
