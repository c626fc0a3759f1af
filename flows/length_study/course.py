"""The course of a length study: measure the pace of each length, train it with all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from flows.comparison.applied import with_options
from flows.comparison.budget import PACE_UPDATES
from flows.comparison.course import held_out
from flows.comparison.left import Left
from flows.comparison.pace import Pace
from flows.comparison.pieces import Crew, Piece, measure_each, train_all
from flows.comparison.scores import Score
from flows.comparison.table import Cheap, baselines_of
from flows.comparison.tell import teller
from flows.comparison.trials import Outcome, Trial, pace_of
from flows.length_study.budget import Plan
from flows.pipeline_file import Pipeline
from flows.progress import say
from flows.references import Json
from flows.study import OF_TRIALS


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """A length with its pipeline and its rows.

    Args:
        steps: at most, of a row. told: in a person's words.
        spec: the pipeline. prepared: what `prepare` made with it.
        kept_share: of the steps of whole records.
    """

    steps: int
    told: str
    spec: Pipeline
    prepared: Json
    kept_share: float

    @property
    def name(self) -> str:
        """A key that is the same whenever the study is run."""
        return str(self.steps)

    @property
    def rows(self) -> int:
        """Of training."""
        return int(self.prepared["rows"]["train"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a length stands at the end.

    Args:
        rung: the length. outcomes: of its trainings, one a seed.
        validation, test: its scores; test None where there are no such rows.
        cheap: the baselines, fitted and scored on the same cut records.
        update_s: seconds of an update, with the seed that was least held up by what else ran.
        row_steps: steps of a training row, the mean.
        is_timed: whether its updates have as many rows as those of other lengths.
    """

    rung: Rung
    outcomes: tuple[Outcome, ...]
    validation: Score
    test: Score | None
    cheap: tuple[Cheap, ...]
    update_s: float
    row_steps: float
    is_timed: bool

    @property
    def memory_bytes(self) -> int:
        """The most that one of its trainings took."""
        return max(outcome.memory_bytes for outcome in self.outcomes)

    @property
    def train_s(self) -> float:
        """Of one training, the mean over its seeds."""
        return fmean(outcome.train_seconds for outcome in self.outcomes)


def measure_all(rungs: Sequence[Rung], *, rows: int, crew: Crew, left: Left) -> dict[str, Pace]:
    """The pace of each length; those that cannot train are left out.

    Args:
        rungs: the lengths.
        rows: of an update.
        crew: who trains.
        left: takes those that cannot, with the reason.
    """
    longest, paces = rungs[-1].steps, dict[str, Pace]()
    trials = [_trial(rung, rows=rows, longest=longest, updates=PACE_UPDATES) for rung in rungs]

    def note(place: int, found: Pace | Exception) -> None:
        if isinstance(found, Pace):
            paces[rungs[place].name] = found
        else:
            say(f"    {rungs[place].told}: {left.note(rungs[place].told, found)}")

    measure_each(trials, crew, told=note)
    return paces


def train(rungs: Sequence[Rung], plan: Plan, crew: Crew, *, left: Left) -> list[Standing]:
    """All lengths, the shortest first; those whose trainings gave nothing are left out.

    A seed of each is trained before the next one of any, the longest first.

    Args:
        rungs: the lengths.
        plan: what will be trained.
        crew: who trains, and until when.
        left: takes those that gave nothing, with the reason.
    """
    asked = [(rung, number) for number in range(plan.seeds) for rung in reversed(rungs)]
    pieces = [_piece(rung, number, plan, longest=rungs[-1].steps) for rung, number in asked]
    outcomes = train_all(pieces, crew, told=teller("training", len(pieces), left))
    found = []
    for place, rung in enumerate(rungs):
        pairs = zip(asked, outcomes, strict=True)
        mine = [one for (other, _), one in pairs if other is rung and isinstance(one, Outcome)]
        if mine:
            found.append(_standing(rung, mine, plan, place=place))
    return found


def _piece(rung: Rung, number: int, plan: Plan, *, longest: int) -> Piece:
    updates = plan.updates[rung.name]
    return Piece(
        trial=_trial(rung, rows=plan.rows, longest=longest, updates=updates, seed=number),
        expected_s=plan.each_s[rung.name],
        note=f"{rung.name}-{number}",
        may_stop=False,
    )


def _trial(rung: Rung, *, rows: int, longest: int, updates: int, seed: int = 0) -> Trial:
    """A training whose updates have the same number of rows at every length."""
    options: Mapping[str, object] = {
        **OF_TRIALS,
        "max_rows": rows,
        "batch_tokens": rows * longest,
        "updates": updates,
        "seed": rung.spec.train.seed + seed,
    }
    spec = with_options(rung.spec, options)
    return Trial(
        strategy=rung.told, setting=f"{updates:,} updates", spec=spec, prepared=rung.prepared
    )


def _standing(rung: Rung, outcomes: Sequence[Outcome], plan: Plan, *, place: int) -> Standing:
    task = rung.spec.source.task
    paces = [pace_of(Path(one.folder), one.wall_seconds, rung.prepared) for one in outcomes]
    has_test = bool(rung.prepared["rows"].get("test"))
    return Standing(
        rung=rung,
        outcomes=tuple(outcomes),
        validation=held_out("validation", outcomes, task=task, place=place),
        test=held_out("test", outcomes, task=task, place=place) if has_test else None,
        cheap=tuple(baselines_of(Path(outcomes[0].folder), task)),
        update_s=min(pace.update_s for pace in paces),
        row_steps=rung.prepared["steps_after"]["train"] / max(1, rung.rows),
        is_timed=rung.rows >= plan.rows,
    )
