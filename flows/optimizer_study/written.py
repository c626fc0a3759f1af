"""What the study leaves in its folder: pages, plots, the tables as Parquet and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

import pyarrow as pa

from flows.comparison.scores import MEASURES
from flows.comparison.table import baselines_of, least_of
from flows.optimizer_study import findings, plots
from flows.optimizer_study.page import Told, write_pages
from flows.optimizer_study.plan import Plan
from flows.optimizer_study.speed import pairs_of
from flows.optimizer_study.table import Trained, row_of
from flows.pipeline_file import Pipeline
from flows.references import Json
from seqprep.table_files import write_table

SPOKEN_OF = "adam"
"""The optimiser whose spikes the source saw removed; the first one where it is not trained."""
SCALED = ("regress", "regress_steps")
"""Tasks whose targets are scaled to mean 0 and variance 1 before they are learnt."""


def write(
    folder: Path,
    spec: Pipeline,
    all_: Sequence[Trained],
    asked: Sequence[str],
    failed: Mapping[str, str],
    plan: Plan,
    *,
    patience: int,
    seeds: int,
    took_s: float | None,
) -> Json:
    """Pages, plots and tables; what they say, as JSON.

    Args:
        folder: of the study.
        spec: the pipeline.
        all_: variants of which a training came to its end.
        asked: names of all variants.
        failed: trainings that did not, with the reason.
        plan: what was trained.
        patience: epochs that a schedule waits.
        seeds: of each variant.
        took_s: seconds that it took; None where some of it was there before.
    """
    task = spec.source.task
    rows = [row_of(one, window=plan.window) for one in all_]
    pairs = pairs_of(all_, window=plan.window)
    cheap = baselines_of(Path(all_[0].outcomes[0].folder), task)
    simplest = least_of(cheap)
    names = [row.optimizer for row in rows]
    sentences = (
        findings.stopped(rows, asked, seeds=seeds),
        findings.clipping(rows, optimizer=SPOKEN_OF if SPOKEN_OF in names else names[0]),
        findings.speed(pairs),
        findings.best(rows, [one.test for one in all_], simplest),
        findings.unfinished(rows, patience=patience),
    )
    mean_loss = 1.0 if task in SCALED else None
    plots.overlaid(folder / "overlaid.png", all_, window=plan.window, mean_loss=mean_loss)
    plots.training(folder / "training.png", all_, window=plan.window, mean_loss=mean_loss)
    plots.held_out(folder / "held_out.png", all_, by="updates")
    plots.held_out(folder / "held_out_seconds.png", all_, by="seconds")
    told = Told(
        dataset=spec.dataset,
        measure=MEASURES[task],
        records=all_[0].test.records,
        findings=[sentence for sentence in sentences if sentence is not None],
        rows=rows,
        pairs=pairs,
        cheap=cheap,
        failed=failed,
        plan=plan,
        seeds=seeds,
        took_s=took_s,
        select_by=spec.train.select_by,
    )
    write_table(_to_arrow(rows), folder / "variants.parquet")
    if pairs:
        write_table(_to_arrow(pairs), folder / "pairs.parquet")
    write_pages(folder, told)
    return {
        "dataset": spec.dataset,
        "findings": list(told.findings),
        "measure": told.measure,
        "rows": [finite(asdict(row)) for row in rows],
        "pairs": [asdict(pair) for pair in pairs],
        "baselines": [asdict(row) for row in cheap],
        "failed": dict(failed),
        "plan": asdict(plan),
        "seconds": took_s,
        "page": str(folder / "optimizers.md"),
        "html": str(folder / "optimizers.html"),
    }


def finite(row: Json) -> Json:
    """A row as JSON can hold it: what is not finite is none.

    >>> finite({"jump": float("inf"), "at": 2})
    {'jump': None, 'at': 2}
    """
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()}


def _to_arrow(rows: Sequence[object]) -> pa.Table:
    """Dataclasses as columns."""
    return pa.Table.from_pylist([asdict(row) for row in rows])  # type: ignore[call-overload]
