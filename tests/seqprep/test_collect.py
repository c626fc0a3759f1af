"""What nothing needs any longer is deleted; what anything needs stays whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from seqprep.errors import CorruptError, SeqprepError
from seqprep.snapshot import Snapshot
from seqprep.table import Table
from seqprep.upkeep.collect import collect
from seqprep.upkeep.gone import GoneError
from seqprep.upkeep.in_use import using
from seqprep.upkeep.verification import verify_dataset
from tests.sources import stored_rows
from tests.stores import DAY_S, RECIPE, add_run, documents_of, ingested, prepared

LATER_S = time.time() + DAY_S


def folder_of(root: Path) -> Path:
    return root / "store" / "d"


def grow(root: Path, versions: int = 4) -> list[str]:
    """Ingest and prepare so often, each time with another file; paths of the snapshots."""
    ingested(root, documents_of())
    snapshots = [prepared(root).snapshot]
    for number in range(1, versions):
        ingested(
            root, {f"pos/new-{number}.txt": f"new words {number}", "neg/bob-0.txt": "x" * number}
        )
        snapshots.append(prepared(root).snapshot)
    return snapshots


def files(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix() for path in folder_of(root).rglob("*") if path.is_file()
    }


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    """A person could not look before the files are gone."""
    grow(tmp_path)
    before = files(tmp_path)
    told = collect(folder_of(tmp_path), now_s=LATER_S)
    assert not told.applied and files(tmp_path) == before
    assert told.versions == {"sequences": (0, 1), "examples-default": (0, 1)}
    assert told.kept == {"sequences": (2, 3), "examples-default": (2, 3)}
    assert told.young == {}
    now = collect(folder_of(tmp_path))
    assert now.young == {"sequences": (0, 1), "examples-default": (0, 1)} and not now.versions
    done = collect(folder_of(tmp_path), now_s=LATER_S, apply=True)
    assert replace(done, applied=False) == told
    assert len(before - files(tmp_path)) == sum(done.files.values())


def test_kept_versions_stay_whole_and_collected_ones_are_refused(tmp_path: Path) -> None:
    """Space would be saved at the price of a dataset, or old versions look damaged."""
    snapshots = grow(tmp_path)
    rows = stored_rows(tmp_path / "store", "d")
    collect(folder_of(tmp_path), now_s=LATER_S, apply=True)
    for name in ("sequences", "examples-default"):
        table = Table(folder_of(tmp_path) / name)
        table.verify(2)
        table.verify(3)
        stage = "ingest" if name == "sequences" else "prepare"
        with pytest.raises(GoneError, match=f"version 1 was collected by gc.*run {stage} again"):
            table.files(1)
    assert stored_rows(tmp_path / "store", "d") == rows
    Snapshot.read(Path(snapshots[-1])).verify()
    with pytest.raises(CorruptError, match="run prepare first"):
        Snapshot.read(Path(snapshots[0]))
    assert verify_dataset(folder_of(tmp_path)).problems == []
    assert ingested(tmp_path).reused and prepared(tmp_path).reused
    # What was collected can be made again.
    again = prepared(tmp_path, version=2)
    assert again.sequences_version == 2


def test_what_a_model_was_trained_on_stays(tmp_path: Path) -> None:
    """A model's data could no longer be looked at, or its training not go on."""
    snapshots = grow(tmp_path)
    run = add_run(tmp_path, replace(prepared(tmp_path), snapshot=snapshots[0]))
    done = collect(folder_of(tmp_path), keep=1, now_s=LATER_S, apply=True)
    assert done.kept == {"sequences": (0, 3), "examples-default": (0, 3)}
    Snapshot.read(Path(snapshots[0])).verify()
    Table(folder_of(tmp_path) / "sequences").verify(0)
    shutil.rmtree(run)
    assert collect(folder_of(tmp_path), keep=1, now_s=LATER_S).versions == {
        "sequences": (0,),
        "examples-default": (0,),
    }


