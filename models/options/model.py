"""What a person writes about the model: its front, core, pooling and head (CONTRACT 21).

Frozen dataclasses with every key under `train.model` in the pipeline file; a bundle keeps
them, too. A key of the contract that this version does not do yet is refused by name. Standard
library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.options.checks import check, check_numbers

Pooling = Literal["last", "mean", "max", "attention"]

MOST_BEAMS, MOST_TARGET, MOST_CONTINUATION = 100, 1000, 100_000
"""Bounds of what prediction searches and draws: beyond them answers outgrow memory or patience."""

Name = Literal[
    "lstm",
    "min_lstm",
    "chunks",
    "hierarchical",
    "split",
    "encoder_decoder",
    "autoencoder",
    "next_symbol",
]


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
        check_numbers(self, "model.front.conv.")
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
        if isinstance(self.conv, Conv):
            object.__setattr__(self, "conv", (self.conv,))
        check_numbers(self, "model.front.")
        check(self.parallel >= 1, "model.front.parallel", ">= 1 part", self.parallel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The model: front -> core -> pooling -> head (CONTRACT 21).

    Args:
        name: a key of MODELS.
        embedding: features of a token's embedding; one-hot instead with `input: one_hot`.
        input: how token ids enter.
        hidden: units of a direction; layers: stacked recurrent layers.
        bidirectional: also read backwards, from each record's own end.
        pooling: of the states of a record, one or several; not for per-step tasks.
        head: units of dense layers before the output layer.
        dropout: before the head and between layers; input_dropout: of single input numbers.
        noise: standard deviation of Gaussian noise on the states of each layer, in training only.
        front: what stands before the core.
        execution: how recurrent layers read whole records; `auto`: dense on CPU, measured on CUDA.
            The decoder of encoder_decoder hands its state on, in the dense form always.
        attention: encoder_decoder: attend to the encoder's states.
        beam: encoder_decoder: beams in prediction, at most 100; 1 is greedy.
        teacher_forcing: encoder_decoder: share of true previous symbols at the start and the end.
        max_target: encoder_decoder: longest output in prediction, as a multiple of the record's
            steps (before the front), at most 1,000; 16 symbols are always allowed.
        parts: split: LSTMs, each on its part of the record. merge: of their vectors.
        second_backwards: split into 2: the second part is read from its end.
        chunk: hierarchical, chunks: steps (after the front) of a chunk.
        overlap: chunks: steps that neighbouring chunks share; 0 hands the state on instead.
        upper_hidden: hierarchical: units of the upper LSTM. lower_pooling: of a chunk's states.
        code_every: autoencoder: steps of a code; none: one code a record.
        continuation: next_symbol: symbols that prediction goes on by, at most 100,000; temperature:
            of their drawing, 0 takes the likeliest.
    """

    name: Name = "lstm"
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
    parts: int = 2
    merge: Literal["concat", "sum", "mean"] = "concat"
    second_backwards: bool = False
    chunk: int = 100
    overlap: int = 0
    upper_hidden: int = 32
    lower_pooling: tuple[Pooling, ...] | Pooling = ("last",)
    code_every: int | None = None
    continuation: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for key in ("pooling", "lower_pooling"):
            if isinstance(getattr(self, key), str):
                object.__setattr__(self, key, (getattr(self, key),))
        check_numbers(self, "model.")
        for key in ("embedding", "hidden", "layers", "beam", "chunk", "upper_hidden"):
            check(getattr(self, key) >= 1, f"model.{key}", ">= 1", getattr(self, key))
        for key in ("dropout", "input_dropout"):
            value = getattr(self, key)
            check(0 <= value < 1, f"model.{key}", "in [0, 1)", value)
        check(self.noise >= 0, "model.noise", ">= 0", self.noise)
        check(all(units >= 1 for units in self.head), "model.head", "units >= 1", self.head)
        for key in ("pooling", "lower_pooling"):
            names = getattr(self, key)
            check(len(names) > 0, f"model.{key}", "one or several", names)
            check(len(set(names)) == len(names), f"model.{key}", "without repeats", names)
        self._check_parts()
        self._check_symbols()

    def _check_parts(self) -> None:
        """Of what a record is cut into."""
        check(self.parts >= 2, "model.parts", ">= 2", self.parts)
        check(
            not self.second_backwards or self.parts == 2,
            "model.second_backwards",
            "false unless parts is 2",
            self.second_backwards,
        )
        check(
            0 <= self.overlap < self.chunk,
            "model.overlap",
            f"in 0..{self.chunk - 1} (less than chunk)",
            self.overlap,
        )
        check(
            self.code_every is None or self.code_every >= 1,
            "model.code_every",
            ">= 1 step or none",
            self.code_every,
        )

    def _check_symbols(self) -> None:
        """Of how symbols are learnt, searched and drawn."""
        check(
            all(0 <= share <= 1 for share in self.teacher_forcing),
            "model.teacher_forcing",
            "two shares in [0, 1]",
            self.teacher_forcing,
        )
        check(
            self.beam <= MOST_BEAMS,
            "model.beam",
            f"<= {MOST_BEAMS} (each is decoded beside the others)",
            self.beam,
        )
        check(
            0 < self.max_target <= MOST_TARGET,
            "model.max_target",
            f"> 0 and <= {MOST_TARGET} symbols a step",
            self.max_target,
        )
        check(
            0 <= self.continuation <= MOST_CONTINUATION,
            "model.continuation",
            f"in 0..{MOST_CONTINUATION} symbols",
            self.continuation,
        )
        check(self.temperature >= 0, "model.temperature", ">= 0", self.temperature)
