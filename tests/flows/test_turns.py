"""Who must wait for whom, and that nobody fails for want of a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows import turns
from flows.turns import _is_free, limit_name, turn
from tests.flows.system import free_port


@pytest.fixture
def no_server() -> Iterator[None]:
    """As in the moment in which a server is restarted."""
    url = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield


def test_runs_wait_for_those_that_write_the_same_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if two stores of one name held each other up, or two ways to one did not."""
    monkeypatch.chdir(tmp_path)
    name = limit_name("tables", dataset="reviews", store="store")
    assert name == limit_name("tables", dataset="reviews", store=str(tmp_path / "store"))
    others = {
        limit_name("models", dataset="reviews", store="store"),
        limit_name("tables", dataset="letters", store="store"),
        limit_name("tables", dataset="reviews", store="other/store"),
        limit_name("tables", dataset="reviews", store="s3://bucket/store"),
    }
    assert len(others) == 4 and name not in others
    assert limit_name("tables", dataset="d", store="s3://b/a%b") == "d tables in s3.b.a.b"


class Limits:
    """What a run asks of Prefect's server, which knows these limits."""

    def __init__(self) -> None:
        self.known: dict[str, GlobalConcurrencyLimitResponse] = {}

    def read_global_concurrency_limit_by_name(self, name: str) -> GlobalConcurrencyLimitResponse:
        """As the server answers."""
        if name not in self.known:
            raise ObjectNotFound(KeyError(name))
        return self.known[name]

    def create_global_concurrency_limit(self, asked: GlobalConcurrencyLimitCreate) -> None:
        """Of which nothing is taken yet."""
        self.known[asked.name] = GlobalConcurrencyLimitResponse(
            id=uuid4(),
            active=True,
            name=asked.name,
            limit=asked.limit,
            active_slots=0,
            slot_decay_per_second=0.0,
        )


def test_one_run_at_a_time_has_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if two runs wrote a dataset at once and one did its work for nothing."""
    limits = Limits()
    monkeypatch.setattr(turns, "get_client", lambda sync_client: nullcontext(limits))
    assert _is_free("d tables in store")
    (limit,) = limits.known.values()
    assert (limit.name, limit.limit) == ("d tables in store", 1)
    assert _is_free("d tables in store")
    limit.active_slots = 1
    assert not _is_free("d tables in store")


def test_a_restart_of_the_server_is_waited_for(no_server: None) -> None:
    """Would break if a run that waits for its turn failed where the server is restarted."""
    assert not _is_free("reviews tables in store")


def test_a_command_takes_no_turn(no_server: None) -> None:
    """Would break if a command asked a server that it has not got."""
    with turn("tables", dataset="reviews", store="store"):
        pass
