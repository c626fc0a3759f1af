"""`./run up` on PostgreSQL, for real: a server of its own on loopback, several flows at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.system import System, free_port

pytestmark = pytest.mark.slow

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")
"""Where the programs of PostgreSQL lie, beside the PATH."""
RUNS = {
    "one": ("data/text.yaml", "train.updates=5"),
    "two": ("data/text.yaml", "train.updates=5"),
    "dna": ("data/dna.yaml", "train.updates=5"),
    "eeg": ("data/eeg.yaml", "train.epochs=1"),
}
"""By store: pipeline file, and the setting that keeps its training short."""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        folders = (Path("/").glob(f"{folder[1:]}/{name}") for folder in FOLDERS)
        found = next((str(file) for files in folders for file in files), None)
    if found is None:
        pytest.skip(f"no {name} here: install PostgreSQL (Debian: postgresql)")
    return found


@pytest.fixture
def postgres() -> Iterator[str]:
    """Address of a database that nobody else uses."""
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="seqprep-postgres-"))
    if user:
        shutil.chown(folder, user, user)
    as_user = {"user": user, "group": user, "cwd": folder, "check": True, "capture_output": True}
    port, data = free_port(), folder / "data"
    control = [pg_ctl, "--pgdata", str(data), "--wait"]
    listen = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    subprocess.run([initdb, "-U", "me", "-A", "trust", "-D", str(data)], **as_user)
    subprocess.run([*control, "-o", listen, "-l", str(folder / "log"), "start"], **as_user)
    try:
        yield f"postgresql://me@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "--mode", "immediate", "stop"], **as_user)
        shutil.rmtree(folder)


def asked(address: str, question: str) -> str:
    command = [program("psql"), address, "--tuples-only", "--no-align", "--command", question]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_several_pipelines_at_once_on_postgres(tmp_path: Path, postgres: str) -> None:
    """Would break if runs were lost, or stored elsewhere, where a team's database is not SQLite."""
    system = System(tmp_path, more={"DATABASE_URL": postgres, "RUNS": str(len(RUNS))})
    with system:
        ids = [
            system.start("pipeline/default", file=file, store=store, settings=[setting])
            for store, (file, setting) in RUNS.items()
        ]
        assert [system.wait(one, within_s=400).name for one in ids] == ["Completed"] * len(RUNS)
        done = asked(postgres, "select count(*) from flow_run where state_name = 'Completed'")
        assert int(done) == len(RUNS)
    for store in RUNS:
        assert list((tmp_path / store).glob("*/models/*/bundle/manifest.json"))
    assert not (tmp_path / ".prefect" / "prefect.db").exists()
