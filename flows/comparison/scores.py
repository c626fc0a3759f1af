"""Scores of records, and intervals of a strategy's mean score over records and seeds.

A bootstrap of two levels. Records are drawn again, the same for all strategies, so that what two
of them share cancels out in their difference (Efron & Tibshirani 1993, "An Introduction to the
Bootstrap", chapters 8 and 13). Seeds are too few for that: of three, drawn again, 95 % intervals
hold the truth three times in four. So how far their mean may be off is drawn from Student's t, as
for the mean of a few normal numbers ("Student" 1908, doi:10.1093/biomet/6.1.1).

Every measure is a mean of ratios: of sums over records, such as right answers and answers, a ratio
each, of F1 one a class. A record brings its parts of these sums, and a draw sums those of its
records.

Legend: D draws, R records, S seeds, K ratios.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqprep.errors import ConfigError

Floats = npt.NDArray[np.float64]
DRAWS, SEED, LEVEL = 2000, 0, 0.95
CELLS = 2**22
"""Draws times records that are held at once: 32 MiB."""
LEAST_RECORDS = 6
"""Of fewer, all may speak for one of two by chance alone, in 1 of 16 (sign test)."""
MEASURES = {
    "classify": "accuracy",
    "regress": "rmse",
    "label_steps": "macro_f1",
    "regress_steps": "rmse",
}
"""What strategies are compared by, by task (CONTRACT 27)."""
TOLD = {"accuracy": "accuracy", "rmse": "RMSE", "macro_f1": "macro-F1 over steps"}
"""The same for a person."""


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
    """Ids in order, and each record's parts of the score, `(R, 2 K)`: above and below the line.

    Args:
        path: predictions of a training.
        task: what was learnt. Errors are negative: more is always better. Of steps each counts
            alike, whichever record it is of.
    """
    table = pq.read_table(path, columns=["id", "prediction", "truth"]).sort_by("id")
    ids = table["id"].to_pylist()
    answers, truths = (table[name].combine_chunks() for name in ("prediction", "truth"))
    if task == "classify":
        right = pc.equal(answers, truths).to_numpy(zero_copy_only=False)
        return ids, _over_counts(right.astype(np.float64))
    if task == "regress":
        return ids, _over_counts(-np.square(answers.to_numpy() - truths.to_numpy()))
    record_N = np.repeat(np.arange(len(ids)), pc.list_value_length(answers).to_numpy())
    given, known = answers.flatten(), truths.flatten()
    if task == "label_steps":
        return ids, _of_classes(given, known, record_N, len(ids))
    errors_N = -np.square(given.to_numpy() - known.to_numpy())
    sums = [np.bincount(record_N, weights, minlength=len(ids)) for weights in (errors_N, None)]
    return ids, np.stack(sums, axis=1).astype(np.float64)


def _over_counts(scores_R: Floats) -> Floats:
    return np.stack([scores_R, np.ones_like(scores_R)], axis=1)


def _of_classes(
    given: pa.Array, known: pa.Array, record_N: npt.NDArray[np.int64], records: int
) -> Floats:
    """Parts of the F1 of each class: twice its hits over its answers and truths, `(R, 2 K)`."""
    has_label = known.is_valid()
    given, known = given.filter(has_label), known.filter(has_label)
    record_N = record_N[has_label.to_numpy(zero_copy_only=False)]
    both = pa.chunked_array([given, known]).combine_chunks().dictionary_encode()
    codes_N = both.indices.to_numpy()
    said_N, real_N, classes = codes_N[: len(given)], codes_N[len(given) :], len(both.dictionary)

    def counts(codes_N: npt.NDArray[np.int64], of: npt.NDArray[np.int64]) -> Floats:
        flat = np.bincount(of * classes + codes_N, minlength=records * classes)
        return flat.reshape(records, classes).astype(np.float64)

    hit = said_N == real_N
    hits = counts(real_N[hit], record_N[hit])
    return np.hstack([2 * hits, counts(said_N, record_N) + counts(real_N, record_N)])


def shown_score(path: Path, task: str) -> float:
    """The score of one training, in the measure's own unit.

    Args:
        path: its predictions.
        task: what was learnt.
    """
    parts = record_scores(path, task)[1]
    return _shown(mean_score(parts.sum(axis=0)).item(), MEASURES[task])


def mean_score(sums: Floats) -> Floats:
    """The score that sums over records come to; ratios of nothing are left out.

    Args:
        sums: `(..., 2 K)`, above and below the line.

    >>> mean_score(np.array([3.0, 4.0])).item()  # three of four are right
    0.75
    """
    above, below = np.split(sums, 2, axis=-1)
    ratios = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    found: Floats = ratios.sum(axis=-1) / np.maximum(1, (below > 0).sum(axis=-1))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A mean score, its interval, and the draws that it is made of.

    Args:
        measure: one of MEASURES. seeds: that were trained. records: that were answered.
        mean, means: more-is-better scores, over the seeds and of each. draws: `(D,)` of the mean.
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
        low, high = np.quantile(self.draws, (tail, 1 - tail)).tolist()
        if self.measure != "rmse":  # a share, where Student's t knows no bounds
            low, high = max(0.0, low), min(1.0, high)
        ends = [_shown(end, self.measure) for end in (low, high)]
        return min(ends), max(ends)

    @property
    def is_telling(self) -> bool:
        """Whether there are records enough to hold it against anything."""
        return self.records >= LEAST_RECORDS

    def beats(self, figure: float) -> bool:
        """Whether the interval leaves such a figure behind; never of a handful of records."""
        low, high = self.interval
        return self.is_telling and (high < figure if self.measure == "rmse" else low > figure)

    def is_distinguishable(self, other: Score) -> bool:
        """Whether the interval of the difference leaves out 0.

        Never of a handful of records, nor of one seed, whose luck cannot be told from skill.
        """
        if not self.is_telling or min(self.seeds, other.seeds) < 2:
            return False
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(self.draws - other.draws, (tail, 1 - tail))
        return bool(low > 0 or high < 0)


def _shown(mean: float, measure: str) -> float:
    return math.sqrt(max(0.0, -mean)) if measure == "rmse" else mean


def least_seeds(scores: Sequence[Score]) -> int:
    """Seeds that one must have to be judged beside others: as many as half of them have.

    Of fewer, luck may speak.
    """
    counts = sorted((one.seeds for one in scores), reverse=True)
    return counts[(len(counts) - 1) // 2]


def score(measure: str, parts: Sequence[Floats] | Floats, *, place: int) -> Score:
    """The mean of a strategy over seeds and records.

    Args:
        measure: one of MEASURES.
        parts: of each seed, those of `record_scores`, or `(R,)` scores of records, whose mean
            counts; the records in one order for all strategies.
        place: number of the strategy: the luck of its seeds is drawn by itself.
    """
    each = [_over_counts(one) if one.ndim == 1 else one for one in map(np.asarray, parts)]
    seeds, records = len(each), len(each[0])
    means_DS = np.concatenate(
        [
            np.stack([mean_score(drawn_DR @ one) for one in each], axis=1)
            for drawn_DR in _drawn_records(records)
        ]
    )
    means = [mean_score(one.sum(axis=0)).item() for one in each]
    luck: Floats | float = 0.0
    if seeds > 1:
        error = stdev(means) / math.sqrt(seeds)
        luck = error * np.random.default_rng((SEED, place)).standard_t(seeds - 1, size=DRAWS)
    return Score(
        measure=measure,
        seeds=seeds,
        records=records,
        mean=fmean(means),
        means=tuple(means),
        draws=means_DS.mean(axis=1) + luck,
    )


def _drawn_records(records: int) -> Iterator[npt.NDArray[np.int64]]:
    """How often each record is drawn, `(D, R)`, some draws at a time to bound memory."""
    rng, shares = np.random.default_rng(SEED), np.full(records, 1 / records)
    at_once = max(1, CELLS // records)
    for start in range(0, DRAWS, at_once):
        yield rng.multinomial(records, shares, size=min(at_once, DRAWS - start))


def wilson(share: float, records: int) -> tuple[float, float]:
    """The 95 % interval of a share of records (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    >>> [round(bound, 3) for bound in wilson(0.8, 100)]
    [0.711, 0.867]
    """
    z = 1.959964
    middle = (share + z * z / (2 * records)) / (1 + z * z / records)
    half = z * math.sqrt(share * (1 - share) / records + z * z / (4 * records**2))
    half /= 1 + z * z / records
    return 0.0 if share == 0 else middle - half, 1.0 if share == 1 else middle + half
