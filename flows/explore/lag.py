"""`seqprep lag`: how far back a trained model looks (L7).

From a bundle and the snapshot that it was trained on, or another of the same form: numbers as JSON
and CSV, and a plot. No server is needed, and nothing is trained.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from flows.explore import lag_plot
from flows.progress import stage
from flows.references import Json
from flows.training.job import training_snapshot
from models.bundle import Bundle
from models.device import prepare_torch
from models.input_gradients import PROBED
from models.lag import gradient_by_lag, lag_table, sample_rows
from models.options.training import Train
from models.shape import Shape
from seqprep.errors import ConfigError
from seqprep.schema import Split
from seqprep.snapshot import Snapshot, replace_bytes
from seqprep.table_files import write_table

NAME_IT = "name the data with --data SNAPSHOT.json (under STORE/DATASET/examples-RECIPE)"


def lag(
    bundle: str, *, data: Path | None, split: Split, records: int, seed: int, out: Path | None
) -> Json:
    """Measure the gradient by lag of a bundle on a random sample of a split.

    Args:
        bundle: its folder.
        data: the snapshot file; None: that of the training, which the job beside the bundle names.
        split: to draw from; test rows change nothing, since nothing is chosen by the result.
        records: how many rows of examples; a window is a row of its own.
        seed: of the draw.
        out: the JSON file; default `lag-SPLIT.json` beside the bundle. CSV and PNG go beside it.

    Returns:
        What stands in the JSON file, and the paths.

    Raises:
        ConfigError: if the split has no rows, or the rows are of another form than the model's.
    """
    model = Bundle.read(Path(bundle))
    snapshot = Snapshot.read(data or training_snapshot(Path(bundle), remedy=NAME_IT))
    check_data(model, snapshot, split)
    out = out or Path(bundle).absolute().parent / f"lag-{split}.json"
    device = prepare_torch(Train())
    facts = model.facts
    with stage(f"{facts.dataset}: gradient by lag on {split}") as progress:
        rows = sample_rows(snapshot, split, records=records, seed=seed)
        found = gradient_by_lag(model, rows, device=device, progress=progress)
    bins = lag_table(found)
    done: dict[str, Any] = {
        "dataset": snapshot.facts.dataset,
        "recipe": snapshot.facts.recipe,
        "bundle": bundle,
        "of": PROBED[facts.task],
        "split": split,
        "records": len(rows),
        "seed": seed,
        "longest": max(rows["length"].to_pylist()),
        "reach": {str(share): steps for share, steps in found.reach.items()},
        "bins": bins.to_pylist(),
    }
    replace_bytes(out, json.dumps(done, indent=1).encode())
    write_table(bins, out.with_suffix(".csv"))
    lag_plot.by_lag(
        out.with_suffix(".png"), bins=bins.to_pydict(), reach=found.reach, title=done["of"]
    )
    done |= {"out": str(out), "csv": str(out.with_suffix(".csv"))}
    done["plot"] = str(out.with_suffix(".png"))
    print_lag(done)
    return done


def check_data(model: Bundle, snapshot: Snapshot, split: Split) -> None:
    """Refuse data that the model does not take, or a split without rows.

    Raises:
        ConfigError: saying what differs.
    """
    own, other = Shape.of(model.facts), Shape.of(snapshot.facts)
    for field in fields(Shape):
        if field.name not in ("task", "outputs") and (
            getattr(own, field.name) != getattr(other, field.name)
        ):
            raise ConfigError(
                f"--data: {field.name} is {getattr(other, field.name)}, but the model was built "
                f"for {getattr(own, field.name)}; prepare the data with the model's own recipe"
            )
    if not snapshot.rows(split):
        filled = [name for name in ("train", "validation", "test") if snapshot.rows(name)]
        raise ConfigError(
            f"--split {split}: the snapshot has no such rows; choose {' or '.join(filled)}"
        )


def print_lag(done: Json) -> None:
    """Reach and bins, for a person."""
    console = Console(highlight=False)
    console.print(
        f"{done['dataset']}: gradient of the {done['of']}, {done['records']:,} records of "
        f"{done['split']}, the longest {done['longest']:,} steps",
        soft_wrap=True,
    )
    for share, steps in done["reach"].items():
        console.print(f"  {100 * float(share):.0f} % of it within the last {steps:,} steps")
    grid = Grid("steps back", "median", "middle half", "mean", "records")
    for row in done["bins"]:
        first, last = row["from_lag"], row["to_lag"]
        grid.add_row(
            f"{first:,}" if first == last else f"{first:,} to {last:,}",
            f"{row['median']:.2e}",
            f"{row['q25']:.2e} to {row['q75']:.2e}",
            f"{row['mean']:.2e}",
            f"{row['records']:,}",
        )
    console.print(grid)
    for what in ("out", "csv", "plot"):
        console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)
