"""`seqprep frequencies`: the frequency table of the training rows, shown, plotted and exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from flows.explore import frequency_plots
from flows.ingest import ingest_files
from flows.pipeline_file import Pipeline, to_json
from flows.pipeline_yaml import in_one_line
from flows.progress import say, stage
from flows.references import Json, resolve
from flows.reporting.counted import counted
from seqprep.frequency import Frequency
from seqprep.frequency_table import (
    Cut,
    count_frequencies,
    counting_job,
    find_cuts,
    frequency_table,
)
from seqprep.out_paths import check_file_path
from seqprep.parallel import default_workers
from seqprep.preparation.job import Job
from seqprep.preparation.opened import opened
from seqprep.prepare import plan_job, read_tables
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.table_files import write_table
from seqprep.transforms import build_steps
from seqprep.transforms.token_rule import TokenRule

OTHERS = 8
"""Rows that are shown beyond the top, evenly by the logarithm of the rank."""


def frequencies(file: str, *, store: str, settings: list[str], out: Path | None, top: int) -> Json:
    """Count the tokens of the training rows of a pipeline's dataset, and show them.

    Args:
        file: path of a pipeline file.
        store: folder of the datasets; the source is ingested first where it is not there yet.
        settings: `a.b=value` texts that change the file's values.
        out: where the table goes, Parquet or CSV by the suffix; None: nowhere.
        top: ranks to show.

    Returns:
        Numbers, the cuts of the recipe, the top of the table, and the paths of table and plot.

    Raises:
        ConfigError: if the recipe has values and no tokens, or `out` is no place for a table.
    """
    if out is not None:
        check_file_path(out)
    spec, base = resolve(file, None, settings)
    ingest_files.fn(to_json(spec), base=str(base), store=store)
    job = counting_job(job_without_tables(spec, store=store_folder(store)))
    with (
        stage(f"{spec.dataset}: frequencies") as progress,
        opened(job, base=base, workers=default_workers()) as (job, roster),
    ):
        frequency = count_frequencies(job, roster, workers=default_workers(), progress=progress)
    cuts = cuts_of(spec, frequency, base=base)
    table = frequency_table(frequency, about=_about(spec, job))
    unit = str(job.chain.spilled.unit)
    plot = _plot_path(spec, store=store_folder(store), out=out)
    frequency_plots.ranks(plot, counts=frequency.counts, cuts=cuts, unit=unit)
    if out is not None:
        write_table(table, out)
    done = _summary(spec, frequency, table, cuts, top=top)
    done |= {"unit": unit, "sequences_version": job.version, "plot": str(plot)}
    done["out"] = None if out is None else str(out)
    print_frequencies(done, table)
    return done


def job_without_tables(spec: Pipeline, *, store: Path) -> Job:
    """What the recipe would prepare of the newest sequences; tables of tokens are not read."""
    return plan_job(
        Table(store / spec.dataset / "sequences"),
        None,
        build_steps(spec.prepare),
        domain=spec.source.domain,
        task=spec.source.task,
        split=spec.split,
        recipe=spec.prepare,
        tables={},
    )


def cuts_of(spec: Pipeline, frequency: Frequency, *, base: Path) -> list[Cut]:
    """What the recipe's rules would do to the tokens.

    A rule whose table is not written yet is passed over, and said to be: this very command may be
    the one that writes it.
    """
    rules = [step for step in build_steps(spec.prepare) if isinstance(step, TokenRule)]
    there = []
    for rule in rules:
        if rule.table is None or (base / rule.table).is_file():
            there.append(rule)
        else:
            say(f"{spec.dataset}: {rule.name}: {rule.table} is not there yet; its cut is not shown")
    return find_cuts(frequency, there, read_tables(there, base=base))


def _about(spec: Pipeline, job: Job) -> dict[str, str]:
    return {
        "dataset": spec.dataset,
        "sequences_version": str(job.version),
        "recipe": spec.prepare.recipe,
        "unit": str(job.chain.spilled.unit),
    }


def _plot_path(spec: Pipeline, *, store: Path, out: Path | None) -> Path:
    if out is not None:
        return out.with_suffix(".png")
    return store / spec.dataset / f"frequencies-{spec.prepare.recipe}.png"


def _summary(
    spec: Pipeline, frequency: Frequency, table: pa.Table, cuts: Sequence[Cut], *, top: int
) -> Json:
    counts, total = frequency.counts, max(int(frequency.counts.sum()), 1)
    return {
        "dataset": spec.dataset,
        "recipe": spec.prepare.recipe,
        "records": frequency.num_records,
        "tokens": int(counts.sum()),
        "distinct": len(frequency),
        "once": int((counts == 1).sum()),
        "cuts": [
            {
                "step": cut.name,
                "options": dict(cut.options),
                "removed": int(cut.removed.sum()),
                "removed_share": float(counts[cut.removed].sum()) / total,
                "unknown": int(cut.unknown.sum()),
            }
            for cut in cuts
        ],
        "top": table.slice(0, top).to_pylist(),
    }


def print_frequencies(done: Json, table: pa.Table) -> None:
    """Numbers, the top and some of the rest, for a person."""
    console = Console(highlight=False)
    console.print(
        f"{done['dataset']}: {done['distinct']:,} different tokens ({done['unit']}), "
        f"{done['tokens']:,} in {done['records']:,} training records; {done['once']:,} occur once",
        soft_wrap=True,
    )
    grid = Grid("rank", "token", "count", "share", "records", "IDF")
    measured = "mutual_information" in table.column_names
    if measured:
        grid.add_column("MI, nats")
        grid.add_column("chi2")
    top = len(done["top"])
    for row in [*done["top"], *_others(table, top)]:
        if row["rank"] > top == len(grid.rows):
            grid.add_section()
        cells = [f"{row['rank']:,}", shown_token(row["token"]), f"{row['count']:,}"]
        cells += [f"{row['count'] / max(done['tokens'], 1):.2%}", f"{row['records']:,}"]
        cells.append(f"{row['idf']:.2f}")
        if measured:
            cells += [f"{row['mutual_information']:.4f}", f"{row['chi_squared']:,.1f}"]
        grid.add_row(*map(Text, cells))
    console.print(grid)
    for cut in done["cuts"]:
        told = f"  {cut['step']}: {in_one_line(cut['options'])}: "
        told += f"{counted(cut['removed'], 'token')} cut"
        told += f", {cut['removed_share']:.1%} of all steps"
        told += f"; {cut['unknown']:,} become OOV" if cut["unknown"] else ""
        console.print(told, markup=False, soft_wrap=True)
    for what in ("out", "plot"):
        if done[what]:
            console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)


def _others(table: pa.Table, top: int) -> list[Json]:
    """Rows beyond the top, the last one among them."""
    if len(table) <= top:
        return []
    places = np.unique(np.geomspace(top + 1, len(table), OTHERS).round().astype(int)) - 1
    return table.take(pa.array(places)).to_pylist()


def shown_token(token: str) -> str:
    """A token as a person can see it; white space and control characters in quotes."""
    return token if token.isprintable() and token.strip() else repr(token)
