"""A deployment that looks into a folder, for real: files dropped in twice, a run killed between."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from flows.predict import predict_files
from flows.registry.bundles import find_bundle
from seqprep.inbox.predictions import Predictions
from tests.flows.prediction.test_inbox import assert_same, stored
from tests.flows.system import System
from tests.sources import write_files

pytestmark = pytest.mark.slow

FEW = {"settings": ["train.updates=5"]}
FILES = 4500
"""More than one group."""


def documents(root: Path, count: int, *, name: str) -> dict[str, bytes | str]:
    """Short documents of the sample's words, all different."""
    words = next((root / "data" / "text" / "cooking").glob("*.txt")).read_text().split()
    return {
        f"{name}/{number:05}.txt": " ".join([*words[number % 60 : number % 60 + 9], str(number)])
        for number in range(count)
    }


def kill_when_a_group_is_done(system: System, run: UUID, out: Path) -> None:
    """Kill the process of a run when its first group is committed and the next one is begun."""
    limit_s = time.monotonic() + 300
    table = Predictions(out).table
    before = table.version()
    while table.version() == before or not list(table.path.glob(".*.tmp")):
        assert time.monotonic() < limit_s and not system.state(run).is_final(), system.log()[-3000:]
        time.sleep(0.05)
    process = system.flow(run)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)


def test_every_file_of_a_folder_is_predicted_once_whatever_is_killed(tmp_path: Path) -> None:
    """Otherwise a service that restarts at night would lose answers, or give them twice."""
    inbox, out = tmp_path / "in", tmp_path / "out"
    options = {"folder": str(inbox), "out": str(out)}
    with System(tmp_path) as system:
        assert system.wait(system.start("pipeline/default", **FEW)).name == "Completed"
        bundle = str(find_bundle("sample_text@current", store=tmp_path / "store"))
        write_files(inbox, documents(tmp_path, 30, name="first"))
        run = system.start("predict-new/default", **options)
        assert system.wait(run).name == "Completed", system.log()[-3000:]
        time.sleep(5)  # until what came last has settled
        again = system.start("predict-new/default", **options)
        assert system.wait(again).name == "Completed"
        assert len(stored(tmp_path)) == 30
        write_files(inbox, documents(tmp_path, FILES, name="second"))
        time.sleep(5)
        killed = system.start("predict-new/default", **options)
        kill_when_a_group_is_done(system, killed, out)
        between = len(stored(tmp_path))
        assert 30 < between < 30 + FILES
        # Two at once: one waits for its turn, and finds all done.
        runs = [system.start("predict-new/default", **options) for _ in range(2)]
        assert [system.wait(run, within_s=500).name for run in runs] == ["Completed"] * 2
    with disable_run_logger():
        plain = tmp_path / "plain.parquet"
        predict_files.fn(bundle, [str(inbox)], out=str(plain))
    assert_same(stored(tmp_path), rows_in(plain))
    assert len(stored(tmp_path)) == 30 + FILES


def rows_in(path: Path) -> list[dict[str, object]]:
    """Rows of a file of predictions, by id."""
    return pq.read_table(path).sort_by("id").to_pylist()
