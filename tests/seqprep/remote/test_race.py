"""Machines that write to one store at the same moment: processes with mirrors of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqprep.registry import Registry
from seqprep.stores import store_folder
from tests.conftest import ROOT
from tests.object_store import ObjectServer
from tests.seqprep.remote.stored import NAME, ingested_at, rows_at
from tests.sources import write_files

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from seqprep.ingest import ingest
from seqprep.registry import Registry
from seqprep.stores import store_folder
from seqprep.table import ConflictError
from tests.seqprep.test_registry import TRAINED
from tests.stores import source_of
store, root, number, name = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sys.stdin.readline()  # start together
folder = store_folder(store, dataset="d")
Registry(folder / "d").add(lambda before: replace(TRAINED, run=f"{number}-{name}"))
lost = 0
while True:
    try:
        ingest(source_of(root), dataset="d", store=store_folder(store, dataset="d"))
        break
    except ConflictError:
        lost += 1
print(lost)
"""


def race(server: ObjectServer, folder: Path, *, machines: int, rounds: int) -> int:
    """Let machines ingest and register at once; how often one of them lost and went on."""
    store = f"s3://{server.bucket()}/p"
    lost = 0
    sources = [folder / f"source-{name}" for name in range(machines)]
    for source in sources:
        source.mkdir()
        (folder / "in").mkdir(exist_ok=True)
        (source / "in").symlink_to(folder / "in")
    for number in range(rounds):
        files = {f"pos/x{number}-{one}.txt": f"words {number} {one}" for one in range(3)}
        write_files(folder / "in", {**files, "neg/changing-0.txt": f"round {number}"})
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, store, str(source), str(number), source.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "SEQPREP_CACHE": str(folder / "cache" / source.name)},
                cwd=ROOT,
                text=True,
            )
            for source in sources
        ]
        for run in runs:
            assert run.stdin is not None
            run.stdin.write("\n")
            run.stdin.flush()
        # Files also come while they are at work: not all do the same.
        write_files(folder / "in", {f"pos/late{number}-0.txt": f"late {number}"})
        for run in runs:
            told, _ = run.communicate(timeout=600)
            assert run.returncode == 0
            lost += int(told)
    check(store, folder, machines=machines, rounds=rounds)
    return lost


def check(store: str, folder: Path, *, machines: int, rounds: int) -> None:
    """Every record stands there once, and every event was kept."""
    ingested_at(store, folder)
    here = {path.relative_to(folder / "in").as_posix() for path in (folder / "in").rglob("*.txt")}
    stored = [(row["id"], row["text"]) for row in rows_at(store)]
    wanted = [(f"{name}#0", (folder / "in" / name).read_text()) for name in sorted(here)]
    assert stored == wanted
    events = Registry(store_folder(store, dataset=NAME) / NAME).events()
    runs = sorted(f"{n}-source-{name}" for n in range(rounds) for name in range(machines))
    assert sorted(event.run for event in events) == runs


@pytest.mark.slow
def test_many_rounds_of_machines_at_once_lose_and_double_nothing(
    server: ObjectServer, machine: object, tmp_path: Path
) -> None:
    """What happens once in a hundred races would happen in a year."""
    race(server, tmp_path, machines=4, rounds=10)
