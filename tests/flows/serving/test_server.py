"""Where the server listens and stores."""

from __future__ import annotations

import socket
from dataclasses import asdict

import pytest

from flows.serving import server
from seqprep.errors import SeqprepError


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_the_password_stands_in_the_servers_environment_alone(scheme: str) -> None:
    """Would break if the database's address were shown, or given to the runs."""
    database = server.database(f"{scheme}://me:secret@db.example:5433/runs")
    assert database.url == "postgresql+asyncpg://me:secret@db.example:5433/runs"
    assert database.name == "PostgreSQL db.example:5433/runs"
    assert "secret" not in repr(database) + str(database)
    variables = server.variables({"SEQPREP_ROOT": "/srv"}, database=database)
    assert variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == database.url
    assert asdict(server.database("")) == {"url": None, "name": "SQLite"}


@pytest.mark.parametrize(
    "text", ["sqlite:///runs.db", "mysql://me:secret@db/runs", "secret", "postgresql://db:x/runs"]
)
def test_another_database_is_refused_without_repeating_its_address(text: str) -> None:
    """Would break if a mistyped address were printed with its password."""
    with pytest.raises(SeqprepError, match="DATABASE_URL must look like postgresql") as found:
        server.database(text)
    assert text not in str(found.value)


def test_a_taken_port_is_named_with_another_one() -> None:
    """Would break if the server were started where it cannot listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = int(sock.getsockname()[1])
        with pytest.raises(SeqprepError, match=f"PORT={port + 1} ./run up"):
            server.check_free(port)
    server.check_free(port)


def test_leases_outlive_the_server() -> None:
    """Would break if a killed server took the leases with it: their slots stayed taken for ever."""
    variables = server.variables({}, database=server.database(""))
    assert "filesystem" in variables["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
