"""The other strand of DNA as a view (P8).

Use it for double-stranded DNA whose label does not depend on the strand that was read. Not for
transcripts, whose strand carries the answer, nor where a target belongs to one strand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Unit
from seqprep.preparation.transform import Context, as_step
from seqprep.ragged import Ragged
from seqprep.schema import Task
from seqprep.transforms.options import ViewOptions
from seqprep.views import mirrored_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class ReverseComplement(ViewOptions):
    """The k-mers of a row as read on the other strand: order reversed, each one complemented.

    With stride 1 this equals the k-mers of the reverse complement; with a larger stride it is the
    same k-mers seen from the other side, so it may stand anywhere in a chain. A complement that no
    training row holds is OOV.

    Args:
        p: share of the rows that are turned.

    >>> ReverseComplement(views=1).p
    1.0
    """

    name: ClassVar[str] = "reverse_complement"
    kind: ClassVar[Kind] = "views"
    units: ClassVar[tuple[Unit, ...]] = ("kmer",)
    needs_ranks: ClassVar[bool] = True

    p: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.p, int | float) or not 0 < self.p <= 1:
            raise ConfigError(f"reverse_complement.p must be in (0, 1], got {self.p!r}")
        self.check_views()

    def check(self, *, domain: str, task: Task) -> None:
        """Refuse targets that belong to one strand."""
        if task == "translate":
            raise ConfigError(
                "reverse_complement does not fit task: translate: the target belongs to the "
                "strand that was given; remove the step"
            )

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Turn the drawn rows round and complement their k-mers."""
        assert context.complement is not None
        step = as_step(self.name, context.position, self.options())
        keys = ragged.draw_keys(chunk.keys, chunk.windows)
        turned = mirrored_rows(step, keys, seed=context.seed, view=chunk.views)
        offsets, targets = chunk.steps.offsets, chunk.targets
        steps = ragged.turn_rows(chunk.steps.values, offsets, turned, table=context.complement)
        if targets is not None:
            targets = Ragged(ragged.turn_rows(targets.values, offsets, turned), offsets)
        return replace(chunk, steps=Ragged(steps, offsets), targets=targets)
