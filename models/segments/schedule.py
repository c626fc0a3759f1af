"""The schedule of segment lengths: many short segments first, the whole row last.

Short segments give many updates and gradients that do not vanish; long ones reach further back. A
schedule names numbers of segments of the longest row: 100 means 100 segments, not 100 steps. It
goes on when the training loss has stopped falling. The automatic one halves the number again and
again; it also goes on with the training, so that the second half of it reads whole rows however
slowly the loss falls.

Source: training on growing lengths, Bengio et al. 2009, doi:10.1145/1553374.1553380
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.options.training import Backpropagation

MOST = 64
"""Segments of the first phase of an automatic schedule."""
SHORTEST = 16
"""Steps of a segment in it, at least."""
_SHORT = 0.5
"""Share of the training before which an automatic schedule reads whole rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """Epochs with one length of segments.

    Args:
        number: from 0.
        segments: that the longest row has. steps: of a segment.
        since: its first epoch, from 1. why: what began it.
        best: lowest training loss in it. waited: epochs since.
        last: whether no other comes after it.
    """

    number: int
    segments: int
    steps: int
    since: int
    why: str
    best: float | None = None
    waited: int = 0
    last: bool = True

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Phase:
        """What `to_json` gave."""
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def segment_steps(longest: int, segments: int) -> int:
    """Steps of a segment when the longest row shall have so many.

    >>> segment_steps(20_000, 100), segment_steps(1_050, 100), segment_steps(7, 10)
    (200, 11, 1)
    """
    return -(-longest // segments)


def numbers_of(options: Backpropagation, longest: int) -> tuple[int, ...]:
    """Numbers of segments of all phases; one phase where k1 is given.

    Args:
        options: with mode segments.
        longest: steps of the longest row.

    >>> numbers_of(Backpropagation(mode="segments", schedule="auto"), 200)
    (8, 4, 2, 1)
    """
    if options.k1 is not None:
        return (segment_steps(longest, options.k1),)
    if options.schedule != "auto":
        return options.schedule
    halved = [2**power for power in range(MOST.bit_length() - 1, 0, -1)]
    return (*(n for n in halved if segment_steps(longest, n) >= SHORTEST), 1)


def choose(
    phase: Phase | None, options: Backpropagation, *, longest: int, epoch: int, share: float
) -> Phase:
    """The phase of the coming epoch.

    Args:
        phase: of the last one; None before the first.
        options: with mode segments.
        longest: steps of the longest row in the coming epoch.
        epoch: its number, from 1.
        share: of the training that is done in its middle.
    """
    numbers = numbers_of(options, longest)
    number, why = (0, _beginning(options)) if phase is None else (phase.number, phase.why)
    if phase is not None and phase.waited >= options.patience and number + 1 < len(numbers):
        below = (
            "finite training loss" if phase.best is None else f"training loss < {phase.best:.4g}"
        )
        number += 1
        why = f"no {below} in {phase.waited} epochs"
    if options.schedule == "auto":
        due = min(int(share / _SHORT * (len(numbers) - 1)), len(numbers) - 1)
        if due > number:
            number, why = due, f"{share:.0%} of the training"
    number = min(number, len(numbers) - 1)  # rows that are drawn afresh may be shorter
    steps = options.k1 or segment_steps(longest, numbers[number])
    last = number == len(numbers) - 1
    if phase is not None and phase.number == number:
        return replace(phase, segments=numbers[number], steps=steps, last=last)
    return Phase(
        number=number, segments=numbers[number], steps=steps, since=epoch, why=why, last=last
    )


def _beginning(options: Backpropagation) -> str:
    if options.k1 is not None:
        return f"k1: {options.k1}"
    return "the schedule begins" if options.schedule != "auto" else "short pieces first"


def after_epoch(phase: Phase, loss: float | None) -> Phase:
    """The phase with what an epoch's training loss says of it; None: it was not finite."""
    if loss is None or (phase.best is not None and loss >= phase.best):
        return replace(phase, waited=phase.waited + 1)
    return replace(phase, best=loss, waited=0)
