"""Options that several techniques share, and the way they select steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import ALL_UNITS, TOKEN_UNITS, Form, Unit
from seqprep.preparation.transform import Context, as_step
from seqprep.schema import Task
from seqprep.views import view_marks, view_spans

__all__ = [
    "ALL_UNITS",
    "TOKEN_UNITS",
    "FixedStep",
    "ViewOptions",
    "check_at_least",
    "check_choice",
]


def check_at_least(name: str, key: str, value: int, limit: int, unit: str) -> None:
    """Refuse what is not a whole number of at least `limit`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < limit:
        raise ConfigError(f"{name}.{key} must be a whole number >= {limit} {unit}, got {value!r}")


def check_choice(name: str, key: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices."""
    if value not in choices:
        raise ConfigError(f"{name}.{key} must be one of {', '.join(choices)}; got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What all techniques share: selecting steps of any unit, for every domain and task.

    A technique names what differs: its `kind`, `units`, and what it makes of them.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kind: ClassVar[Kind] = "selects"
    units: ClassVar[tuple[Unit, ...]] = ALL_UNITS
    needs_ranks: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        """What a person wrote, defaults filled in."""
        return asdict(self)

    def check(self, *, domain: str, task: Task) -> None:
        """Serves every domain and task."""

    def gives(self, unit: Unit) -> Unit:
        """Steps of the same unit."""
        return unit

    def outcome(self, form: Form) -> Form:
        """Rows of the same form."""
        return form


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedStep(Step):
    """A technique that draws nothing: every row of every split is changed once."""

    views: ClassVar[int] = 0
    original: ClassVar[Literal["keep"]] = "keep"
    when: ClassVar[Literal["store"]] = "store"


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewOptions(Step):
    """What a technique that draws at random takes beside its own options (CONTRACT 14).

    Args:
        views: 0: a reduction, every row of every split once. n: augmentation, training rows get
            views 1..n beside view 0; other splits have view 0 only.
        original: `drop` leaves view 0 out of the training rows.
        when: `train`: augmentation drawn afresh in each epoch, when batches are made.
    """

    views: int = 0
    original: Literal["keep", "drop"] = "keep"
    when: Literal["store", "train"] = "store"

    def check_views(self) -> None:
        """Refuse options that contradict one another."""
        check_at_least(self.name, "views", self.views, 0, "views")
        check_choice(self.name, "original", self.original, ("keep", "drop"))
        check_choice(self.name, "when", self.when, ("store", "train"))
        if self.when == "train" and self.views:
            raise ConfigError(
                f"{self.name}: `when: train` draws a view in every epoch; remove `views`"
            )
        if self.original == "drop" and not self.views:
            raise ConfigError(f"{self.name}: `original: drop` has a meaning only with `views`")

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Select steps, and per-step targets by the same numbers."""
        step = as_step(self.name, context.position, self.options())
        keys = ragged.draw_keys(chunk.keys, chunk.windows)
        spans = view_spans(chunk.lengths, step, keys, seed=context.seed, view=chunk.views)
        if spans is not None:
            return chunk.cut(*spans)
        marks = view_marks(chunk.steps.offsets, step, keys, seed=context.seed, view=chunk.views)
        return chunk.keep(marks)
