"""What a preparation made, in numbers for people: stored in the commit, shown in reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqprep.buckets import padded_steps, padding_share
from seqprep.preparation.first_pass import Encoding, Job
from seqprep.preparation.frozen import Frozen
from seqprep.preparation.roster import Roster
from seqprep.preparation.second_pass import Finisher
from seqprep.preparation.totals import Lengths, Totals, histogram, long_shares, named, quantiles
from seqprep.ragged import Ints
from seqprep.splits import LEFT_OUT, TRAIN

ADVISED_SHARE = 0.05
"""Unseen tokens, or rows over every limit, above which a refit is advised."""


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
        unseen_share: of training tokens, those that the state has never seen.
        over_limit_share: of training rows, those longer than every bucket's limit.
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
    new_classes: dict[str, int] = field(default_factory=dict)
    unseen_share: float = 0.0
    over_limit_share: float = 0.0
    refit_advised: str | None = None


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
        "kept_share": min(after / before, 1.0) if before else 1.0,
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
        "vocab_size": finisher.vocab_size,
        "groups": roster.groups,
        "held_out": roster.held_out,
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
    removed = finisher.vocabulary.ids[_ranks(encoding, finisher)] == 0
    return float(counts[removed].sum()) / total if total else 0.0


def _ranks(encoding: Encoding, finisher: Finisher) -> Ints:
    """The rank in the fitted state of each token of the training rows."""
    now, fitted = encoding.frequency, finisher.fitted.frequency
    assert now is not None and fitted is not None
    return np.arange(len(now)) if now is fitted else fitted.ranks(now.tokens)


def drift(
    job: Job,
    roster: Roster,
    encoding: Encoding,
    totals: Totals,
    finisher: Finisher,
    *,
    frozen: Frozen | None,
) -> dict[str, Any]:
    """How far the training rows have moved from state that was kept: fields of `Prepared`."""
    if frozen is None:
        return {}
    unseen = 0.0
    if encoding.frequency is not None and finisher.fitted.frequency is not None:
        new = _ranks(encoding, finisher) == len(finisher.fitted.frequency)
        counts = encoding.frequency.counts
        unseen = float(counts[new].sum()) / max(int(counts.sum()), 1)
    units = totals.units[totals.splits == TRAIN]
    over = float((units > max(finisher.fitted.limits)).mean()) if len(units) else 0.0
    steps = set(encoding.step_labels) - set(finisher.fitted.step_codes)
    new_steps = sorted(str(job.step_classes[code]) for code in steps)
    reasons = [
        f"{count} training records have the new label {name!r} and were left out"
        for name, count in sorted(roster.new_classes.items())
    ]
    reasons += [f"steps with the new label {name!r} were ignored" for name in new_steps]
    if unseen > ADVISED_SHARE:
        reasons.append(f"{unseen:.1%} of the training tokens were never seen before")
    if over > ADVISED_SHARE:
        reasons.append(f"{over:.1%} of the training rows are longer than every bucket")
    return {
        "frozen_from": frozen.version,
        "new_classes": roster.new_classes,
        "unseen_share": unseen,
        "over_limit_share": over,
        "refit_advised": "; ".join(reasons) or None,
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
    measure: Callable[[Lengths], dict[str, float]], before: Lengths, after: Lengths
) -> dict[str, dict[str, float]]:
    return {"before": measure(before), "after": measure(after)}
