"""What is minimised for each task, and how outputs become answers.

Losses are sums with their counts (rows, real steps or target symbols), so that a mean over batches,
ranks or an epoch weighs every one of them alike. Padded steps never count.

What is learnt without labels has its truth in the inputs themselves: the symbol after each step, or
the step.

Legend: B rows, T steps, C classes, K target channels, S target symbols, V target ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.options.training import Train
from models.shape import TensorBatch, step_mask
from seqprep.batches import BatchSource
from seqprep.schema import IGNORED_LABEL, PAD, Task

Moments = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each target channel, over training rows."""


class Objective(Protocol):
    """A task's loss, and its answers as arrays."""

    def loss(self, outputs: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Sum of the losses, and their count."""
        ...

    def answers(self, outputs: Tensor) -> Tensor:
        """Probabilities, or values in the units of the targets."""
        ...

    def by_step(self, outputs: Tensor, batch: TensorBatch) -> Tensor:
        """The loss of each step, `(B, T, 1)`; of symbols also whether they are right, `(B, T, 2)`.

        After a row's end they mean nothing.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy:
    """Classes of records or of steps, or symbols.

    Args:
        ignored: the code of a place without a class.
        weights: of each class, mean 1 over training rows; None for equal ones.
        smoothing: label smoothing.
    """

    ignored: int
    weights: tuple[float, ...] | None = None
    smoothing: float = 0.0

    def loss(self, outputs: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of logits `(..., C)`, in nats."""
        truth = self.truth(batch)
        real = truth != self.ignored
        weights = None if self.weights is None else outputs.new_tensor(self.weights)
        total = functional.cross_entropy(
            outputs.flatten(0, -2),
            truth.flatten(),
            weight=weights,
            ignore_index=self.ignored,
            label_smoothing=self.smoothing,
            reduction="sum",
        )
        return total, real.sum()

    def answers(self, outputs: Tensor) -> Tensor:
        """Probabilities of classes."""
        return torch.softmax(outputs.double(), dim=-1)

    def by_step(self, outputs: Tensor, batch: TensorBatch) -> Tensor:
        """Nats of the true symbol of each step, and whether it is the likeliest, `(B, T, 2)`."""
        truth = self.truth(batch).clamp(min=0)
        nats = functional.cross_entropy(outputs.flatten(0, 1), truth.flatten(), reduction="none")
        right = (outputs.argmax(-1) == truth).to(nats.dtype)
        return torch.stack([nats.view_as(right), right], dim=-1)

    def truth(self, batch: TensorBatch) -> Tensor:
        """Codes of the true classes."""
        return _truth(batch)


class ReconstructionEntropy(CrossEntropy):
    """The token of each step, from a code of the record."""

    def truth(self, batch: TensorBatch) -> Tensor:
        """The inputs, `ignored` after each row's end."""
        real_BT = step_mask(batch.lengths, batch.inputs.shape[1])
        return batch.inputs.masked_fill(~real_BT, self.ignored)


@dataclass(frozen=True, kw_only=True, slots=True)
class SquaredError:
    """Values of records or of steps, compared in standard deviations of the training rows.

    Args:
        mean: of each channel. std: likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def loss(self, outputs: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Mean over channels of the squared error, summed over rows or real steps."""
        truth = self.truth(batch)
        if truth.ndim == 1:
            errors = self._errors(outputs, truth[:, None])
            return errors.sum(), torch.tensor(len(errors), device=errors.device)
        errors = self._errors(outputs, truth)
        real = step_mask(batch.lengths, errors.shape[1])
        return errors.masked_fill(~real, 0.0).sum(), real.sum()

    def answers(self, outputs: Tensor) -> Tensor:
        """Values in the units of the targets."""
        outputs = outputs.double()
        return outputs * outputs.new_tensor(self.std) + outputs.new_tensor(self.mean)

    def by_step(self, outputs: Tensor, batch: TensorBatch) -> Tensor:
        """Mean over channels of the squared error of each step, `(B, T, 1)`."""
        return self._errors(outputs, self.truth(batch))[:, :, None]

    def truth(self, batch: TensorBatch) -> Tensor:
        """The true values, in the units of the targets."""
        return _truth(batch)

    def _errors(self, outputs: Tensor, truth: Tensor) -> Tensor:
        scaled = (truth - outputs.new_tensor(self.mean)) / outputs.new_tensor(self.std)
        return (outputs - scaled).square().mean(-1)


class ReconstructionError(SquaredError):
    """The values of each step, from a code of the record."""

    def truth(self, batch: TensorBatch) -> Tensor:
        """The inputs."""
        return batch.inputs


def _truth(batch: TensorBatch) -> Tensor:
    for truth in (batch.labels, batch.targets, batch.target_tokens):
        if truth is not None:
            return truth
    raise ValueError("the rows carry no label or target; training and evaluation need one in each")


def objective_for(task: Task, *, moments: Moments | None = None) -> Objective:
    """The plain objective of a task, as evaluation uses it.

    Args:
        task: what is learnt.
        moments: of the targets, for tasks with values; of the inputs where they are reconstructed.

    Returns:
        Without class weights and smoothing.

    Raises:
        ValueError: if there is no such task.
    """
    if task in ("regress", "regress_steps"):
        assert moments is not None, task
        return SquaredError(mean=moments[0], std=moments[1])
    if task in ("classify", "label_steps", "next"):
        return CrossEntropy(ignored=IGNORED_LABEL)
    if task == "translate":
        return CrossEntropy(ignored=PAD)
    if task == "reconstruct":
        if moments is None:
            return ReconstructionEntropy(ignored=IGNORED_LABEL)
        return ReconstructionError(mean=moments[0], std=moments[1])
    raise ValueError(f"unknown task {task!r}")


def training_objective(options: Train, plain: Objective, source: BatchSource) -> Objective:
    """The objective with the options of training: class weights and label smoothing."""
    if type(plain) is not CrossEntropy:
        return plain
    weights = None
    if options.class_weights == "balanced" and source.facts.task in ("classify", "label_steps"):
        weights = class_weights(class_counts(source))
    return CrossEntropy(ignored=plain.ignored, weights=weights, smoothing=options.label_smoothing)


def class_counts(source: BatchSource) -> npt.NDArray[np.int64]:
    """Rows or steps of each class, `(C,)`."""
    counts = np.zeros(len(source.facts.labels), dtype=np.int64)
    for codes in source.truths():
        counts += np.bincount(codes[codes != IGNORED_LABEL], minlength=len(counts))
    return counts


def class_weights(counts: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Inverse shares, with a mean of 1 over the rows; a class without rows weighs 0.

    >>> class_weights(np.array([3, 1]))
    (0.6666666666666666, 2.0)
    """
    present = counts > 0
    weights = np.divide(
        counts.sum() / max(1, present.sum()), counts, where=present, out=np.zeros(len(counts))
    )
    return tuple(weights.tolist())


def target_moments(source: BatchSource) -> Moments | None:
    """Mean and standard deviation of the targets over training rows; None for classes.

    Values that are to be reconstructed are targets themselves.
    """
    facts = source.facts
    inputs = facts.task == "reconstruct" and facts.vocab_size is None
    if facts.task not in ("regress", "regress_steps") and not inputs:
        return None
    count, mean, square = 0, np.zeros(1), np.zeros(1)
    width = len(facts.channels if inputs else facts.target_names) or 1
    every = (one.inputs.values for one in source.examples()) if inputs else source.truths()
    for truth in every:
        values = truth.astype(np.float64).reshape(-1, width)
        delta = values.mean(0) - mean  # merged in the order of shards (Chan et al. 1979)
        new = count + len(values)
        square = square + ((values - values.mean(0)) ** 2).sum(0)
        square = square + delta**2 * count * len(values) / new
        mean, count = mean + delta * len(values) / new, new
    std = np.sqrt(square / max(1, count))
    return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist())
