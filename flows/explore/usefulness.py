"""`seqprep usefulness`: how much the validation score drops when a token is taken out (P5).

By masking: the trained model scores validation rows without the token. By retraining: a model is
trained and scored without it, which is what the step `usefulness` will do, and costs a training a
token. Only validation rows are scored; test rows are not read.

The table that is written is read by `usefulness: {by: removal, keep: K, scores: TABLE.parquet}`.
Intervals are percentiles of a paired bootstrap over validation records; each holds by itself, and
among a hundred tokens a few lie above 0 by chance. With retraining they leave out what another seed
would change.

Legend: K tokens, R validation records.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text
from scipy.sparse import csr_array

from flows.explore import frequency_plots
from flows.explore.candidates import Candidates, candidates
from flows.explore.frequencies import shown_token
from flows.explore.without_token import retrain_without
from flows.ingest import ingest_files
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.progress import Callback, say, stage
from flows.references import Json, resolve
from flows.registry.intervals import intervals
from flows.study import check_validation
from flows.train import train_model
from flows.training.warm import refuse_warm
from models.bundle import Bundle
from models.device import prepare_torch
from models.options.training import Train
from models.scores.masking import SCORES, Masked, mask_tokens
from seqprep.errors import ConfigError
from seqprep.out_paths import check_file_path
from seqprep.ragged import Ints
from seqprep.snapshot import Snapshot
from seqprep.stores import store_folder
from seqprep.table_files import write_table

By = Literal["masking", "retraining"]
TOKENS: dict[By, int] = {"masking": 100, "retraining": 5}
"""Candidates where a person names no number."""
SHOWN = 25
START_S = 8.0
"""About what a training takes beside its updates."""


def usefulness(
    file: str,
    *,
    store: str,
    settings: list[str],
    by: By,
    tokens: int | None,
    out: Path | None,
) -> Json:
    """Take tokens out, one at a time, and see what validation loses.

    Args:
        file: path of a pipeline file; it is run first as far as it is not yet.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        by: masking or retraining.
        tokens: how many candidates; None: TOKENS.
        out: of the table; default in the dataset's folder.

    Returns:
        Baseline, numbers, the first rows of the table, and paths.

    Raises:
        ConfigError: if there is no validation, or the stored rows are values.
    """
    if out is not None:
        check_file_path(out)
    spec, base = resolve(file, None, settings)
    if by == "retraining":
        refuse_warm(spec, "usefulness by retraining")
    ingest_files.fn(to_json(spec), base=str(base), store=store)
    prepared = prepare_rows.fn(to_json(spec), base=str(base), store=store)
    snapshot = Snapshot.read(Path(prepared["snapshot"]))
    check_snapshot(snapshot)
    trained = train_model.fn(to_json(spec), store=store, prepared=prepared)
    bundle = Bundle.read(Path(trained["bundle"]))
    chosen = candidates(snapshot, bundle, most=tokens or TOKENS[by])
    with stage(f"{spec.dataset}: usefulness by {by}") as progress:
        masked = _by_masking(spec, bundle, snapshot, chosen, progress)
        holders = np.bincount(masked.token, minlength=len(chosen.ids))
        if by == "retraining":
            folder = Path(trained["bundle"]).parent
            masked = _by_retraining(masked.scores, snapshot, chosen, folder, progress)
    table = effect_table(masked, chosen, holders=holders)
    out = (
        out or store_folder(store) / spec.dataset / f"usefulness-{spec.prepare.recipe}-{by}.parquet"
    )
    done = {
        "dataset": spec.dataset,
        "recipe": spec.prepare.recipe,
        "by": by,
        "score": SCORES[spec.source.task],
        "baseline": float(masked.scores.mean()),
        "records": len(masked.scores),
        "tokens": len(chosen.ids),
        "above_zero": int((np.asarray(table["low"]) > 0).sum()),
        "top": table.slice(0, SHOWN).to_pylist(),
        "bundle": trained["bundle"],
        "out": str(out),
        "plot": str(out.with_suffix(".png")),
    }
    about = {k: str(done[k]) for k in ("dataset", "recipe", "by", "score", "baseline", "records")}
    metadata = {f"seqprep.{key}".encode(): text.encode() for key, text in about.items()}
    write_table(table.replace_schema_metadata(metadata), out)
    frequency_plots.drops(
        out.with_suffix(".png"),
        table=table.slice(0, SHOWN).to_pydict(),
        score=done["score"],
        baseline=done["baseline"],
    )
    print_usefulness(done)
    return done


def check_snapshot(snapshot: Snapshot) -> None:
    """Refuse examples of which no token can be taken out, or that cannot be scored.

    Raises:
        ConfigError: saying why and what to do.
    """
    if snapshot.facts.vocab_size is None:
        raise ConfigError(
            f"usefulness takes out tokens, but recipe {snapshot.facts.recipe!r} stores values; "
            "leave out the steps that make values of tokens"
        )
    check_validation(bool(snapshot.rows("validation")), study="usefulness")


def _by_masking(
    spec: Pipeline, bundle: Bundle, snapshot: Snapshot, chosen: Candidates, progress: Callback
) -> Masked:
    device = prepare_torch(Train(device=spec.train.device, threads=spec.train.threads))
    snapshot.verify(snapshot.of("validation"))
    return mask_tokens(
        bundle, snapshot, "validation", chosen.ids.tolist(), device=device, progress=progress
    )


def _by_retraining(
    scores: npt.NDArray[np.float64],
    snapshot: Snapshot,
    chosen: Candidates,
    folder: Path,
    progress: Callback,
) -> Masked:
    """The same from a model trained without each token, with the same options and seed."""
    report = json.loads((folder / "report.json").read_bytes())
    seconds = (report["train"]["seconds"] + START_S) * len(chosen.ids)
    say(f"  {len(chosen.ids)} trainings, about {_duration(seconds)} in all")
    parts = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".without-") as name:
        for number, token in enumerate(chosen.ids.tolist()):
            place = Path(name) / str(number)
            parts.append(retrain_without(snapshot, token, job=folder / "job.json", folder=place))
            progress("trainings", number + 1, len(chosen.ids))
    records = np.arange(len(scores))
    return Masked(
        scores=scores,
        token=np.repeat(np.arange(len(parts)), len(records)),
        record=np.tile(records, len(parts)),
        without=np.concatenate([part.scores for part in parts]),
    )


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} seconds" if seconds < 120 else f"{seconds / 60:,.0f} minutes"


def effect_table(masked: Masked, chosen: Candidates, *, holders: Ints) -> pa.Table:
    """A row a token, the largest drop first.

    Columns: `token`, `drop` in the mean score, its interval `low` to `high`, the `score` that is
    left, `records` of validation that hold the token, `count` in training rows, and
    `mutual_information` where there are classes.

    Args:
        masked: scores with and without them.
        chosen: the tokens.
        holders: `(K,)` validation records that hold each.
    """
    lost = masked.scores[masked.record] - masked.without
    shape = (len(chosen.ids), len(masked.scores))
    drops = csr_array((lost, (masked.token, masked.record)), shape=shape)
    drop = np.asarray(drops.sum(axis=1)).ravel() / shape[1]
    low, high = intervals(drops)
    columns: dict[str, Any] = {
        "token": pa.array(chosen.tokens, pa.string()),
        "drop": drop,
        "low": low,
        "high": high,
        "score": masked.scores.mean() - drop,
        "records": holders,
        "count": chosen.counts,
    }
    if chosen.promise is not None:
        columns["mutual_information"] = chosen.promise
    order = np.lexsort((np.arange(len(drop)), -drop))
    return pa.table(columns).take(pa.array(order))


def print_usefulness(done: Json) -> None:
    """The tokens that cost most, for a person."""
    console = Console(highlight=False)
    console.print(
        f"{done['dataset']}: {done['score']} on {done['records']:,} validation records: "
        f"{done['baseline']:.4f} with all tokens; {done['above_zero']} of {done['tokens']} tokens "
        "have an interval above 0",
        soft_wrap=True,
    )
    grid = Grid("token", "drop", "95 % interval", "score", "records", "count")
    for row in done["top"]:
        cells = [shown_token(row["token"]), f"{row['drop']:+.4f}"]
        cells += [f"{row['low']:+.4f} to {row['high']:+.4f}", f"{row['score']:.4f}"]
        cells += [f"{row['records']:,}", f"{row['count']:,}"]
        grid.add_row(*map(Text, cells))
    console.print(grid)
    for what in ("out", "plot"):
        console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)
