"""`seqprep codes`: an autoencoder's codes of a dataset's records, as a dataset of their own.

The new dataset's steps are codes and its channels their units. Its records keep id, group, label
and source, so a split puts them where it put the records, and the reconstruction error is kept
among their `attributes`. The pipeline file written beside the table, with the split of the
autoencoder (of headers and tables as a table of its records), prepares it and trains on it.
Records that were withdrawn from the dataset, or from the codes, never come into them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from flows.pipeline_file import Pipeline
from flows.progress import Callback, say, silent, stage
from flows.references import Json
from flows.stored import pipeline_of, prepared_records
from flows.training.job import training_snapshot
from models.bundle import Bundle
from models.codes import check_autoencoder, encode
from models.device import prepare_torch
from models.manifest import bundle_digest
from models.options.training import Train
from seqprep.checks import check_name
from seqprep.errors import SeqprepError
from seqprep.fingerprint import as_json
from seqprep.fitted import Fitted
from seqprep.ingestion.derived import commit_derived, derived_task, with_attributes
from seqprep.ingestion.withdrawn import REASON
from seqprep.recipe import Split
from seqprep.schema import SPLITS, Task
from seqprep.snapshot import Snapshot, read_shards, replace_bytes
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.upkeep.in_use import using

SPLITS_FILE = "split/records.csv"
"""Not beside the pipeline file that names it: tables there go with every erasure."""
LISTED = ("header", "table")
"""Splits by what codes lack, headers, or by a file whose place a bundle does not know."""
KEPT = ("id", "name", "group", "label", "source", "record", "header", "content_hash")


def make_codes(bundle: str, *, dataset: str, store: Path, source_dataset: str | None) -> Json:
    """Encode every record of a dataset, and store the codes as another one; see `store_codes`.

    Args:
        bundle: folder of an autoencoder's bundle.
        dataset: name of the new dataset.
        store: folder of the datasets.
        source_dataset: whose records are encoded; none: that of the training.
    """
    with stage(f"{dataset}: codes") as progress:
        done = store_codes(
            bundle, dataset=dataset, store=store, source_dataset=source_dataset, progress=progress
        )
    left_out = f" ({done['withdrawn']:,} withdrawn)" if done["withdrawn"] else ""
    say(
        f"{dataset}: sequences version {done['version']}: {done['rows']:,} records of "
        f"{done['source_dataset']}{left_out}; pipeline file: {done['pipeline']}"
    )
    return done


def store_codes(
    bundle: str,
    *,
    dataset: str,
    store: Path,
    source_dataset: str | None,
    into: Path | None = None,
    progress: Callback = silent,
) -> Json:
    """Encode every record of a dataset, and store the codes as another one.

    Args:
        bundle: folder of an autoencoder's bundle.
        dataset: name of the new dataset.
        store: folder of the datasets.
        source_dataset: whose records are encoded; none: that of the training.
        into: folder of the new dataset's folder; none: the store.
        progress: called as (what, done, total).

    Returns:
        What was made, and from what.

    Raises:
        SeqprepError: if the bundle has no codes, or the records are not what it reads.
    """
    check_name(dataset, key="--dataset")
    model = Bundle.read(Path(bundle))
    check_autoencoder(model)
    spec = pipeline_of(model, folder=bundle)
    name = source_dataset or spec.dataset
    if name == dataset:
        raise SeqprepError(f"--dataset {dataset}: codes need a name of their own")
    store = store_folder(store, dataset=name)
    if into is None:
        store_folder(store, dataset=dataset)  # another machine may have made it
    folder = (into or store) / dataset
    origin, table = Table(store / name / "sequences"), Table(folder / "sequences")
    if origin.version() is None:
        raise SeqprepError(f"{origin.path}: there are no sequences; name another --source-dataset")
    # Else a removal could look for datasets made from the records just before there is this one.
    with using(origin.path.parent):
        version = _version(origin, spec, Fitted.from_bytes(model.fitted))
        task = derived_task(origin, version)
        channels = [f"code_{number}" for number in range(model.config.hidden)]
        with using(folder):
            made = commit_derived(
                table,
                _rows(model, spec, origin, version, progress),
                origin=origin,
                version=version,
                task=task,
                channels=channels,
                made_by={"bundle": bundle_digest(Path(bundle)), "kind": "codes"},
            )
    counts = table.info(made).counts
    file = folder / "pipeline.yaml"
    if not file.exists():  # a person's own stays
        split = _kept_split(spec, name, folder / SPLITS_FILE, Path(bundle))
        _write_pipeline(file, dataset, task, split)
    return {
        "dataset": dataset,
        "version": made,
        "rows": counts["rows"],
        "withdrawn": counts["rejections"].get(REASON, 0),
        "channels": len(channels),
        "task": task,
        "source_dataset": name,
        "source_version": version,
        "pipeline": str(file),
    }


def _version(origin: Table, spec: Pipeline, fitted: Fitted) -> int:
    """The newest version of the records, checked to be what the model reads."""
    version = origin.version()
    assert version is not None, "looked for before"
    params = origin.info(version).params
    if params["domain"] != spec.source.domain:
        raise SeqprepError(
            f"{origin.path}: records of domain {params['domain']}, but the model reads "
            f"{spec.source.domain}; name another --source-dataset"
        )
    if tuple(params.get("channels", ())) != fitted.channels:
        raise SeqprepError(
            f"{origin.path}: channels {', '.join(params['channels'])}, but the model reads "
            f"{', '.join(fitted.channels)}; name another --source-dataset"
        )
    return version


def _rows(
    model: Bundle, spec: Pipeline, origin: Table, version: int, progress: Callback
) -> Iterator[pa.Table]:
    """Rows of the new table, some records at a time."""
    device = prepare_torch(Train(device="auto"))
    total, done = origin.info(version).counts.get("rows", 0), 0
    columns = [*KEPT, "attributes"]
    for part, examples in prepared_records(model, spec, origin, version, columns=columns):
        found = encode(model, examples, device=device)
        assert found["id"].to_pylist() == part["id"].to_pylist(), "records change places"
        yield _row(part, found, model.config.hidden)
        done += len(part)
        progress("records", done, total)


def _row(records: pa.Table, found: pa.Table, units: int) -> pa.Table:
    codes = found["codes"].combine_chunks()
    errors = [{"reconstruction_error": e} for e in found["reconstruction_error"].to_pylist()]
    columns = {name: records[name] for name in KEPT}
    columns["values"] = codes
    columns["length"] = pa.array(codes.value_lengths().to_numpy() // units, pa.int32())
    columns["attributes"] = with_attributes(records["attributes"].to_pylist(), errors)
    return pa.table(columns)


def _kept_split(spec: Pipeline, name: str, path: Path, bundle: Path) -> Json:
    """The split of the autoencoder, for codes of the dataset `name`; its table goes to `path`."""
    if spec.split.by not in LISTED:
        return _beside_defaults(as_json(spec.split))
    if name == spec.dataset:
        return _write_splits(path, bundle)
    say(
        f"split by {spec.split.by} of {spec.dataset} says nothing of {name}; its codes are split "
        "by a hash of the group"
    )
    return {}


def _write_pipeline(path: Path, dataset: str, task: Task, split: Json) -> None:
    """A pipeline file that trains on the codes."""
    model = "autoencoder" if task == "reconstruct" else "lstm"
    text = (
        "# Codes of an autoencoder, made by `seqprep codes`. There is nothing to ingest: the\n"
        "# path only has to exist.\n"
        f"dataset: {dataset}\n"
        f"source: {{domain: eeg, path: sequences, task: {task}}}\n"
        f"split: {json.dumps(split)}\n"
        "prepare: {scale: none}\n"
        f"train:\n  model: {{name: {model}}}\n"
    )
    replace_bytes(path, text.encode())


def _write_splits(path: Path, bundle: Path) -> Json:
    """A table of the split of each record that an autoencoder read, and the split that reads it."""
    snapshot = Snapshot.read(
        training_snapshot(bundle, remedy="its split cannot be kept; train the autoencoder again")
    )
    parts = []
    for split in SPLITS:
        for table in read_shards(snapshot, snapshot.of(split), columns=["id"], verify=True):
            names = pa.array([split] * len(table), pa.string())
            parts.append(pa.table({"id": table["id"], "split": names}))
    listed = pa.concat_tables(parts).group_by(["id", "split"], use_threads=False).aggregate([])
    body = pa.BufferOutputStream()
    pyarrow.csv.write_csv(listed.select(["id", "split"]), body)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, body.getvalue().to_pybytes())
    return {
        "by": "table",
        "table": SPLITS_FILE,
        "key": "id",
        "column": "split",
        **{split: [split] for split in SPLITS},
    }


def _beside_defaults(split: Json) -> Json:
    usual = as_json(Split())
    return {key: value for key, value in split.items() if value != usual.get(key)}
