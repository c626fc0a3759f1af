"""How far back the model of the longest records looks: its gradient by lag (L7), for the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.length_study.course import Standing
from models.bundle import Bundle
from models.device import prepare_torch
from models.input_gradients import PROBED
from models.lag import gradient_by_lag, lag_table, sample_rows
from models.options.training import Train
from seqprep.snapshot import Snapshot

RECORDS = 50
"""Of validation, drawn at random."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LookedBack:
    """The gradient by lag of one model.

    Args:
        of: whose gradient. told: the length of the records that the model was trained on.
        records: that were looked at.
        bins: columns of `lag_table`. reach: how many last steps hold some shares of it.
    """

    of: str
    told: str
    records: int
    bins: Mapping[str, Sequence[float]]
    reach: Mapping[float, int]


def look_back(standing: Standing) -> LookedBack:
    """Measure it on validation rows, with the seed whose validation score is best.

    Args:
        standing: of the longest records.
    """
    means = standing.validation.means
    outcome = standing.outcomes[means.index(max(means))]
    model = Bundle.read(Path(outcome.folder) / "bundle")
    snapshot = Snapshot.read(Path(standing.rung.prepared["snapshot"]))
    rows = sample_rows(snapshot, "validation", records=RECORDS, seed=0)
    found = gradient_by_lag(model, rows, device=prepare_torch(Train(threads=1)))
    return LookedBack(
        of=PROBED[model.facts.task],
        told=standing.rung.told,
        records=len(rows),
        bins=lag_table(found).to_pydict(),
        reach=found.reach,
    )
