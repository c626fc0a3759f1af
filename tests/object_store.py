"""An S3-compatible server for tests: moto on loopback; it counts requests and fails on demand.

moto looks whether an object exists and stores it in two steps. A server that writes on condition
does both in one, so here one lock holds for all writes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
from werkzeug.serving import WSGIRequestHandler, make_server

Fault = Callable[[str, str], int | None]
"""Of method and path: an HTTP status to answer with; None lets the request pass."""
CUT = -1
"""Instead of a status: close the connection before an answer."""
CUT_AFTER = -2
"""Do what is asked, then close the connection before the answer."""


@dataclass
class ObjectServer:
    """The server, as a test sees it.

    Args:
        url: of it. requests: (method, path, query) of all that came.
        fault: what goes wrong. conditions: whether it writes on condition.
    """

    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Fault | None = None
    conditions: bool = True

    @property
    def client(self) -> Any:
        """A client of boto3, to look at what lies there."""
        return boto3.client("s3", endpoint_url=self.url)

    def bucket(self) -> str:
        """A new bucket; its name."""
        name = f"test-{uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    def names(self, bucket: str, beginning: str = "") -> list[str]:
        """The keys in a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=beginning
        )
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    @contextmanager
    def counted(self) -> Iterator[list[tuple[str, str, str]]]:
        """The requests that come while the block runs."""
        start, found = len(self.requests), []
        yield found
        found += self.requests[start:]

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Let requests fail while the block runs."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """A server on a free port while the block runs."""
    # Not at the top: most test runs start none, and it takes a second.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    told, app, lock = (
        ObjectServer(),
        DomainDispatcherApplication(create_backend_app),
        threading.Lock(),
    )

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        told.requests.append((method, path, environ.get("QUERY_STRING", "")))
        status = told.fault(method, path) if told.fault else None
        if not told.conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if status is None or status == CUT_AFTER:
            if method == "GET":
                return app(environ, start)
            with lock:
                found = list(app(environ, start))
            if status is None:
                return found
        if status in (CUT, CUT_AFTER):
            environ["werkzeug.socket"].shutdown(2)
            raise ConnectionAbortedError
        start(f"{status} Fault", [("Content-Type", "application/xml")])
        code = {403: "AccessDenied", 503: "SlowDown"}.get(status, "InternalError")
        return [f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()]

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=_Quiet)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
