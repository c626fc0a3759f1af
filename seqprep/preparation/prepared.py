"""What a preparation made, in numbers for people: stored in the commit, shown in reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqprep.buckets import padded_steps, padding_share
from seqprep.preparation.first_pass import Encoding, Job
from seqprep.preparation.roster import Roster
from seqprep.preparation.second_pass import Finisher
from seqprep.preparation.totals import Lengths, Totals, histogram, long_shares, named, quantiles
from seqprep.splits import LEFT_OUT, TRAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What preparation made.

    Args:
        dataset, recipe: names. version: of the examples table. snapshot: path of its snapshot.
        rows, records: by split; a record may give several rows.
        padding_share: of training rows padded to their bucket's limit; padding_share_unbucketed:
            padded to the longest. buckets: the limits, in steps.
        steps_before, steps_after: by split: before any technique, and of the whole after all.
        kept_share: of the steps. removed_share: of training tokens, by the rules of `summarize`.
        oov_rate: by split, share of stored steps that are OOV.
        lengths_before: histogram (`edges`, `counts`) of records in their natural form.
        lengths_after: of rows, in steps.
        length_quantiles, long_shares: of steps, `before` any technique and `after` all.
        duplicates, conflicting, unknown_labels: records left out; outside: records that the
            split's lists name no place for; left_out: the same by reason and split.
        emptied: records that the steps left empty.
        labels: records by split and class. vocab_size: ids of the input; None for values.
        groups: how many there are. sequences_version: what it was made from.
        reused: nothing had to be done. seconds: that it took.
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


def report(
    job: Job,
    roster: Roster,
    encoding: Encoding,
    totals: Totals,
    finisher: Finisher,
    *,
    limits: tuple[int, ...],
    dataset: str,
) -> dict[str, Any]:
    """Every field of `Prepared` that the commit stores."""
    before, after = int(encoding.before.sum()), int(totals.whole.sum())
    steps, unknown = named(totals.steps), named(totals.unknown)
    vocabulary = finisher.vocabulary
    return {
        "dataset": dataset,
        "recipe": job.recipe.recipe,
        "rows": named(totals.rows),
        "records": named(totals.records),
        **_padding(totals, limits),
        "buckets": list(limits),
        "steps_before": named(encoding.before),
        "steps_after": named(totals.whole),
        "kept_share": after / before if before else 1.0,
        "removed_share": _removed_share(encoding, finisher),
        "oov_rate": {split: unknown[split] / max(steps[split], 1) for split in steps}
        if vocabulary is not None
        else {},
        "lengths_before": histogram(roster.lengths[roster.splits != LEFT_OUT]),
        "lengths_after": histogram(totals.lengths),
        "length_quantiles": _both(quantiles, encoding.lengths, totals.lengths),
        "long_shares": _both(long_shares, encoding.lengths, totals.lengths),
        **_left_out(roster),
        "emptied": totals.emptied,
        "labels": roster.by_label,
        "vocab_size": None if vocabulary is None else vocabulary.size,
        "groups": roster.groups,
        "sequences_version": job.version,
    }


def _padding(totals: Totals, limits: tuple[int, ...]) -> dict[str, float]:
    training = totals.splits == TRAIN
    lengths, units = totals.lengths[training], totals.units[training].astype(np.int64)
    longest = len(units) * int(units.max(initial=0))
    return {
        "padding_share": padding_share(lengths, padded_steps(units, limits)),
        "padding_share_unbucketed": padding_share(lengths, longest),
    }


def _removed_share(encoding: Encoding, finisher: Finisher) -> float:
    if encoding.frequency is None or finisher.vocabulary is None:
        return 0.0
    counts = encoding.frequency.counts
    total = int(counts.sum())
    return float(counts[finisher.vocabulary.ids[:-1] == 0].sum()) / total if total else 0.0


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
    measure: Callable[[Lengths], dict[str, float]], before: Lengths, after: Lengths
) -> dict[str, dict[str, float]]:
    return {"before": measure(before), "after": measure(after)}
