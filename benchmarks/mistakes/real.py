"""The public datasets as this software prepares them, where they are at hand."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch

from benchmarks.mistakes.learn import Rows
from flows.pipeline_file import base, load
from seqprep.examples import Examples
from seqprep.ingest import ingest
from seqprep.prepare import prepare
from seqprep.schema import SPLITS, Split
from seqprep.snapshot import Snapshot, read_shard

ROOT = Path(__file__).parents[2]
DATASETS = Path(os.environ.get("SEQPREP_DATASETS", ROOT / "../shared/datasets"))
FOLDERS = {
    "movie_reviews": "text_movie_reviews",
    "muse_subject": "eeg_muse_mental_state",
    "eye_state": "eeg_eye_state",
}


def has_public_data() -> bool:
    """Whether the datasets lie beside the repository, or where SEQPREP_DATASETS says."""
    return all((DATASETS / folder).is_dir() for folder in FOLDERS.values())


def folder_of(name: str) -> Path:
    """Where the files of a dataset lie."""
    return DATASETS / FOLDERS[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The examples of a dataset.

    Args:
        rows: by split. ids: of the record of each row, by split. vocab: ids, or 0 for values.
    """

    rows: dict[str, Rows]
    ids: dict[str, list[str]]
    vocab: int


def examples_of(name: str, *settings: str) -> Prepared:
    """Ingest and prepare a dataset by its pipeline file in `data/real`.

    Args:
        name: of the file.
        *settings: `a.b=value` texts that change it.
    """
    file = ROOT / "data/real" / f"{name}.yaml"
    spec = load(file, overrides=[f"source.path={folder_of(name).resolve()}", *settings])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = Path(folder)
        ingest(spec.source, dataset=name, store=store, base=base(file))
        done = prepare(
            dataset=name,
            store=store,
            domain=spec.source.domain,
            task=spec.source.task,
            split=spec.split,
            recipe=spec.prepare,
        )
        snapshot = Snapshot.read(Path(done.snapshot))
        tables = {split: _table(snapshot, split) for split in SPLITS if snapshot.of(split)}
    examples = {split: Examples.of(table, snapshot.facts) for split, table in tables.items()}
    return Prepared(
        rows={split: _rows(found) for split, found in examples.items()},
        ids={split: found.ids.to_pylist() for split, found in examples.items()},
        vocab=snapshot.facts.vocab_size or 0,
    )


def _table(snapshot: Snapshot, split: Split) -> pa.Table:
    return pa.concat_tables([read_shard(snapshot, shard) for shard in snapshot.of(split)])


def _rows(found: Examples) -> Rows:
    kind = torch.float32 if found.inputs.values.dtype.kind == "f" else torch.int64
    values = torch.from_numpy(found.inputs.values.copy()).to(kind)
    assert found.labels is not None
    return Rows(
        inputs=list(values.split(found.inputs.lengths.tolist())),
        labels=torch.from_numpy(found.labels.astype("int64")),
    )
