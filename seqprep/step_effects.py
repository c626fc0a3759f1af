"""What the techniques of a chain are given and give, added up while it runs.

Use it where a person should see which step takes how much; the rows go through unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Transform, Windowed
from seqprep.transforms import name_of


@dataclass(kw_only=True, slots=True)
class StepEffect:
    """What one technique is given and gives, over all rows that it may change.

    Args:
        name: of it. options: that are not at their defaults.
        window: steps that a row needs for one whole window; 0 for a technique without.
        drawn: whether it runs afresh in every epoch.
        rows_before, rows_after: rows. steps_before, steps_after: their steps.
        short_rows: of the rows before, those that fill no window.
    """

    name: str
    options: dict[str, Any]
    window: int = 0
    drawn: bool = False
    rows_before: int = 0
    rows_after: int = 0
    steps_before: int = 0
    steps_after: int = 0
    short_rows: int = 0

    @classmethod
    def of(cls, step: Transform, form: Form) -> Self:
        """Of a technique that has not run yet on rows of this form."""
        window = step.window_steps(form) if isinstance(step, Windowed) else 0
        return cls(name=name_of(step), options=_given(step), window=window)

    @property
    def removed_share(self) -> float:
        """Share of the steps that are gone; below 0 where rows grow."""
        return 1 - self.steps_after / self.steps_before if self.steps_before else 0.0


@dataclass(kw_only=True, slots=True)
class EffectWatch:
    """Adds up what the steps of a chain are given and give.

    Args:
        effects: of each step. views: whether a step leaves view 0 of a row alone.
    """

    effects: list[StepEffect]
    views: Sequence[bool]
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, chain: Chain) -> Self:
        """Of a chain that has not run yet."""
        steps = chain.steps
        effects = [
            StepEffect.of(step, form) for step, form in zip(steps, chain.forms[:-1], strict=True)
        ]
        return cls(effects=effects, views=[step.views > 0 for step in steps])

    def seen(self, position: int, before: Chunk, after: Chunk) -> None:
        """Called by the chain, from any thread."""
        effect, first = self.effects[position], 1 if self.views[position] else 0
        given, made = (chunk.lengths[chunk.views >= first] for chunk in (before, after))
        with self.lock:
            effect.rows_before += len(given)
            effect.steps_before += int(given.sum())
            effect.rows_after += len(made)
            effect.steps_after += int(made.sum())
            effect.short_rows += int((given < effect.window).sum())


def _given(step: Transform) -> dict[str, Any]:
    """The options that are not at their defaults."""
    defaults = {one.name: one.default for one in fields(step)}  # type: ignore[arg-type]
    return {name: value for name, value in step.options().items() if value != defaults[name]}
