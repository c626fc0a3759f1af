"""What `./run up` and `./run down` refuse before anything is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from flows import serve
from flows.serving.processes import Process, Served, _started


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PORT": "http"}, "PORT must be a number from 1024 to 65535, got 'http'"),
        ({"PORT": "80"}, "PORT must be a number from 1024 to 65535, got '80'"),
        ({"RUNS": "many"}, "RUNS must be a number of runs, at least 1, got 'many'"),
        ({"RUNS": "0"}, "RUNS must be a number of runs, at least 1, got '0'"),
        ({"DATABASE_URL": "mysql://db/runs"}, "DATABASE_URL must look like postgresql"),
        ({"PORT": "4999"}, "PORT is 4999, but what runs here belongs to port 4200"),
        ({"DATABASE_URL": "postgresql://db/runs"}, "the server here stores in SQLite"),
    ],
)
def test_wrong_variables_are_refused_and_change_nothing(
    variables: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Would break if the worker ended in the background, or a second server were begun."""
    home = tmp_path / ".prefect"
    home.mkdir()
    alive = Process(pid=os.getpid(), started=_started(os.getpid()) or "")
    Served(port=4200, database="SQLite", processes={"server": alive}).write(home)
    before = (home / "processes.json").read_bytes()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["serve", "up"])
    with patch.dict(os.environ), pytest.raises(SystemExit) as ended:
        serve.main(variables)
    assert ended.value.code == 2
    assert f"error: {said}" in capsys.readouterr().err
    assert (home / "processes.json").read_bytes() == before


def test_the_worker_never_learns_the_address_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if every run could read the password of the server's database."""
    secret = "postgresql://me:secret-word@db/runs"
    monkeypatch.setenv("DATABASE_URL", secret)
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", secret)
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", secret)
    variables = serve._environment(tmp_path, 4200)
    assert "secret-word" not in "".join(variables.values())
    assert variables["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert variables["SEQPREP_ROOT"] == str(tmp_path)
