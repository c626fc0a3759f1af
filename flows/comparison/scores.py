"""Scores of records, and intervals of a strategy's mean score over records and seeds.

A percentile bootstrap of two levels: records are drawn again, and so are the seeds. The draws of
records are the same for all strategies, so that what two of them share cancels out in their
difference. Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13.

Legend: D draws, R records, S seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.errors import ConfigError

Floats = npt.NDArray[np.float64]
DRAWS, SEED, LEVEL = 2000, 0, 0.95
MEASURES = {
    "classify": "accuracy",
    "regress": "rmse",
    "label_steps": "accuracy",
    "regress_steps": "rmse",
}
"""What strategies are compared by, by task."""


def check_task(task: str, *, study: str) -> None:
    """Refuse a task whose answers are not compared yet.

    Args:
        task: what is learnt.
        study: the command, as a person types it.

    Raises:
        ConfigError: naming those that are.
    """
    if task not in MEASURES:
        raise ConfigError(
            f"{study} does not do task {task!r}: its answers have no score a record that all "
            f"trainings share; it does {', '.join(MEASURES)}"
        )


def record_scores(path: Path, task: str) -> tuple[list[str], Floats]:
    """Ids in order, and how good each record's answer is: more is better, `(R,)`.

    Args:
        path: predictions of a training.
        task: what was learnt. Of steps a record's score is the mean over its own.
    """
    table = pq.read_table(path, columns=["id", "prediction", "truth"]).sort_by("id")
    answers, truths = table["prediction"], table["truth"]
    if task == "classify":
        right = pa.compute.equal(answers, truths)
        found = right.to_numpy(zero_copy_only=False).astype(np.float64)
    elif task == "regress":
        found = -np.square(answers.to_numpy() - truths.to_numpy())
    else:
        found = np.array([_of_steps(*row, task=task) for row in zip(answers, truths, strict=True)])
    return table["id"].to_pylist(), found


def _of_steps(answer: pa.Scalar, truth: pa.Scalar, *, task: str) -> float:
    given, known = answer.values, truth.values
    if task == "label_steps":
        return float(pa.compute.mean(pa.compute.equal(given, known)).as_py() or 0.0)
    return -float(np.square(given.to_numpy() - known.to_numpy()).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A mean score, its interval, and the draws that it is made of.

    Args:
        measure: one of MEASURES. seeds: that were trained. records: that were answered.
        mean, means: of more-is-better scores, of all seeds and of each. draws: `(D,)` of it.
    """

    measure: str
    seeds: int
    records: int
    mean: float
    means: tuple[float, ...]
    draws: Floats

    @property
    def shown(self) -> float:
        """The mean in the measure's own unit."""
        return _shown(self.mean, self.measure)

    @property
    def shown_seeds(self) -> list[float]:
        """The mean of each seed, in the measure's own unit."""
        return [_shown(mean, self.measure) for mean in self.means]

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of 95 % of the draws, in the measure's own unit, the smaller one first.

        Where every answer is right, or wrong, no draw differs, and Wilson's bounds are given.
        """
        if self.measure == "accuracy" and self.mean in (0.0, 1.0):
            return wilson(self.mean, self.records)
        tail = (1 - LEVEL) / 2
        ends = [_shown(float(x), self.measure) for x in np.quantile(self.draws, (tail, 1 - tail))]
        return min(ends), max(ends)

    def is_distinguishable(self, other: Score) -> bool:
        """Whether the interval of the difference leaves out 0."""
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(self.draws - other.draws, (tail, 1 - tail))
        return bool(low > 0 or high < 0)


def _shown(mean: float, measure: str) -> float:
    return math.sqrt(max(0.0, -mean)) if measure == "rmse" else mean


def score(measure: str, scores_SR: Floats, *, place: int) -> Score:
    """The mean of a strategy over seeds and records.

    Args:
        measure: one of MEASURES.
        scores_SR: of each seed and record; the records in one order for all strategies.
        place: number of the strategy: its seeds are drawn by themselves.
    """
    seeds, records = scores_SR.shape
    drawn_DR = np.random.default_rng(SEED).multinomial(
        records, np.full(records, 1 / records), size=DRAWS
    )
    means_DS = drawn_DR @ scores_SR.T / records
    weights_DS = np.random.default_rng((SEED, place)).multinomial(
        seeds, np.full(seeds, 1 / seeds), size=DRAWS
    )
    draws = (means_DS * weights_DS).sum(axis=1) / seeds
    return Score(
        measure=measure,
        seeds=seeds,
        records=records,
        mean=float(scores_SR.mean()),
        means=tuple(scores_SR.mean(axis=1).tolist()),
        draws=draws,
    )


def wilson(share: float, records: int) -> tuple[float, float]:
    """The 95 % interval of a share of records (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    >>> [round(bound, 3) for bound in wilson(0.8, 100)]
    [0.711, 0.867]
    """
    z = 1.959964
    middle = (share + z * z / (2 * records)) / (1 + z * z / records)
    half = z * math.sqrt(share * (1 - share) / records + z * z / (4 * records**2))
    half /= 1 + z * z / records
    return middle - half, middle + half
