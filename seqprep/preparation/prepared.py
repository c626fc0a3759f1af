"""What a preparation made, in numbers for people: stored in the commit, shown in reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.buckets import padded_steps, padding_share
from seqprep.length_counts import LengthCounts, histogram, long_shares, quantiles
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.job import Job
from seqprep.preparation.roster import Roster
from seqprep.preparation.totals import Totals, named
from seqprep.ragged import Ints
from seqprep.splits import TRAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What preparation made.

    Args:
        dataset, recipe: names. version: of the examples table. snapshot: path of its snapshot.
        rows, records: by split; a record may give several rows.
        padding_share: of training rows padded to their bucket's limit; padding_share_unbucketed:
            padded to the longest. buckets: the limits, in steps.
        steps_before, steps_after: by split: before any technique, and of view 0 after all, steps
            in two windows counted once.
        kept_share: of the steps; at most 1.
        removed_share: of training tokens, by the rules of `summarize`.
        oov_rate: by split, share of stored steps that are OOV.
        lengths_before: histogram (`edges`, `counts`) of records in their natural form.
        lengths_after: of rows, in steps.
        length_quantiles, long_shares: of steps, `before` any technique and `after` all.
        duplicates, conflicting, unknown_labels: records left out; outside: records that the
            split's lists name no place for; left_out: the same by reason and split.
        emptied: records that the steps left empty.
        labels: records by split and class. vocab_size: ids of the input; None for values.
        groups: how many there are. held_out: the one that tests, with {by: folds, of: group}.
        sequences_version: what it was made from.
        reused: nothing had to be done. seconds: that it took.
        frozen_from: the version whose fitted state was kept; None where it was fitted on these
            rows.
        new_classes: `{class: training records}` left out because that state does not know them.
        added, removed: records whose rows this version made, and took out; the others stayed.
        unseen_share: of the training tokens that joined since the fit, those never seen before.
        over_limit_share: of the training rows that joined, those longer than every bucket's limit.
        drift: how far what joined has moved from what was fitted, see `drift.measure`: of the rows
            that joined `now`, and of all `since_fit`.
        refit_advised: why the state no longer fits the data; None while it does.
    """

    dataset: str
    recipe: str
    version: int
    snapshot: str
    rows: dict[str, int]
    records: dict[str, int]
    padding_share: float
    padding_share_unbucketed: float
    buckets: tuple[int, ...]
    steps_before: dict[str, int]
    steps_after: dict[str, int]
    kept_share: float
    removed_share: float
    oov_rate: dict[str, float]
    lengths_before: dict[str, list[int]]
    lengths_after: dict[str, list[int]]
    length_quantiles: dict[str, dict[str, float]]
    long_shares: dict[str, dict[str, float]]
    duplicates: int
    conflicting: int
    unknown_labels: int
    outside: int
    left_out: dict[str, dict[str, int]]
    emptied: int
    labels: dict[str, dict[str, int]]
    vocab_size: int | None
    groups: int
    sequences_version: int
    reused: bool
    seconds: float
    held_out: str | None = None
    frozen_from: int | None = None
    added: int = 0
    removed: int = 0
    new_classes: dict[str, int] = field(default_factory=dict)
    drift: dict[str, Any] = field(default_factory=dict)
    unseen_share: float = 0.0
    over_limit_share: float = 0.0
    refit_advised: str | None = None


def report(
    job: Job,
    roster: Roster,
    totals: Totals,
    finisher: Finisher,
    *,
    before: Ints,
    steps: npt.NDArray[np.int32],
    emptied: int,
    removed_share: float,
    limits: tuple[int, ...],
    dataset: str,
) -> dict[str, Any]:
    """Every field of `Prepared` that the commit stores, but for drift.

    Args:
        job: what is prepared.
        roster: its records.
        totals: numbers of all rows.
        finisher: of the rows.
        before: `(3,)` steps by split before any technique.
        steps: `(R,)` of each record before any technique.
        emptied: records that the steps left empty.
        removed_share: of training tokens, by rules.
        limits: of the buckets.
        dataset: its name.
    """
    whole, after = int(before.sum()), int(totals.whole.sum())
    counted, unknown = named(totals.steps), named(totals.unknown)
    natural = LengthCounts.of(roster.lengths, roster.splits)
    records = LengthCounts.of(steps, roster.splits)
    tokens = finisher.vocab_size is not None
    return {
        "dataset": dataset,
        "recipe": job.recipe.recipe,
        "rows": named(totals.rows),
        "records": named(totals.records),
        **_padding(totals, limits),
        "buckets": list(limits),
        "steps_before": named(before),
        "steps_after": named(totals.whole),
        "kept_share": min(after / whole, 1.0) if whole else 1.0,
        "removed_share": removed_share,
        "oov_rate": {split: unknown[split] / max(counted[split], 1) for split in counted}
        if tokens
        else {},
        "lengths_before": histogram(natural),
        "lengths_after": histogram(totals.lengths),
        "length_quantiles": _both(quantiles, records, totals.lengths),
        "long_shares": _both(long_shares, records, totals.lengths),
        **_left_out(roster),
        "emptied": emptied,
        "labels": roster.by_label,
        "vocab_size": finisher.vocab_size,
        "groups": roster.groups,
        "held_out": roster.held_out,
        "sequences_version": job.version,
    }


def _padding(totals: Totals, limits: tuple[int, ...]) -> dict[str, float]:
    steps = int(totals.steps[TRAIN])
    units, rows = totals.units.of_split(TRAIN).present
    longest = int(rows.sum()) * int(units.max(initial=0))
    return {
        "padding_share": padding_share(steps, padded_steps(units, limits, rows)),
        "padding_share_unbucketed": padding_share(steps, longest),
    }


def _left_out(roster: Roster) -> dict[str, Any]:
    reasons = {
        "duplicate": roster.duplicates,
        "conflicting_label": roster.conflicting,
        "unknown_label": roster.unknown,
    }
    return {
        "duplicates": sum(roster.duplicates.values()),
        "conflicting": sum(roster.conflicting.values()),
        "unknown_labels": sum(roster.unknown.values()),
        "outside": roster.outside,
        "left_out": reasons,
    }


def _both(
    measure: Callable[[LengthCounts], dict[str, float]], before: LengthCounts, after: LengthCounts
) -> dict[str, dict[str, float]]:
    return {"before": measure(before), "after": measure(after)}
