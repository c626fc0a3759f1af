"""What a person wants of the study: the options of the command and of the run form."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict

from flows.comparison.budget import SEEDS
from flows.comparison.scores import check_task
from flows.descriptions import describe
from flows.optimizer_study.variants import NONE, apply, check_optimizer, grid
from flows.pipeline_file import Pipeline
from flows.study import check_limits, check_validation
from flows.training.warm import refuse_warm
from seqprep.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a person wants of the study of optimisers.

    Args:
        optimizers: names of `train.optimizer.name`.
        clips: `none`, a norm like `1`, or `value:0.5`.
        schedules: `none`, `auto`, or falling numbers of segments like `100-50-10-2-1`.
        minutes: that all of it may take; the updates of each training follow.
        full: updates of each training, whatever time they take; none: those that fit `minutes`.
        seeds: of each variant.
        workers: trainings at once.
    """

    optimizers: tuple[str, ...] = ("sgd", "rmsprop", "adam")
    clips: tuple[str, ...] = (NONE, "1")
    schedules: tuple[str, ...] = (NONE, "100-50-10-2-1")
    minutes: float = 90.0
    full: int | None = None
    seeds: int = SEEDS
    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "minutes", float(self.minutes))  # 5 and 5.0 are one question
        check_limits(self.minutes, full=self.full, seeds=self.seeds, workers=self.workers)
        for key in ("optimizers", "clips", "schedules"):
            names = getattr(self, key)
            if not names or len(set(names)) < len(names):
                raise ConfigError(f"--{key}: name each once, at least one, got {','.join(names)}")


Asked.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
    extra="forbid", json_schema_extra=describe
)


def check_asked(spec: Pipeline, asked: Asked) -> None:
    """Refuse what can be seen to be impossible before anything is started.

    Args:
        spec: the pipeline.
        asked: of the study.

    Raises:
        ConfigError: naming the task, the split, or what of the grid is wrong.
        JobError: if the model cannot be trained in one of the ways.
    """
    check_task(spec.source.task, study="optimizers")
    refuse_warm(spec, "optimizers")
    check_validation(spec.split.validation != 0, study="optimizers")
    for name in asked.optimizers:
        check_optimizer(name)
    for variant in grid(asked.optimizers, asked.clips, asked.schedules):
        apply(spec, variant, updates=1, seed=0)
