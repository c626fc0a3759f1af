"""What stands before the recurrent core: embedding, one-hot or values, and what shortens them.

First parts of a record side by side as features, then strided convolutions. Both see zeros after a
row's end, so padding never reaches a real output, and T steps become ceil(T / n): cost is steps, so
on long signals and DNA shorten first. Side by side a step of the core sees n steps at once: cheap,
but `contiguous` joins places that have nothing to do with each other, so use it where the same kind
of signal runs through the whole record, and `interleaved` where neighbours belong together.

Legend: B rows, T steps, F features, N parts side by side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.options.checks import JobError
from models.options.model import Conv, Model
from models.shape import Shape, TensorBatch, step_mask
from seqprep.schema import PAD

EMBEDDING_SCALE = 0.1
"""Standard deviation of fresh embeddings; 1, PyTorch's own, learns rare tokens by heart."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "none": torch.clone,
}


class Front(nn.Module):
    """Inputs to features of the core.

    Args:
        config: the model's options.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        self.vocab_size, self.one_hot = shape.vocab_size, config.input == "one_hot"
        features = shape.channels
        if shape.vocab_size is not None:
            features = shape.vocab_size if self.one_hot else config.embedding
            if not self.one_hot:
                self.embedding = nn.Embedding(shape.vocab_size, features, padding_idx=PAD)
                # small, so that rare tokens start near silence instead of as loud noise
                self.embedding.weight.data.mul_(EMBEDDING_SCALE)
        elif self.one_hot:
            raise JobError("train.model.input: one_hot needs tokens; these sequences are values")
        self.dropout = nn.Dropout(config.input_dropout)
        self.parallel, self.layout = config.front.parallel, _LAYOUTS[config.front.layout]
        self.convolutions = nn.ModuleList()
        features *= self.parallel
        self.stride = self.parallel
        for conv in config.front.conv:
            self.convolutions.append(StridedConvolution(features, conv))
            features, self.stride = conv.channels, self.stride * conv.stride
        self.features = features

    def forward(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Features `(B, T', F)`, which mean nothing after the end, and their lengths `(B,)`."""
        x_BTF, lengths_B = self.dropout(self._features(batch.inputs)), batch.lengths
        if self.parallel > 1:
            index_BTN = self.layout(lengths_B, x_BTF.shape[1], self.parallel)
            x_BTF, lengths_B = side_by_side(x_BTF, index_BTN), -(-lengths_B // self.parallel)
        for convolution in self.convolutions:
            x_BTF, lengths_B = convolution(x_BTF, lengths_B)
        return x_BTF, lengths_B

    def _features(self, inputs: Tensor) -> Tensor:
        if self.vocab_size is None:
            return inputs
        if self.one_hot:
            return functional.one_hot(inputs, self.vocab_size).float()
        embedded: Tensor = self.embedding(inputs)
        return embedded


def contiguous_index(lengths_B: Tensor, steps: int, parts: int) -> Tensor:
    """Which step of its record stands where, `(B, ceil(T / N), N)`; -1 where there is none.

    Part j of a record of T steps holds its steps from j x ceil(T / N) on (CONTRACT 25).

    >>> contiguous_index(torch.tensor([5, 2]), 5, 2).tolist()
    [[[0, 3], [1, 4], [2, -1]], [[0, 1], [-1, -1], [-1, -1]]]
    """
    place_T1 = torch.arange(-(-steps // parts), device=lengths_B.device)[:, None]
    part_N = torch.arange(parts, device=lengths_B.device)
    size_B11 = -(-lengths_B // parts)[:, None, None]
    index_BTN = part_N * size_B11 + place_T1
    real = (place_T1 < size_B11) & (index_BTN < lengths_B[:, None, None])
    return torch.where(real, index_BTN, -1)


def interleaved_index(lengths_B: Tensor, steps: int, parts: int) -> Tensor:
    """The same with N neighbouring steps side by side.

    >>> interleaved_index(torch.tensor([5, 2]), 5, 2).tolist()
    [[[0, 1], [2, 3], [4, -1]], [[0, 1], [-1, -1], [-1, -1]]]
    """
    index_TN = torch.arange(-(-steps // parts) * parts, device=lengths_B.device).view(-1, parts)
    return torch.where(index_TN < lengths_B[:, None, None], index_TN, -1)


_LAYOUTS = {"contiguous": contiguous_index, "interleaved": interleaved_index}


def side_by_side(x_BTF: Tensor, index_BTN: Tensor) -> Tensor:
    """Steps side by side as features, `(B, T / N, N x F)`; zeros where the index is -1."""
    rows, steps, features = x_BTF.shape
    first_B11 = torch.arange(rows, device=x_BTF.device)[:, None, None] * steps
    flat = (first_B11 + index_BTN.clamp(min=0)).flatten()
    laid = x_BTF.reshape(-1, features).index_select(0, flat).view(*index_BTN.shape, features)
    return laid.masked_fill((index_BTN < 0)[..., None], 0.0).flatten(2)


class StridedConvolution(nn.Module):
    """A convolution that T steps leave as ceil(T / stride).

    Args:
        features: of an input step.
        config: channels, kernel, stride and activation.
    """

    def __init__(self, features: int, config: Conv) -> None:
        super().__init__()
        self.kernel, self.stride = config.kernel, config.stride
        self.activation = _ACTIVATIONS[config.activation]
        self.convolution = nn.Conv1d(features, config.channels, config.kernel, config.stride)

    def forward(self, x_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Output step j is centred on input steps j x stride to (j + 1) x stride - 1."""
        steps = x_BTF.shape[1]
        x_BTF = x_BTF.to(self.convolution.weight.dtype)
        x_BTF = x_BTF.masked_fill(~step_mask(lengths_B, steps)[:, :, None], 0.0)
        outputs = -(-steps // self.stride)
        left = (self.kernel - self.stride) // 2
        right = (outputs - 1) * self.stride + self.kernel - left - steps
        x_BFT = functional.pad(x_BTF.transpose(1, 2), (left, right))
        out = self.activation(self.convolution(x_BFT)).transpose(1, 2)
        return out, (lengths_B + self.stride - 1) // self.stride
