"""The empty database that a new project starts with."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows import empty_database

OF_PREFECT = [sys.executable, "-m", "prefect", "server", "database"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where this environment keeps its database."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    file = empty_database.kept()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"empty")
    return file


def test_a_new_home_gets_a_copy(tmp_path: Path, kept: Path) -> None:
    """Would break if each new folder waited for a hundred migrations."""
    assert empty_database.is_made(tmp_path / "home")
    empty_database.place(tmp_path / "home")
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["prefect.db"]
    assert (tmp_path / "home" / "prefect.db").read_bytes() == kept.read_bytes()
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_database_that_is_there_stays(tmp_path: Path, kept: Path) -> None:
    """Would break if a project lost its runs."""
    (tmp_path / "prefect.db").write_bytes(b"runs")
    empty_database.place(tmp_path)
    assert (tmp_path / "prefect.db").read_bytes() == b"runs"


def test_one_that_comes_meanwhile_stays(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if the slower of two first runs took the database from under the other."""
    link = os.link

    def late(copy: Path, target: Path) -> None:
        target.write_bytes(b"of another run")
        link(copy, target)

    monkeypatch.setattr(os, "link", late)
    empty_database.place(tmp_path / "home")
    assert (tmp_path / "home" / "prefect.db").read_bytes() == b"of another run"


@pytest.mark.parametrize("variable", empty_database.ELSEWHERE)
def test_another_database_needs_no_copy(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Would break if a server on PostgreSQL left an SQLite file that nobody reads."""
    monkeypatch.setenv(variable, "postgresql+asyncpg://me@localhost/prefect")
    empty_database.place(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_without_a_kept_one_prefect_makes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if an environment that was not set up by ./run could not start."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    empty_database.place(tmp_path / "home")
    assert not empty_database.is_made(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_what_is_kept_is_what_prefect_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if a first run began on tables that this version of Prefect does not know."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    empty_database.keep()
    assert [file.name for file in empty_database.kept().parent.iterdir()] == [
        empty_database.kept().name
    ]
    made = {**os.environ, "PREFECT_HOME": str(tmp_path / "made")}
    subprocess.run([*OF_PREFECT, "upgrade", "-y"], env=made, check=True, stdout=subprocess.DEVNULL)
    columns = (
        "select found.name, columns.name, columns.type from sqlite_master as found, "
        "pragma_table_info(found.name) as columns order by 1, 2"
    )
    version = "select version_num from alembic_version"
    for question in (columns, version):
        kept, own = (
            _answers(file, question)
            for file in (empty_database.kept(), tmp_path / "made" / "prefect.db")
        )
        assert kept == own != []


def _answers(file: Path, question: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()
