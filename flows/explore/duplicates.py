"""`seqprep duplicates`: what stands in a dataset twice, exactly or nearly, and on which sides."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from flows.explore.near import search
from flows.ingest import ingest_files
from flows.pipeline_file import to_json
from flows.references import Json, resolve
from seqprep.duplicate_report import all_pairs, group_table, summary
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.out_paths import check_file_path
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.table_files import write_table


def duplicates(
    file: str,
    *,
    store: str,
    settings: list[str],
    options: NearDuplicates,
    examples: int,
    out: Path | None,
    groups: Path | None = None,
) -> Json:
    """Find equal and nearly equal records of a pipeline's dataset, and show them.

    Args:
        file: path of a pipeline file.
        store: folder of the datasets; the source is ingested first where it is not there yet.
        settings: `a.b=value` texts that change the file's values.
        options: what counts as nearly equal.
        examples: pairs of each kind to name.
        out: where all pairs go, Parquet or CSV by the suffix; None: nowhere.
        groups: where id and group of every record go, for `source.group`, CSV; None: nowhere.

    Returns:
        Numbers and examples.
    """
    if out is not None:
        check_file_path(out)
    if groups is not None:
        check_file_path(groups, key="--groups", suffixes=(".csv",))
    spec, base = resolve(file, None, settings)
    ingest_files.fn(to_json(spec), base=str(base), store=store)
    version = Table(store_folder(store) / spec.dataset / "sequences").version()
    assert version is not None
    found = search(
        spec, version, store=store_folder(store), base=base, options=options, what="duplicates"
    )
    done = {"dataset": spec.dataset, "threshold": options.threshold}
    done |= summary(found, examples=examples)
    if out is not None:
        write_table(all_pairs(found), out)
    if groups is not None:
        write_table(group_table(found), groups)
    done["groups"] = None if groups is None else str(groups)
    done["out"] = None if out is None else str(out)
    print_duplicates(done)
    return done


def print_duplicates(done: Json) -> None:
    """Numbers and examples, for a person."""
    console = Console(highlight=False)
    exact, near = done["exact"], done["near"]
    told = (
        f"{done['dataset']}: {done['records']:,} records, {exact['copies']:,} of them exact copies "
        f"of {exact['contents']:,} others; {near['pairs']:,} nearly equal pairs (Jaccard index of "
        f"about {done['threshold']:g} and more) in {near['groups']:,} groups of "
        f"{near['records']:,} records"
    )
    console.print(told, soft_wrap=True)
    grid = Grid("", "pairs", "across splits", "other label", "where")
    for kind, found, pairs in (("exact", exact, exact["copies"]), ("near", near, near["pairs"])):
        where = ", ".join(f"{name} {count:,}" for name, count in found["by_splits"].items())
        grid.add_row(
            kind, f"{pairs:,}", f"{found['across_splits']:,}", f"{found['other_label']:,}", where
        )
    console.print(grid)
    if near["examples"]:
        console.print(_examples(near["examples"]))
    if near["across_splits"]:
        console.print(
            "Near-duplicates across splits make the test easier than new data will be: --groups "
            "TABLE.csv writes their groups, into the folder of source.path, and source.group: "
            "{from: table, table: TABLE.csv, key: id, column: group} keeps them together.",
            soft_wrap=True,
        )
    for what in ("out", "groups"):
        if done[what]:
            console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)


def _examples(rows: list[Json]) -> Grid:
    grid = Grid("likeness", title="nearly equal", title_justify="left")
    for side in ("record", "its like"):
        grid.add_column(side, overflow="fold")
        grid.add_column("split")
    for row in rows:
        cells = [f"{row['similarity']:.3f}"]
        for side in ("left", "right"):
            cells += [row[side], row[f"{side}_split"] or "left out"]
        grid.add_row(*map(Text, cells))
    return grid
