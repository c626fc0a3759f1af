"""The commands of "Operate it" that need a server: run upon one, with its address put in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from seqprep.table import Table
from tests.conftest import ROOT
from tests.docs.console import GUIDE, blocks, commands, folder_of_a_reader, matches, run
from tests.flows.system import System, free_port
from tests.object_store import ObjectServer
from tests.three_domains import listed

PAGE = GUIDE / "operate.md"
STORES = ("store", "shared")


def told(test: str) -> list[str]:
    """The blocks of the page that a test of this file runs."""
    note = f"tested by tests/docs/test_operate.py::{test}"
    return [block.body for block in blocks(PAGE) if block.note == note]


def follow(lines: str, system: System) -> str:
    """Do what a block says, with the port of a server; what it prints."""
    here = lines.replace("4200", str(system.port))
    done = subprocess.run(
        ["bash", "-ec", here.replace(".venv/bin/prefect", f"{sys.executable} -m prefect")],
        cwd=system.root,
        env=system.environment | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_server_does_what_the_guide_says(tmp_path: Path) -> None:
    """A command of the page would be refused by the server that `./run up` starts."""
    started, nightly, refresh = told("test_a_server_does_what_the_guide_says")
    ((command, shown),) = commands(started)
    assert command == "./run up"
    system = System(tmp_path)
    try:
        said = system.up()
        assert matches(shown.replace("4200", str(system.port)) + "...\n", said), said
        address, listing, resume = nightly.splitlines()
        listed = follow(f"{address}\n{listing}", system)
        schedule = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", listed)
        assert schedule is not None, listed
        follow(f"{address}\n{resume.replace('default ID', f'default {schedule[0]}')}", system)
        assert "Completed" in follow(f"{address}\n{refresh}", system)
    finally:
        system.serve("down")


@pytest.mark.slow
def test_a_store_on_s3_as_the_guide_says(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would copy addresses and credentials into commands that do not take them."""
    (block,) = told("test_a_store_on_s3_as_the_guide_says")
    folder = folder_of_a_reader(tmp_path)
    bucket = server.bucket()
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    here = block.replace("http://127.0.0.1:9000", server.url).replace("//lab/", f"//{bucket}/")
    here = here.replace(
        "seqprep run data/text.yaml", "seqprep run data/text.yaml --set train.updates=8"
    )
    here = here.replace(
        "seqprep train data/text.yaml", "seqprep train data/text.yaml --set train.updates=8"
    )
    machines = [folder / name for name in ("first", "second")]
    first, second = here.split("# on another machine", 1)
    keys = first.splitlines()[0]
    status, printed = run(f"export SEQPREP_CACHE={machines[0]}\n{first}", folder)
    assert status == 0, printed
    status, printed = run(f"export SEQPREP_CACHE={machines[1]}\n{keys}\n#{second}", folder)
    assert status == 0 and "reused" in printed, printed
    assert (folder / "p.parquet").is_file() and not (folder / "store").exists()


@pytest.mark.slow
def test_a_cluster_as_the_guide_says(tmp_path: Path) -> None:
    """A person with three machines would be left with a scheduler that nothing reaches."""
    (block,) = told("test_a_cluster_as_the_guide_says")
    folder = folder_of_a_reader(tmp_path)
    yaml = (folder / "data" / "text.yaml").read_text(encoding="utf-8")
    (folder / "pipeline.yaml").write_text(yaml.replace("path: text", "path: data/text"))
    address = f"tcp://127.0.0.1:{free_port()}"
    system = System(folder / "server")
    here = block.replace("tcp://10.0.0.5:8786", address).replace("8786", address.split(":")[-1])
    here = here.replace("10.0.0.5:4200", f"127.0.0.1:{system.port}").replace(
        "10.0.0.5", "127.0.0.1"
    )
    here = here.replace("/shared/store", str(folder / "shared"))
    here = here.replace(
        "seqprep run pipeline.yaml", "seqprep run pipeline.yaml --set train.updates=8"
    )
    alone, scheduler, worker, server, run_there = filter(None, here.splitlines())
    status, printed = run(alone, folder)
    assert status == 0, printed
    with system, ExitStack() as started:
        for command in (scheduler, worker, worker):
            started.enter_context(ended(command, folder))
        status, printed = run(f"{server}\n{run_there}", folder)
    assert status == 0, printed
    ours, theirs = (listed(Table(folder / name / "sample_text" / "sequences")) for name in STORES)
    assert ours == theirs


@contextmanager
def ended(command: str, folder: Path) -> Iterator[None]:
    """A command that runs until the block ends."""
    process = subprocess.Popen(
        [f"{Path(sys.executable).parent}/{command}"],
        shell=True,
        start_new_session=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
