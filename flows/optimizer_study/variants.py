"""The variants of the study: an optimiser, a limit of its gradient, a schedule of segments.

Every other option, the learning rate among them, stays as the pipeline file has it. Clips and
schedules are texts that a person can type: `none`, `1`, `value:0.5`; `none`, `100-50-10-2-1`,
`auto`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args, get_type_hints

from flows.comparison.applied import with_options
from flows.pipeline_file import Pipeline
from flows.study import OF_TRIALS
from models.options.training import Optimizer
from seqprep.errors import ConfigError

NONE = "none"
BY_VALUE = "value:"
OPTIMIZERS: tuple[str, ...] = get_args(get_type_hints(Optimizer)["name"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One of them.

    Args:
        optimizer: its name.
        clip: `none`, the largest norm of the whole gradient, or `value:` and the largest component.
        schedule: `none`, `auto`, or falling numbers of segments with `-` between.
    """

    optimizer: str
    clip: str = NONE
    schedule: str = NONE

    @property
    def name(self) -> str:
        """For a person.

        >>> Variant(optimizer="adam", clip="1", schedule="100-10-1").name
        'adam + clip 1 + 100-10-1'
        """
        parts = [self.optimizer]
        parts += [f"clip {self.clip}"] if self.is_clipped else []
        parts += [self.schedule] if self.is_scheduled else []
        return " + ".join(parts)

    @property
    def is_clipped(self) -> bool:
        """Whether its gradient has a limit."""
        return self.clip != NONE

    @property
    def is_scheduled(self) -> bool:
        """Whether it begins with short segments."""
        return self.schedule != NONE


def grid(
    optimizers: Sequence[str], clips: Sequence[str], schedules: Sequence[str]
) -> list[Variant]:
    """Every optimiser with every clip and every schedule, those of an optimiser together."""
    return [
        Variant(optimizer=optimizer, clip=clip, schedule=schedule)
        for optimizer, schedule, clip in product(optimizers, schedules, clips)
    ]


def apply(spec: Pipeline, variant: Variant, *, updates: int, seed: int) -> Pipeline:
    """The pipeline as a variant trains it.

    Args:
        spec: as the person wrote it.
        variant: what changes.
        updates: of the training.
        seed: of its weights, noise and batches.

    Raises:
        ConfigError: if a text of the variant cannot be read.
        JobError: if the model cannot be trained so.
    """
    norm, value = clip_of(variant.clip)
    changes: dict[str, Any] = {
        "optimizer.name": variant.optimizer,
        "optimizer.clip_norm": norm,
        "optimizer.clip_value": value,
        "backpropagation": schedule_of(variant.schedule, patience=patience(spec)),
        **{**OF_TRIALS, "updates": updates, "seed": seed},
    }
    return with_options(spec, changes)


def patience(spec: Pipeline) -> int:
    """Epochs that a schedule waits: as the file says, or by default."""
    return spec.train.backpropagation.patience


def check_optimizer(name: str) -> None:
    """Refuse an optimiser that there is not.

    Raises:
        ConfigError: naming those that there are.
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"--optimizers: unknown {name!r}; choose from {', '.join(OPTIMIZERS)}")


def clip_of(text: str) -> tuple[float | None, float | None]:
    """Limits of the norm and of each component.

    >>> clip_of("none"), clip_of("1"), clip_of("value:0.5")
    ((None, None), (1.0, None), (None, 0.5))

    Raises:
        ConfigError: if it is neither.
    """
    if text == NONE:
        return None, None
    try:
        limit = float(text.removeprefix(BY_VALUE))
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise ConfigError(
            f"--clips: {text!r} is no limit; give none, a norm > 0 like 1, or value:0.5"
        )
    return (None, limit) if text.startswith(BY_VALUE) else (limit, None)


def schedule_of(text: str, *, patience: int) -> dict[str, Any]:
    """Options of backpropagation.

    Args:
        text: as a person types it.
        patience: epochs without a better training loss after which the schedule goes on.

    >>> schedule_of("10-1", patience=20)
    {'mode': 'segments', 'schedule': [10, 1], 'patience': 20}

    Raises:
        ConfigError: if it is no schedule.
    """
    if text == NONE:
        return {"mode": "full"}
    numbers = [] if text == "auto" else [*numbers_of(text)]
    falling = sorted({n for n in numbers if n >= 1}, reverse=True)
    if text != "auto" and (not numbers or numbers != falling):
        raise ConfigError(
            f"--schedules: {text!r} is no schedule; give none, auto, or falling numbers of "
            "segments like 100-50-10-2-1"
        )
    schedule = text if text == "auto" else numbers
    return {"mode": "segments", "schedule": schedule, "patience": patience}


def numbers_of(schedule: str) -> tuple[int, ...]:
    """Numbers of segments of a schedule that names them; () where it does not.

    >>> numbers_of("100-10-1"), numbers_of("none")
    ((100, 10, 1), ())
    """
    parts = schedule.split("-")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
