"""A webhook is told what happened, in JSON, and harms nothing when it fails."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prefect.blocks.system import Secret

from flows import notify

DONE = {
    "dataset": "reviews",
    "bundle": "store/reviews/models/words-1a2b/bundle",
    "metrics": {"validation": {"accuracy": 0.9}, "test": {"accuracy": 0.8}},
}
LOGGER = logging.getLogger("told")


class Webhook(HTTPServer):
    """Keeps what it is told, and answers as its path says."""

    told: list[dict[str, Any]]

    class Handler(BaseHTTPRequestHandler):
        """`/500` fails, `/slow` answers a byte now and then, all else is fine."""

        def do_POST(self) -> None:
            """Keep it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert isinstance(self.server, Webhook)
            self.server.told.append(json.loads(body))
            if self.path == "/slow":
                for letter in b"HTTP/1.1 200 OK":
                    self.wfile.write(bytes([letter]))
                    time.sleep(0.1)
            self.send_response(500 if self.path == "/500" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on stderr."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Webhook.Handler)
        self.told = []

    def address(self, path: str = "/") -> str:
        """Of the server."""
        return f"http://127.0.0.1:{self.server_port}{path}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_new_current_model_is_told(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if the webhook could not tell which model it is, and how good."""
    monkeypatch.setenv("SEQPREP_NOTIFY", "TEAM_HOOK")
    monkeypatch.setenv("TEAM_HOOK", webhook.address("/secret-path"))
    notify.tell_current(DONE)
    [told] = webhook.told
    assert told["event"] == "new current model"
    assert (told["dataset"], told["model"]) == ("reviews", "words-1a2b")
    assert told["validation"] == {"accuracy": 0.9}
    assert "secret-path" not in json.dumps(told)


def test_nobody_is_told_without_a_secret(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if a server that nobody named were asked for a secret."""
    monkeypatch.delenv("SEQPREP_NOTIFY", raising=False)
    notify.tell_current(DONE)
    assert not webhook.told


def test_a_secret_of_the_server_is_taken_where_no_variable_has_the_name(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Would break if an address had to stand in the environment of every worker."""
    blocks = {"team-hook": Secret(value=webhook.address())}

    def load(name: str) -> Secret[str]:
        if name not in blocks:
            raise ValueError(f"Unable to find block document named {name}")
        return blocks[name]

    monkeypatch.setattr(Secret, "load", load)
    monkeypatch.setenv("SEQPREP_NOTIFY", "team-hook")
    notify._post({"event": "failed"}, LOGGER)
    assert webhook.told == [{"event": "failed"}] and not caplog.messages
    monkeypatch.setenv("SEQPREP_NOTIFY", "no-hook")
    notify._post({"event": "failed"}, LOGGER)
    assert "'no-hook' was not told: no variable and no Secret block has that name" in caplog.text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("{0}/500", "HTTPError 500"),
        ("{0}/slow", "no answer within 0 s"),
        ("http://127.0.0.1:9/secret", "URLError"),
        ("file:///etc/hook", "does not begin with http"),
        ("no-address", "does not begin with http"),
    ],
)
def test_a_webhook_that_fails_is_one_warning_without_its_address(
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    address: str,
    said: str,
) -> None:
    """Would break if a webhook could fail a run, hold it up, or have its address in the log."""
    full = address.format(webhook.address("/")[:-1])
    monkeypatch.setenv("SEQPREP_NOTIFY", "TEAM_HOOK")
    monkeypatch.setenv("TEAM_HOOK", full)
    monkeypatch.setattr(notify, "LIMIT_S", 0.4)
    begun_s = time.monotonic()
    notify._post({"event": "failed"}, LOGGER)
    assert time.monotonic() - begun_s < 5
    [warning] = caplog.messages
    assert said in warning
    assert "TEAM_HOOK" in warning
    assert full not in caplog.text
