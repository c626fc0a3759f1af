"""Where Prefect's server listens and stores, and whether it answers."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flows.serving.processes import Process
from seqprep.errors import SeqprepError

HOST = "127.0.0.1"
START_S = 300.0
"""Seconds that the server may take until it answers; a few on an idle machine."""
SQLITE = "SQLite"
_POSTGRES = ("postgresql", "postgres", "postgresql+asyncpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Where the server stores its runs.

    Args:
        url: as Prefect wants it; None: SQLite in its home. It may hold a password: it goes into
            the server's environment and nowhere else.
        name: to show and to remember; without user and password.
    """

    url: str | None
    name: str

    def __repr__(self) -> str:
        return f"Database({self.name})"


def database(text: str) -> Database:
    """The database that DATABASE_URL names; an empty one is SQLite.

    Raises:
        SeqprepError: if it is no address of a PostgreSQL database; the address is not repeated.

    >>> database("postgresql://me:secret@localhost:5433/runs")
    Database(PostgreSQL localhost:5433/runs)
    """
    if not text:
        return Database(url=None, name=SQLITE)
    try:
        parts = urlsplit(text)
        place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        parts, place = urlsplit(""), ""
    if parts.scheme not in _POSTGRES or len(parts.path) < 2:
        raise SeqprepError(
            "DATABASE_URL must look like postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE; "
            "without it the server stores in SQLite"
        )
    url = f"postgresql+asyncpg{text[len(parts.scheme) :]}"
    return Database(url=url, name=f"PostgreSQL {place}")


def variables(environment: Mapping[str, str], *, database: Database) -> dict[str, str]:
    """The environment of the server.

    Args:
        environment: of the worker; it knows nothing of the database.
        database: that the server stores in.
    """
    url = {} if database.url is None else {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url}
    return {
        # Leases of concurrency limits outlive the server; in memory, a slot would be lost with it.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        **environment,
        **url,
    }


def address(port: int) -> str:
    """Of the page; the API is below it."""
    return f"http://{HOST}:{port}"


def check_free(port: int) -> None:
    """Refuse a port that something listens on.

    Raises:
        SeqprepError: naming another one.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError as error:
            raise SeqprepError(
                f"something else listens on {HOST}:{port}; choose another port: "
                f"PORT={port + 1} ./run up"
            ) from error


def answers(port: int) -> bool:
    """Whether a server of Prefect answers there."""
    try:
        with urllib.request.urlopen(f"{address(port)}/api/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def wait(process: Process, *, port: int, log: Path) -> None:
    """Wait until the server answers.

    Raises:
        SeqprepError: if it ends, or does not answer in time, with the end of its log.
    """
    limit_s = time.monotonic() + START_S
    while not answers(port):
        if not process.runs():
            raise SeqprepError(f"the server ended: {_last_line(log)} (all of it: {log})")
        if time.monotonic() > limit_s:
            raise SeqprepError(
                f"the server did not answer on {address(port)} within {START_S:.0f} s; "
                f"its log: {log}; where it hangs, `./run down`, then `./run up`"
            )
        time.sleep(0.3)


def _last_line(log: Path) -> str:
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip() and "://" not in line  # an address may hold a password
    ]
    return lines[-1] if lines else "it said nothing"
