"""What commands refuse before anything is started."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.cli import app
from flows.commands.parts import check_server, starting, store_name
from seqprep.errors import ConfigError
from tests.flows.system import free_port


def test_a_server_that_does_not_answer_is_named_at_once() -> None:
    """Would break if a wrong PREFECT_API_URL were told after half a minute, without a remedy."""
    url = f"http://127.0.0.1:{free_port()}/api"
    with pytest.raises(ConfigError, match=rf"PREFECT_API_URL is {url}, .*`\./run up`, or unset"):
        check_server(url)
    with pytest.raises(ConfigError, match="where no server answers"):
        check_server("127.0.0.1:4200/api")


def test_a_server_that_asks_for_more_is_left_to_prefect() -> None:
    """Would break if a server behind a password, or Prefect's cloud, were taken for a dead one."""

    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Not on stderr."""

    with HTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        check_server(f"http://127.0.0.1:{server.server_port}/api/")
        server.shutdown()


def test_the_first_start_of_a_project_says_why_it_takes_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if a newcomer's first command looked as if it hung."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # no empty database is kept there
    assert "makes its database" in starting(tmp_path)
    (tmp_path / "prefect.db").touch()
    assert starting(tmp_path) == "starting Prefect ..."


def test_an_endpoint_without_a_store_on_s3_is_refused() -> None:
    """Would break if data that was meant for a server went to a folder without a word."""
    with pytest.raises(ConfigError, match=r"--endpoint .* add --store s3://BUCKET/PREFIX"):
        app.meta(["show", "--store", "store", "--endpoint", "http://127.0.0.1:9000"])


def test_a_wrong_address_is_refused_before_a_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if Prefect were started for a store that cannot be."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    with pytest.raises(ConfigError, match="must be http://HOST:PORT"):
        store_name(Path("s3://bucket/a"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(ConfigError, match="a part of the prefix is empty"):
        store_name(Path("s3://bucket/../a"))
