"""What a person wants of a length study: the options of the command and of the run form."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict

from flows.comparison.budget import SEEDS
from flows.comparison.scores import check_task
from flows.descriptions import describe
from flows.length_study.cut import Keep
from flows.pipeline_file import Pipeline
from flows.study import check_limits, check_validation
from models.options.model_fits import OF_STEPS
from seqprep.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedLengths:
    """What a person wants of a length study.

    Args:
        rungs: lengths in steps; (): 8, 16, 32 and so on up to the longest record.
        keep: the part of a record that stays; none: the tail, and pieces where every step is
            answered.
        minutes: that all of it may take.
        seeds: trainings of each length.
        workers: trainings at once.
    """

    rungs: tuple[int, ...] = ()
    keep: Keep | None = None
    minutes: float = 30.0
    seeds: int = SEEDS
    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "minutes", float(self.minutes))  # 5 and 5.0 are one question
        object.__setattr__(self, "rungs", tuple(sorted(set(self.rungs))))
        check_limits(self.minutes, seeds=self.seeds, workers=self.workers)
        if self.rungs and self.rungs[0] < 1:
            raise ConfigError(f"--rungs must be lengths of >= 1 step, got {self.rungs[0]}")
        if len(self.rungs) == 1:
            raise ConfigError(
                f"--rungs {self.rungs[0]} is one length, with nothing beside it; name two or more, "
                "or none for a ladder up to the longest record"
            )


AskedLengths.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
    extra="forbid", json_schema_extra=describe
)


def rungs_of(text: str) -> tuple[int, ...]:
    """Lengths as a person types them.

    Args:
        text: whole numbers with commas between.

    Raises:
        ConfigError: naming what is none.

    >>> rungs_of("64, 256")
    (64, 256)
    """
    found = []
    for part in filter(None, text.replace(" ", "").split(",")):
        if not (part.isascii() and part.isdigit()):
            raise ConfigError(
                f"--rungs takes whole numbers of steps with commas between, e.g. 64,256,1024; got "
                f"{part!r}"
            )
        found.append(int(part))
    return tuple(found)


def check_lengths(spec: Pipeline, asked: AskedLengths) -> None:
    """Refuse what can be seen to be impossible before anything is started.

    Args:
        spec: the pipeline.
        asked: of its study.

    Raises:
        ConfigError: naming the task, the option or the split.
    """
    task = spec.source.task
    check_task(task, study="lengths")
    if asked.keep is not None and task in OF_STEPS:
        raise ConfigError(
            f"--keep {asked.keep} has no meaning with task: {task}: every step is answered, so "
            "records are read in pieces of each length and nothing is cut off; leave it out"
        )
    check_validation(spec.split.validation != 0, study="lengths")
