"""What a model must know of the data, and a batch as tensors.

Legend: B rows, T steps, F features, K target channels, S target symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqprep.batches import Batch
from seqprep.schema import EOS, PAD, Task
from seqprep.snapshot import Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Sizes of a model's input and output; with the model's options they fix every weight.

    Args:
        task: what is learnt.
        vocab_size: input ids, PAD and OOV included; None where inputs are values.
        channels: value channels; 0 for tokens.
        outputs: classes, target channels, 1 for regress, target ids for translate; input ids or
            channels where inputs are foretold or reconstructed.
    """

    task: Task
    vocab_size: int | None
    channels: int
    outputs: int

    def __post_init__(self) -> None:
        for name in ("vocab_size", "channels", "outputs"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and 0 <= value <= 2**31):
                raise ValueError(f"shape.{name} must be a count below 2**31, got {value!r}")

    @classmethod
    def of(cls, facts: Facts) -> Shape:
        """The shape that a snapshot's facts ask for.

        Raises:
            ValueError: if the facts name no class, no target channel or no target vocabulary.
        """
        sizes: dict[str, int] = {
            "classify": len(facts.labels),
            "label_steps": len(facts.labels),
            "regress": 1,
            "regress_steps": len(facts.target_names),
            "translate": facts.target_vocab_size or 0,
            "next": facts.vocab_size or 0,
            "reconstruct": facts.vocab_size or len(facts.channels),
        }
        outputs = sizes.get(facts.task, 0)
        if outputs < 1:
            raise ValueError(
                f"the snapshot of {facts.dataset!r} has nothing to learn for task {facts.task!r}: "
                "no labels, target channels, target vocabulary or tokens; run prepare again"
            )
        return cls(
            task=facts.task,
            vocab_size=facts.vocab_size,
            channels=len(facts.channels),
            outputs=outputs,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorBatch:
    """A batch on the device of the model.

    Args:
        inputs: `(B, T)` int64 ids or `(B, T, F)` float32. lengths: `(B,)` int64 steps.
        labels: `(B,)` int64 codes or float32 values. targets: `(B, T)` int64 codes, IGNORED_LABEL
            after the end, or `(B, T, K)` float32.
        target_tokens: `(B, S)` int64, each row closed by EOS and padded with PAD.
    """

    inputs: Tensor
    lengths: Tensor
    labels: Tensor | None = None
    targets: Tensor | None = None
    target_tokens: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)


def to_tensors(batch: Batch, device: torch.device) -> TensorBatch:
    """Move a batch of NumPy arrays to a device, with the types that the models take."""

    def move(array: Any) -> Tensor | None:
        return None if array is None else to_tensor(array, device)

    return TensorBatch(
        inputs=to_tensor(batch.inputs, device),
        lengths=to_tensor(batch.lengths, device),
        labels=move(batch.labels),
        targets=move(batch.targets),
        target_tokens=move(_closed(batch)),
    )


def to_tensor(array: Any, device: torch.device) -> Tensor:
    """Move an array to a device: numbers as float32, ids and codes as int64."""
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(array.astype(kind)).to(device)


def _closed(batch: Batch) -> Any:
    """Target ids with EOS after each row's last symbol, `(B, S + 1)`."""
    if batch.target_tokens is None or batch.target_lengths is None:
        return None
    rows, longest = batch.target_tokens.shape
    closed = np.full((rows, longest + 1), PAD, dtype=np.int64)
    closed[:, :longest] = batch.target_tokens
    closed[np.arange(rows), batch.target_lengths] = EOS
    return closed


def step_mask(lengths_B: Tensor, steps: int) -> Tensor:
    """Which steps are real, `(B, T)` bool. The mask comes from lengths, never from values."""
    return torch.arange(steps, device=lengths_B.device) < lengths_B[:, None]
