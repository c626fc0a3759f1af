"""What a person writes about the model: its front, core, pooling and head (CONTRACT 21).

Frozen dataclasses with every key under `train.model` in the pipeline file; a bundle keeps
them, too. A key of the contract that this version does not do yet is refused by name. Standard
library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.checks import check, check_finite, not_built

Pooling = Literal["last", "mean", "max", "attention"]

Planned = Literal["hierarchical", "split", "parallel", "autoencoder", "next_symbol", "min_lstm"]
"""Models of the contract that are refused by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv:
    """A strided convolution over steps: T steps become ceil(T / stride).

    Args:
        channels: output features; kernel: steps it sees; stride: steps between outputs.
        activation: after the convolution.
    """

    channels: int = 32
    kernel: int = 7
    stride: int = 4
    activation: Literal["relu", "gelu", "tanh", "none"] = "relu"

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride"):
            check(getattr(self, name) >= 1, f"model.front.conv.{name}", ">= 1", getattr(self, name))
        check(
            self.stride <= self.kernel,
            "model.front.conv.stride",
            "<= kernel (no step may be skipped)",
            self.stride,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """What stands between the input and the recurrent core: any of these, in this order.

    Args:
        parallel: lay n parts of a record side by side as features (T steps become T / n).
        layout: `interleaved` puts n neighbouring steps together, `contiguous` n distant blocks.
        conv: strided convolutions, one after the other.
    """

    parallel: int = 1
    layout: Literal["contiguous", "interleaved"] = "contiguous"
    conv: tuple[Conv, ...] = ()

    def __post_init__(self) -> None:
        check(self.parallel >= 1, "model.front.parallel", ">= 1 part", self.parallel)
        if isinstance(self.conv, Conv):
            object.__setattr__(self, "conv", (self.conv,))
        if self.parallel > 1:
            raise not_built("train.model.front.parallel")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The model: front -> core -> pooling -> head (CONTRACT 21).

    Args:
        name: a key of MODELS.
        embedding: features of a token's embedding; one-hot instead with `input: one_hot`.
        input: how token ids enter.
        hidden: units of a direction; layers: stacked LSTM layers.
        bidirectional: also read backwards, from each record's own end.
        pooling: of the states of a record, one or several; not for per-step tasks.
        head: units of dense layers before the output layer.
        dropout: before the head and between layers; input_dropout: of whole input features.
        noise: standard deviation of Gaussian noise on the states, in training only.
        front: what stands before the core.
        execution: how the recurrent layer runs; `auto`: dense on CPU, measured on CUDA.
        attention: encoder_decoder: attend to the encoder's states.
        beam: encoder_decoder: beams in prediction; 1 is greedy.
        teacher_forcing: encoder_decoder: share of true previous symbols at the start and the end.
        max_target: encoder_decoder: longest output in prediction, as a multiple of the input steps
            left after the front, at least 16 symbols.
        parts, merge, second_backwards: split LSTM. chunk, upper_hidden: hierarchical.
        code_every: autoencoder.
    """

    name: Literal["lstm", "encoder_decoder", Planned] = "lstm"
    embedding: int = 32
    input: Literal["embedding", "one_hot"] = "embedding"
    hidden: int = 64
    layers: int = 1
    bidirectional: bool = True
    pooling: tuple[Pooling, ...] | Pooling = ("mean", "max")
    head: tuple[int, ...] = ()
    dropout: float = 0.2
    input_dropout: float = 0.0
    noise: float = 0.0
    front: Front = Front()
    execution: Literal["auto", "dense", "packed"] = "auto"
    attention: bool = True
    beam: int = 1
    teacher_forcing: tuple[float, float] = (1.0, 1.0)
    max_target: float = 1.0
    parts: int | None = None
    merge: Literal["concat", "sum", "mean"] | None = None
    second_backwards: bool | None = None
    chunk: int | None = None
    upper_hidden: int | None = None
    code_every: int | None = None

    def __post_init__(self) -> None:
        if self.name in get_args(Planned):
            raise not_built(f"train.model.name: {self.name}")
        for key in ("parts", "merge", "second_backwards", "chunk", "upper_hidden", "code_every"):
            if getattr(self, key) is not None:
                raise not_built(f"train.model.{key}")
        if isinstance(self.pooling, str):
            object.__setattr__(self, "pooling", (self.pooling,))
        check_finite(self, "model.")
        for key in ("embedding", "hidden", "layers", "beam"):
            check(getattr(self, key) >= 1, f"model.{key}", ">= 1", getattr(self, key))
        for key in ("dropout", "input_dropout"):
            value = getattr(self, key)
            check(0 <= value < 1, f"model.{key}", "in [0, 1)", value)
        check(self.noise >= 0, "model.noise", ">= 0", self.noise)
        check(all(units >= 1 for units in self.head), "model.head", "units >= 1", self.head)
        check(len(self.pooling) > 0, "model.pooling", "one or several", self.pooling)
        check(
            len(set(self.pooling)) == len(self.pooling),
            "model.pooling",
            "without repeats",
            self.pooling,
        )
        check(
            all(0 <= share <= 1 for share in self.teacher_forcing),
            "model.teacher_forcing",
            "two shares in [0, 1]",
            self.teacher_forcing,
        )
        check(self.max_target > 0, "model.max_target", "> 0", self.max_target)
