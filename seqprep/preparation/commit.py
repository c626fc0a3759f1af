"""What a commit of `examples` says: numbers, options, and the state that it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqprep.fingerprint import as_json, fingerprint
from seqprep.preparation.append import keep_columns
from seqprep.preparation.drift import advice, measure
from seqprep.preparation.frozen import Frozen, Identity
from seqprep.preparation.job import Job
from seqprep.preparation.made import Made
from seqprep.preparation.prepared import report
from seqprep.preparation.published import known_facts
from seqprep.preparation.roster import Roster
from seqprep.table import CommitInfo, Table


def commit_info(
    job: Job,
    roster: Roster,
    made: Made,
    *,
    examples: Table,
    identity: Identity,
    frozen: Frozen | None,
    name: str,
) -> CommitInfo:
    """Everything that a version says of itself; its state files are written.

    Args:
        job: what was prepared.
        roster: its records.
        made: what the passes gave.
        examples: the table.
        identity: of the work.
        frozen: state that was kept.
        name: of the dataset.
    """
    state = examples.state
    return CommitInfo(
        kind="examples",
        fingerprint=fingerprint(identity.rows, frozen and frozen.name),
        counts={
            **report(
                job,
                roster,
                made.totals,
                made.finisher,
                before=made.before,
                steps=made.steps,
                emptied=int(made.emptied.sum()),
                removed_share=_removed_share(made, joined=frozen is not None),
                limits=made.fitted.limits,
                dataset=name,
            ),
            "added": made.added,
            "removed": made.removed,
            **_drift(job, roster, made, frozen),
        },
        params={
            "facts": known_facts(job, made.fitted, made.finisher, name=name),
            "recipe": as_json(job.recipe),
            "split": as_json(job.split),
            "split_table": identity.table.sha256,
            "split_table_base": identity.table.base,
            "options": identity.options,
            "rows": identity.rows,
            "byte_pairs": identity.byte_pairs,
            "frozen_from": frozen and frozen.version,
            "sequences_version": job.version,
        },
        state={
            "fitted": state.put(made.fitted.to_bytes(), "json"),
            "records": keep_columns(roster, made.steps, made.emptied, state=state),
            "since": state.put(made.since.to_bytes(), "json"),
            "totals": state.put(made.totals.to_bytes(), "json"),
        },
    )


def _removed_share(made: Made, *, joined: bool) -> float:
    """The share of the training tokens that rules remove."""
    frequency, vocabulary = made.fitted.frequency, made.finisher.vocabulary
    if frequency is None or vocabulary is None:
        return 0.0
    counts = np.append(frequency.counts, 0)
    if joined and made.since.whole:
        counts = made.since.tokens
    elif joined:
        counts = counts + made.since.tokens
    total = int(counts.sum())
    return float(counts[vocabulary.removed].sum()) / total if total else 0.0


def _drift(job: Job, roster: Roster, made: Made, frozen: Frozen | None) -> dict[str, Any]:
    """How far the training rows have moved from state that was kept: fields of `Prepared`."""
    if frozen is None:
        return {}
    fitted = made.fitted
    since, now = (
        measure(
            joined,
            counts=None if fitted.frequency is None else fitted.frequency.counts,
            scaler=fitted.scaler,
            channels=fitted.outputs,
        )
        for joined in (made.since, made.now)
    )
    steps = set(made.since.step_codes) - set(fitted.step_codes)
    reasons = [
        f"{count} training records have the new label {name!r} and were left out"
        for name, count in sorted(roster.new_classes.items())
    ]
    reasons += [
        f"steps with the new label {name!r} were ignored"
        for name in sorted(str(job.step_classes[code]) for code in steps)
    ]
    reasons += advice(now, job.recipe.drift) or advice(since, job.recipe.drift)
    return {
        "frozen_from": frozen.version,
        "new_classes": roster.new_classes,
        "unseen_share": since["unseen_share"],
        "over_limit_share": since["over_limit_share"],
        "drift": {"now": now, "since_fit": since},
        "refit_advised": "; ".join(reasons) or None,
    }
