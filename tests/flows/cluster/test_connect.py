"""What is refused before a cluster gets work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import runner
from flows.cluster import connect, probe, tasks
from flows.cluster.versions import versions
from flows.runner import check_runner
from seqprep.errors import ConfigError

API = "http://127.0.0.1:4200/api"


def test_options_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would wait for a server to start before reading of a typing error."""
    check_runner("local", None)
    check_runner("dask", "tcp://10.0.0.5:8786")
    with pytest.raises(ConfigError, match="add --runner dask"):
        check_runner("local", "tcp://10.0.0.5:8786")
    with pytest.raises(ConfigError, match=r"such as tcp://10\.0\.0\.5:8786, got 'localhost'"):
        check_runner("dask", "localhost")
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seqprep\[dask\]'"):
        check_runner("dask", None)


def test_a_scheduler_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look as if the run did something."""
    monkeypatch.setattr(connect, "CONNECT_S", 1)
    nowhere = "tcp://127.0.0.1:9"
    with (
        pytest.raises(ConfigError, match=f"no Dask scheduler answers at {nowhere} within 1 s"),
        connect.connected(nowhere, store=tmp_path, sees=None),
    ):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"versions": {"numpy": None}}, r"has numpy missing instead of .*; install the same"),
        ({"versions": {"polars": "0.1"}}, r"has polars 0\.1 instead of"),
        ({"token": None}, r"does not see .*store: .* must lie on storage that all workers share"),
        ({"sees": False}, r"does not see .*in: .* under the same path"),
        ({"api": False}, rf"cannot reach Prefect's server at {API}; .*PREFECT_API_URL"),
    ],
)
def test_a_worker_that_cannot_do_the_work_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """In the middle of a run each of these is a riddle."""
    here = probe.versions_here()
    found = {"host": "b", "versions": here, "token": "t", "sees": True, "api": True}
    how: Any = {"store": tmp_path / "store", "sees": tmp_path / "in", "api": API}
    connect.check_worker("tcp://b:1", found, **how)
    changed = {**found, **change, "versions": {**here, **change.get("versions", {})}}
    with pytest.raises(ConfigError, match=f"Dask worker tcp://b:1 on b {message}"):
        connect.check_worker("tcp://b:1", changed, **how)


def test_a_worker_that_joins_late_is_looked_at_too() -> None:
    """A machine with other packages would make a part of a table that the others would not."""
    piece = tasks.Piece(len, [1, 2], versions={**versions(), "polars": "0.1"})
    with pytest.raises(ConfigError, match=r"Dask worker on .* instead of 0\.1; install the same"):
        tasks.do_piece.fn(piece, "count")
    assert tasks.do_piece.fn(tasks.Piece(len, [1, 2], versions=versions()), "count") == 2


def test_a_process_sees_what_is_there(tmp_path: Path) -> None:
    """What workers are asked is what the checks are about."""
    token = tmp_path / "token"
    token.write_text("x")
    found = probe.look(str(token), str(tmp_path), "http://127.0.0.1:9/api")
    assert (found["token"], found["sees"], found["api"]) == ("x", True, False)
    found = probe.look(str(tmp_path / "no"), str(tmp_path / "no"), "http://127.0.0.1:9/api")
    assert (found["token"], found["sees"]) == (None, False)
    assert None not in found["versions"].values()
