"""One way of handling long sequences, and what its numbers follow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seqprep.preparation.form import Unit
from seqprep.schema import Task

Step = dict[str, dict[str, Any]]
PretrainingKind = Literal["codes", "encoder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What a strategy's numbers follow from.

    Args:
        task: what is learnt. unit: of the plain pipeline's steps.
        steps: the median row of it, in steps.
        vocab_size: ids of the input; None for values.
        rate_hz: of signals, where known.
        channels: of values; 0 for tokens.
        hidden: units of the model.
        reference: a table of tokens of other text, as the pipeline file would name it.
    """

    task: Task
    unit: Unit
    steps: int
    vocab_size: int | None
    rate_hz: float | None
    channels: int
    hidden: int
    reference: str | None = None

    @property
    def cut(self) -> int:
        """Steps that a shortened record keeps: a quarter of the median, at least 8."""
        return max(8, round(self.steps / 4))

    @property
    def chunk(self) -> int:
        """Steps of a chunk of a hierarchy: as many as there are chunks in the median record."""
        return max(2, round(self.steps**0.5))


@dataclass(frozen=True, kw_only=True, slots=True)
class Strategy:
    """One way of handling long sequences.

    Args:
        name: as a person names it; several joined by `+` are a combination.
        family: what it is a kind of. told: what it does here, in a person's words.
        steps: of the recipe, after those that the plain pipeline keeps.
        train: keys under `train` -> their values, e.g. `model.pooling`.
        pretraining: an autoencoder first, as long as what follows: its `codes` are the rows, or
            its `encoder` is what training begins from.
        autoencoder: keys of its model -> their values.
        rows: name of what its rows are prepared as, where they are those of another strategy;
            None: its own.
    """

    name: str
    family: str
    told: str
    steps: tuple[Step, ...] = ()
    train: Mapping[str, Any] = field(default_factory=dict)
    pretraining: PretrainingKind | None = None
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    rows: str | None = None


Found = Strategy | str
"""A strategy, or why it means nothing here."""
