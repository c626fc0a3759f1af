"""What a person writes about learning: the optimiser and the training run; the model stands beside.

Frozen dataclasses with every key under `train` in the pipeline file. A key of the contract that
this version does not do yet is refused by name. Standard library only, so that a bare GPU node, the
command line and a Prefect deployment all read the same job.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from models.checks import JobError, check, check_finite, not_built, size_bytes
from models.model_config import Model

__all__ = ["Backpropagation", "Model", "Optimizer", "Train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Backpropagation:
    """How far gradients flow back.

    Args:
        mode: `full`; `last_k` steps; `segments` with carried state; `exact`, recomputed.
        k: steps of gradient (last_k). k1: steps between updates; k2: steps of gradient (segments).
        label_each: segments: a loss in every segment, weighted by length / T.
        memory: exact: bytes for activations.
        schedule: segments: numbers of segments, e.g. [100, 50, 10, 2, 1]; patience: epochs.
    """

    mode: Literal["full", "last_k", "segments", "exact"] = "full"
    k: int | None = None
    k1: int | None = None
    k2: int | None = None
    label_each: bool = False
    memory: str | None = None
    schedule: tuple[int, ...] = ()
    patience: int = 20

    def __post_init__(self) -> None:
        if self.mode != "full":
            raise not_built(f"train.backpropagation.mode: {self.mode}")
        for item in fields(self):
            if item.name not in ("mode", "patience") and getattr(self, item.name) != item.default:
                raise JobError(
                    f"train.backpropagation.{item.name} has no meaning with mode: {self.mode}"
                )


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
        if self.name not in ("adamw", "adam", "sgd"):
            raise not_built(f"train.optimizer.name: {self.name}")
        check_finite(self, "optimizer.")
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
        select_by: the validation figure whose best epoch is kept: loss or a metric.
        early_stopping: stop after this many epochs without a better one; none: never.
        class_weights: `balanced` weighs classes by the inverse of their share of training rows.
        label_smoothing: of the cross-entropy.
        precision: bf16 runs the recurrent core under autocast.
        device: `auto` takes CUDA where there is one.
        threads: CPU threads; none: chosen and reported.
        deterministic: set what PyTorch needs for the same bits on CUDA.
        checkpoint_minutes: how often, at most, a checkpoint is written inside an epoch.
        memory: bytes of examples held at once; a larger dataset is read in windows of shards.
        guard: stop after this many updates in a row with a loss or gradient that is not finite.
        processes: training processes (torchrun).
        tracking: also write TensorBoard events.
        if_newer, warm_start: retraining policies of deployments.
    """

    model: Model = Model()  # noqa: RUF009 - frozen, thus a value
    backpropagation: Backpropagation = Backpropagation()
    optimizer: Optimizer = Optimizer()
    batch_tokens: int = 16_384
    max_rows: int | None = 64
    epochs: int | None = None
    updates: int | None = None
    seed: int = 0
    select_by: Literal["loss", "accuracy", "macro_f1", "token_accuracy", "rmse"] = "loss"
    early_stopping: int | None = None
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    precision: Literal["float32", "bf16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    deterministic: bool = False
    checkpoint_minutes: float = 5.0
    memory: str | int = "1GB"
    guard: int = 10
    processes: int = 1
    tracking: Literal["none", "tensorboard"] = "none"
    if_newer: bool = False
    warm_start: bool = False

    def __post_init__(self) -> None:
        if self.epochs is not None and self.updates is not None:
            raise JobError("train: give `epochs` or `updates`, not both")
        if self.epochs is None and self.updates is None:
            object.__setattr__(self, "epochs", 10)
        check_finite(self)
        for key in ("batch_tokens", "guard", "processes"):
            check(getattr(self, key) >= 1, key, ">= 1", getattr(self, key))
        for key in ("epochs", "updates", "threads", "early_stopping", "max_rows"):
            value = getattr(self, key)
            check(value is None or value >= 1, key, ">= 1", value)
        check(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)", self.label_smoothing)
        memory = size_bytes(self.memory, key="train.memory")
        check(memory >= 2**20, "memory", ">= 1MB", self.memory)
        check(self.checkpoint_minutes > 0, "checkpoint_minutes", "> 0", self.checkpoint_minutes)
        if self.processes > 1:
            raise not_built("train.processes")
        if self.tracking != "none":
            raise not_built(f"train.tracking: {self.tracking}")
        for key in ("if_newer", "warm_start"):
            if getattr(self, key):
                raise not_built(f"train.{key}")
