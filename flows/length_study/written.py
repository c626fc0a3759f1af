"""What a length study leaves in its folder: pages, plots and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from flows.comparison.scores import TOLD as TOLD_MEASURES
from flows.length_study import plots, verdict
from flows.length_study.budget import Plan
from flows.length_study.course import Standing
from flows.length_study.cut import TOLD
from flows.length_study.exponent import fit
from flows.length_study.looked_back import look_back
from flows.length_study.page import IMAGES, Told, of_time, write_pages
from flows.length_study.table import Row, best_baseline, chance_of, rows_of, to_arrow
from flows.references import Json
from seqprep.table_files import write_table


def write(
    folder: Path,
    standings: Sequence[Standing],
    *,
    part: str,
    unit: str,
    failed: Mapping[str, str],
    left_out: Sequence[str],
    plan: Plan,
    took_s: float | None,
) -> Json:
    """Pages, plots and table; what they say, as JSON.

    Args:
        folder: of the study.
        standings: of the lengths, the shortest first.
        part: a key of TOLD, what is kept of records.
        unit: what a step is.
        failed: lengths whose training failed, with the reason.
        left_out: steps of the file that set a length themselves.
        plan: what was trained.
        took_s: seconds that it took; None where some of it was found again.
    """
    spec = standings[0].rung.spec
    measure, baseline = standings[0].validation.measure, best_baseline(standings)
    rows = rows_of(standings, baseline=baseline)
    scores = {one.rung.steps: one.validation for one in standings}
    decision = verdict.decide(scores, chance=chance_of(standings[-1].cheap))
    exponent = fit([(row.row_steps, row.update_seconds) for row in rows if row.is_timed])
    back = look_back(standings[-1])
    told = Told(
        dataset=spec.dataset,
        measure=TOLD_MEASURES[measure],
        unit=unit,
        verdict=verdict.told(
            decision,
            scores,
            names={row.steps: row.told for row in rows},
            cost=_cost(rows, decision.shortest),
            beside=_beside(rows, decision.shortest, baseline, smaller=measure == "rmse"),
        ),
        rows=rows,
        baseline=baseline,
        exponent=exponent,
        back=back,
        failed=dict(failed),
        left_out=left_out,
        meaning=_meaning(part),
        plan=plan,
        took_s=took_s,
        select_by=spec.train.select_by,
    )
    named = None if decision.is_chance else decision.shortest
    _draw(folder, told, named=named, is_tail=part == "tail")
    write_table(to_arrow(rows), folder / "lengths.parquet")
    write_pages(folder, told)
    return {
        "dataset": spec.dataset,
        "named": named,
        "best": decision.best,
        "verdict": told.verdict,
        "time": of_time(exponent),
        "exponent": exponent and asdict(exponent),
        "measure": measure,
        "baseline": baseline,
        "rows": [asdict(row) for row in rows],
        "lag": {"reach": {str(k): v for k, v in back.reach.items()}, "records": back.records},
        "failed": dict(failed),
        "left_out": list(left_out),
        "plan": asdict(plan),
        "seconds": took_s,
        "page": str(folder / "lengths.md"),
        "html": str(folder / "lengths.html"),
        "plots": [str(folder / name) for name in IMAGES],
    }


def _draw(folder: Path, told: Told, *, named: int | None, is_tail: bool) -> None:
    """The plots of IMAGES; where the tail is kept the first two count the same steps."""
    back, rows = told.back, told.rows
    longest = max(rows[-1].steps, *(lag + 1 for lag in back.bins["to_lag"]))
    limits = (0.85, longest * 1.15) if is_tail else None
    plots.scores(
        folder / "score.png",
        rows=rows,
        measure=told.measure,
        named=named,
        baseline=told.baseline,
        limits=limits,
    )
    at = named if is_tail else None
    plots.looked_back(folder / "lag.png", back=back, named=at, limits=limits)
    exponent, an_update = told.exponent, told.plan.rows
    plots.costs(folder / "costs.png", rows=rows, exponent=exponent, an_update=an_update)


def _meaning(part: str) -> str:
    if part == "pieces":
        return (
            "Every step is answered, so nothing is cut off: records are read in pieces of each "
            "length, each by itself, and no answer sees beyond its own piece."
        )
    return f"At each length a longer record keeps {TOLD[part].format(0).replace('0', 'so many')}."


def _cost(rows: Sequence[Row], named: int) -> str:
    """What the named length saves against the longest."""
    own = next(row for row in rows if row.steps == named)
    if own is rows[-1] or not own.update_seconds:
        return ""
    ratio = rows[-1].update_seconds / own.update_seconds
    if ratio < 1.2:
        return ""
    return f", and an update takes {ratio:.2g} times less than on {rows[-1].told}"


def _beside(rows: Sequence[Row], named: int, baseline: str | None, *, smaller: bool) -> str:
    """Where a cheap baseline is no worse at the named length."""
    own = next(row for row in rows if row.steps == named)
    if own.baseline is None or (own.baseline > own.score) == smaller:
        return ""
    name = (baseline or "").replace("_", " ")
    return f"; the cheap baseline {name} gives {own.baseline:.3f} at this length"
