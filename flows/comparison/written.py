"""What a comparison leaves in its folder: pages, plots, the table, the winner's pipeline file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flows.comparison import plots
from flows.comparison.applied import PREFIX
from flows.comparison.budget import Plan
from flows.comparison.course import Standing
from flows.comparison.left import Left
from flows.comparison.page import Told, write_pages
from flows.comparison.scores import MEASURES
from flows.comparison.table import baselines_of, rows_of, to_arrow
from flows.comparison.verdict import best_of, is_recommended, told
from flows.pipeline_file import Pipeline, build
from flows.pipeline_yaml import to_yaml
from flows.references import Json
from seqprep.snapshot import replace_bytes
from seqprep.table_files import write_table
from seqprep.transforms import build_steps
from seqprep.transforms.token_rule import TokenRule


def write(
    folder: Path,
    spec: Pipeline,
    standings: Sequence[Standing],
    left: Left,
    plan: Plan,
    took_s: float | None,
    *,
    base: Path,
) -> Json:
    """Pages, plots, table and the winner's file; what they say, as JSON."""
    task, rows = spec.source.task, rows_of(standings)
    best = best_of(standings)
    cheap = baselines_of(Path(of_whole_records(standings).outcomes[0].folder), task)
    winner = None
    if is_recommended(best, cheap):
        winner = _write_winner(folder / "winner.yaml", best, spec, base=base)
    finals = [row for row in rows if row.in_full]
    measure = MEASURES[task]
    plots.pareto(
        folder / "pareto.png",
        rows=finals,
        cheap=cheap,
        measure=measure,
        best=best.entry.name if winner else None,
    )
    plots.seeds(folder / "seeds.png", rows=finals, cheap=cheap, measure=measure)
    page = Told(
        dataset=spec.dataset,
        measure=measure,
        records=best.validation.records,
        verdict=told(standings, cheap),
        rows=rows,
        cheap=cheap,
        left=left,
        plan=plan,
        took_s=took_s,
        select_by=spec.train.select_by,
        winner=winner,
    )
    write_table(to_arrow(rows, page.cheap), folder / "compare.parquet")
    write_pages(folder, page)
    return {
        "dataset": spec.dataset,
        "recommended": best.entry.name if winner else None,
        "verdict": page.verdict,
        "measure": measure,
        "rows": [asdict(row) for row in rows],
        "baselines": [asdict(row) for row in page.cheap],
        **asdict(left),
        "plan": asdict(plan),
        "seconds": took_s,
        "page": str(folder / "compare.md"),
        "html": str(folder / "compare.html"),
        "winner": winner and str(winner),
    }


def of_whole_records(standings: Sequence[Standing]) -> Standing:
    """The finalist whose rows baselines are fitted to: those of whole records, where there is one.

    The search leaves baselines out, so that its trainings have none.
    """
    finals = [one for one in standings if one.is_final]
    whole = {one.entry.prepared.get("snapshot") for one in standings if one.entry.name == "full"}
    alike = [one for one in finals if one.entry.prepared.get("snapshot") in whole]
    full = [one for one in alike if one.entry.name == "full"]
    return next(iter([*full, *alike]), best_of(standings))


def _write_winner(path: Path, best: Standing, asked: Pipeline, *, base: Path) -> Path:
    """The pipeline file of the training with the first seed, and the command that runs it."""
    dataset = asked.dataset
    job = Path(best.outcomes[0].folder) / "job.json"
    spec = build(json.loads(job.read_bytes())["pipeline"])
    comment = (
        f"Recommended for {dataset} by a comparison: {best.entry.told}.\n"
        f"# Run it with: seqprep run {path.name} --store {job.parents[4]}"
    )
    if spec.dataset != dataset:
        comment += (
            f"\n# It learns from codes that lie in that store, not from {dataset} itself: new "
            "records\n# must go through the same encoder first (seqprep codes)."
        )
    own = spec.prepare.recipe.removeprefix(PREFIX)
    if own != spec.prepare.recipe:  # rows of the comparison stay its own
        spec = replace(spec, prepare=replace(spec.prepare, recipe=f"winner-{own}"))
    train = replace(spec.train, tracking=asked.train.tracking)
    spec = placed(replace(spec, train=train), base)
    replace_bytes(path, to_yaml(spec, comment=comment).encode())
    return path


def placed(spec: Pipeline, base: Path) -> Pipeline:
    """The pipeline with paths that do not depend on where its file lies.

    Args:
        spec: the pipeline.
        base: folder that its paths are relative to.
    """

    def absolute(path: str | None) -> str | None:
        return None if path is None else str((base / path).resolve())

    tables = {rule.table for rule in build_steps(spec.prepare) if isinstance(rule, TokenRule)}

    def moved(value: Any) -> Any:
        return absolute(value) if isinstance(value, str) and value in tables else value

    steps = tuple(
        {name: {k: moved(v) for k, v in (options or {}).items()} for name, options in step.items()}
        for step in spec.prepare.steps
    )
    return replace(
        spec,
        source=replace(spec.source, path=absolute(spec.source.path)),
        prepare=replace(spec.prepare, steps=steps),
        split=replace(spec.split, table=absolute(spec.split.table)),
        train=replace(spec.train, encoder_from=absolute(spec.train.encoder_from)),
    )
