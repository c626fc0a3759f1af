"""Keep the tokens that tell most about the label (P5).

Ranked on training rows by the mutual information between the label and whether a record holds the
token, or by chi-squared of the same table of counts, both exact and gathered while rows pass. Or by
removal: what a study found when it took each token out and scored on validation. Use it for text
and k-mers with a label a record; not where single tokens tell nothing without their order.

Sources: Yang & Pedersen 1997, "A comparative study on feature selection in text categorization"
(mutual information over presence and absence is their "information gain"); Pearson 1900 for
chi-squared. Legend: V tokens, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqprep.errors import ConfigError
from seqprep.schema import Task
from seqprep.transforms.options import check_at_least, check_choice
from seqprep.transforms.token_rule import Bools, Evidence, TokenRule

Floats = npt.NDArray[np.float64]


def _cells(held: npt.ArrayLike, totals: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Counts `(V, 2, C)` of records with and without the token by class, and what chance expects.

    Args:
        held: `(V, C)` records of each class that hold the token.
        totals: `(C,)` records of each class.
    """
    held, totals = np.asarray(held, np.float64), np.asarray(totals, np.float64)
    cells = np.stack([held, totals - held], axis=1)
    expected = cells.sum(axis=2, keepdims=True) * totals / totals.sum()
    return cells, expected


def mutual_information(held: npt.ArrayLike, totals: npt.ArrayLike) -> Floats:
    """Between the label and whether a record holds the token, in nats, `(V,)`.

    Args:
        held: `(V, C)` records of each class that hold the token.
        totals: `(C,)` records of each class.

    >>> mutual_information([[2, 0], [1, 1]], [2, 2]).round(3).tolist()
    [0.693, 0.0]
    """
    cells, expected = _cells(held, totals)
    ratio = np.divide(cells, expected, out=np.ones_like(cells), where=cells > 0)
    found: Floats = (cells * np.log(ratio)).sum(axis=(1, 2)) / np.asarray(totals).sum()
    return np.maximum(found, 0.0)


def chi_squared(held: npt.ArrayLike, totals: npt.ArrayLike) -> Floats:
    """Pearson's statistic of the table of presence against label, `(V,)`.

    Args:
        held: `(V, C)` records of each class that hold the token.
        totals: `(C,)` records of each class.

    >>> chi_squared([[2, 0], [1, 1]], [2, 2]).tolist()
    [4.0, 0.0]
    """
    cells, expected = _cells(held, totals)
    terms = np.divide(
        (cells - expected) ** 2, expected, out=np.zeros_like(cells), where=expected > 0
    )
    found: Floats = terms.sum(axis=(1, 2))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Usefulness(TokenRule):
    """The `keep` tokens that tell most stay; the others go, and so do unseen ones.

    Of equally useful tokens the more frequent stay.

    Args:
        by: `mutual_information`, `chi_squared`, or `removal`: the drop in validation score, from a
            table that `seqprep usefulness` wrote; tokens that it lacks count as 0.
        keep: how many stay.
        scores: by removal: the path of that table, relative to the pipeline file.

    >>> Usefulness(keep=5000).by
    'mutual_information'
    """

    name: ClassVar[str] = "usefulness"
    version: ClassVar[int] = 2

    by: Literal["mutual_information", "chi_squared", "removal"] = "mutual_information"
    keep: int
    scores: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.name, "by", self.by, ("mutual_information", "chi_squared", "removal"))
        check_at_least(self.name, "keep", self.keep, 1, "token")
        if (self.by == "removal") != (self.scores is not None):
            raise ConfigError(
                "usefulness.scores is the table that `seqprep usefulness FILE --out TABLE.parquet` "
                f"wrote, for by: removal and no other; got by: {self.by}, scores: {self.scores!r}"
            )

    @property
    def needs_records(self) -> bool:
        """Records are counted for each label."""
        return self.needs_labels

    @property
    def needs_labels(self) -> bool:
        """Whether records are counted for each label."""
        return self.by != "removal"

    @property
    def table(self) -> str | None:
        """The scores of a study."""
        return self.scores

    def check(self, *, domain: str, task: Task) -> None:
        """Refuse tasks without a class for each record."""
        if self.needs_labels and task != "classify":
            raise ConfigError(
                f"usefulness by {self.by} needs a class for each record (task: classify), got "
                f"task: {task}; use by: removal"
            )

    def removed(self, evidence: Evidence) -> Bools:
        """All but the most useful of the tokens that are left."""
        score = self._score(evidence)
        alive = evidence.alive[:-1]
        order = np.lexsort((np.arange(len(score)), -score))
        order = order[alive[order]][: self.keep]
        gone = np.ones(len(score) + 1, dtype=bool)
        gone[order] = False
        return gone

    def _score(self, evidence: Evidence) -> Floats:
        frequency = evidence.frequency
        if self.scores is not None:
            return evidence.tables[self.scores].column("drop", frequency.tokens, missing=0.0)
        held, totals = frequency.by_label, frequency.label_totals
        assert held is not None and totals is not None, "records were not counted by label"
        measure = mutual_information if self.by == "mutual_information" else chi_squared
        return measure(held, totals)
