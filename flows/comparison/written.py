"""What a comparison leaves in its folder: pages, plots, the table, the winner's pipeline file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from flows.comparison import plots
from flows.comparison.budget import Plan
from flows.comparison.course import Standing
from flows.comparison.page import Told, write_pages
from flows.comparison.scores import MEASURES
from flows.comparison.table import baselines_of, rows_of, to_arrow
from flows.comparison.verdict import recommended, told
from flows.pipeline_file import Pipeline
from flows.pipeline_yaml import to_yaml
from flows.references import Json
from seqprep.snapshot import replace_bytes
from seqprep.table_files import write_table


def write(
    folder: Path,
    spec: Pipeline,
    standings: Sequence[Standing],
    refused: Mapping[str, str],
    failed: Mapping[str, str],
    plan: Plan,
    took_s: float | None,
    *,
    base: Path,
) -> Json:
    """Pages, plots, table and the winner's file; what they say, as JSON."""
    task, rows = spec.source.task, rows_of(standings)
    best = recommended(standings)
    full = next(one for one in standings if one.entry.name == "full" or one is best)
    records = best.validation.records
    winner = folder / "winner.yaml"
    comment = f"Recommended for {spec.dataset} by a comparison: {best.entry.told}."
    replace_bytes(winner, to_yaml(_placed(best.spec, base), comment=comment).encode())
    finals = [row for row in rows if row.in_full]
    measure = MEASURES[task]
    plots.pareto(folder / "pareto.png", rows=finals, measure=measure, best=best.entry.name)
    each = {one.entry.name: one.validation.shown_seeds for one in standings if one.is_final}
    plots.seeds(
        folder / "seeds.png",
        rows=finals,
        scores=[each[r.strategy] for r in finals],
        measure=measure,
    )
    page = Told(
        dataset=spec.dataset,
        measure=measure,
        records=records,
        verdict=told(standings, records=records),
        rows=rows,
        cheap=baselines_of(Path(full.outcomes[0].folder), task),
        refused=refused,
        failed={k: v for k, v in failed.items() if k not in {row.strategy for row in rows}},
        plan=plan,
        took_s=took_s,
        winner=winner,
    )
    write_table(to_arrow(rows), folder / "compare.parquet")
    write_pages(folder, page)
    return {
        "dataset": spec.dataset,
        "recommended": best.entry.name,
        "verdict": page.verdict,
        "measure": measure,
        "rows": [asdict(row) for row in rows],
        "baselines": [asdict(row) for row in page.cheap],
        "refused": dict(refused),
        "failed": dict(page.failed),
        "plan": asdict(plan),
        "seconds": took_s,
        "page": str(folder / "compare.md"),
        "html": str(folder / "compare.html"),
        "winner": str(winner),
    }


def _placed(spec: Pipeline, base: Path) -> Pipeline:
    """The pipeline with paths that do not depend on where its file lies."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str((base / path).resolve())

    return replace(
        spec,
        source=replace(spec.source, path=absolute(spec.source.path)),
        split=replace(spec.split, table=absolute(spec.split.table)),
        train=replace(spec.train, encoder_from=absolute(spec.train.encoder_from)),
    )
