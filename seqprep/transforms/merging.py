"""What techniques share that make one step of several: what becomes of per-step targets.

A subclass finds its spans and its values; the targets follow by the same spans (CONTRACT 13).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seqprep.blocks import Merge, Spans, merge_targets
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Unit
from seqprep.ragged import Ragged
from seqprep.schema import Task
from seqprep.transforms.options import FixedStep, check_choice

_TASKS: dict[str, Task] = {"mean": "regress_steps", "majority": "label_steps"}
"""The task whose targets can be merged so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergingStep(FixedStep):
    """A technique that makes one step of several.

    Args:
        targets: of a merged step, in tasks with a target for each step: `last`: that of its last
            step; `mean`, of values; `majority`, of labels, where ignored steps have no vote and of
            equally many the smallest code wins.
    """

    kind: ClassVar[Kind] = "merges"
    units: ClassVar[tuple[Unit, ...]] = ("value",)

    targets: Merge = "last"

    def check_targets(self) -> None:
        """Refuse another word than those of `Merge`."""
        check_choice(self.name, "targets", self.targets, ("last", "mean", "majority"))

    def check(self, *, domain: str, task: Task) -> None:
        """Refuse to merge targets of another kind, or those of a task that has none."""
        needed = _TASKS.get(self.targets)
        if needed is not None and task != needed:
            raise ConfigError(
                f"{self.name}: `targets: {self.targets}` needs task: {needed}, got task: {task}; "
                "remove it, or write `targets: last`"
            )

    def merge(self, chunk: Chunk, values: npt.NDArray[Any], spans: Spans) -> Chunk:
        """The chunk whose steps are `values` of the spans, `(B,)` or `(B, F)`."""
        if np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float32, copy=False)
        return replace(
            chunk,
            steps=Ragged(values, spans.offsets),
            targets=chunk.targets and merge_targets(chunk.targets, spans, self.targets),
        )
