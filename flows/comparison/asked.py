"""What a person wants of a comparison: the options of the command and of the run form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from flows.comparison.applied import PREFIX
from flows.comparison.budget import SEEDS, Equal
from flows.comparison.combinations import check_strategy
from flows.comparison.scores import check_task
from flows.descriptions import describe
from flows.pipeline_file import Pipeline
from flows.study import check_limits, check_validation
from seqprep.errors import ConfigError
from seqprep.token_table import TokenTable


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a person wants of a comparison.

    Args:
        strategies: names, joined by `+` where several are one; (): all that fit.
        minutes: that all of it may take.
        equal: what every training gets the same of.
        seeds: of each finalist.
        everything: train all strategies in full, not the best of a search alone.
        workers: trainings at once, on this machine.
        stop_hopeless: stop trainings early by the rule of `hopeless`.
        reference: a table of tokens of other text, for `idf`.
    """

    strategies: tuple[str, ...] = ()
    minutes: float = 30.0
    equal: Equal = "seconds"
    seeds: int = SEEDS
    everything: bool = False
    workers: int = 2
    stop_hopeless: bool = False
    reference: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "minutes", float(self.minutes))  # 5 and 5.0 are one question
        check_limits(self.minutes, seeds=self.seeds, workers=self.workers)


Asked.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
    extra="forbid", json_schema_extra=describe
)


def check_asked(spec: Pipeline, asked: Asked) -> None:
    """Refuse what can be seen to be impossible before anything is started.

    Args:
        spec: the pipeline.
        asked: of its comparison.

    Raises:
        ConfigError: naming the task, the strategy, the table of tokens, the split or the recipe.
    """
    check_task(spec.source.task, study="compare")
    for name in asked.strategies:
        check_strategy(name)
    if asked.reference is not None:
        TokenTable.read(Path(asked.reference), key="--reference")
    check_validation(spec.split.validation != 0, study="compare")
    if spec.prepare.recipe.startswith(PREFIX):
        raise ConfigError(
            f"prepare.recipe {spec.prepare.recipe!r}: names that begin with {PREFIX!r} are those "
            "of the comparison's own rows; give it another name"
        )