def test_a_model_of_which_nothing_is_known_stops_the_collection(tmp_path: Path) -> None:
    """Data of a model would be deleted because one of its files is damaged."""
    grow(tmp_path)
    run = add_run(tmp_path, prepared(tmp_path))
    (run / "job.json").write_text("{")
    with pytest.raises(CorruptError, match="cannot be told which examples"):
        collect(folder_of(tmp_path), now_s=LATER_S, apply=True)


def test_what_is_younger_than_a_day_stays(tmp_path: Path) -> None:
    """Files of a run that is about to commit would be taken away."""
    grow(tmp_path)
    (folder_of(tmp_path) / "sequences" / "chunk-99999-0123456789abcdef.parquet").touch()
    before = files(tmp_path)
    done = collect(folder_of(tmp_path), keep=1, apply=True)
    assert done.versions == {} and files(tmp_path) == before


def test_leftovers_of_runs_that_died_go_and_other_files_stay(tmp_path: Path) -> None:
    """The disk would fill with what nobody sees, or a person's own file be deleted."""
    ingested(tmp_path, documents_of())
    prepared(tmp_path)
    folder = folder_of(tmp_path)
    left = [
        folder / "sequences" / ".chunk-00001.0123.tmp",
        folder / "sequences" / "chunk-00001-0123456789abcdef.parquet",
        folder / "state" / f"{'0' * 64}.json",
        folder / "snapshots" / ".default-v0.json.0123.tmp",
        folder / ".spill-dead" / "lock",
        folder / "models" / ".removed-run" / "report.json",
    ]
    own = [folder / "notes.txt", folder / "state" / "README", folder / "models" / "mine" / "a.tmp"]
    for path in (*left, *own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with using(folder):
        busy = collect(folder, now_s=LATER_S, apply=True)
    assert "run again when it has ended" in busy.in_use and all(path.exists() for path in left)
    done = collect(folder, now_s=LATER_S, apply=True)
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in own)
    assert sum(done.files.values()) == len(left)
    assert verify_dataset(folder).problems == []


def test_a_live_training_keeps_its_temporaries(tmp_path: Path) -> None:
    """A checkpoint would be taken away while it is written."""
    ingested(tmp_path, documents_of())
    run = add_run(tmp_path, prepared(tmp_path))
    staged = run / ".state.safetensors.0123.tmp"
    staged.touch()
    handle = os.open(run / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    collect(folder_of(tmp_path), now_s=LATER_S, apply=True)
    assert staged.exists()
    os.close(handle)
    collect(folder_of(tmp_path), now_s=LATER_S, apply=True)
    assert not staged.exists()


def test_examples_keep_the_sequences_that_they_were_made_from(tmp_path: Path) -> None:
    """Examples could no longer be traced to their records."""
    ingested(tmp_path, documents_of())
    prepared(tmp_path, recipe=replace(RECIPE, recipe="old"))
    for number in range(3):
        ingested(tmp_path, {f"pos/new-{number}.txt": f"new words {number}"})
    done = collect(folder_of(tmp_path), keep=1, now_s=LATER_S, apply=True)
    assert done.kept == {"sequences": (0, 3), "examples-old": (0,)}


def test_a_kept_version_that_cannot_be_read_stops_the_collection(tmp_path: Path) -> None:
    """Files of a version whose list is damaged would be taken for leftovers."""
    grow(tmp_path)
    table = Table(folder_of(tmp_path) / "sequences")
    (table.state.path / table.info().state["manifest"]).write_bytes(b"{}")
    before = files(tmp_path)
    with pytest.raises(CorruptError, match="not those that were committed"):
        collect(folder_of(tmp_path), now_s=LATER_S, apply=True)
    assert files(tmp_path) == before


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    """A wrong number would empty a dataset."""
    ingested(tmp_path, documents_of())
    with pytest.raises(SeqprepError, match=r"--keep\) must be >= 1 version of each table, got 0"):
        collect(folder_of(tmp_path), keep=0)
    with pytest.raises(SeqprepError, match="no dataset here"):
        collect(tmp_path)
