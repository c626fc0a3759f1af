"""A small dataset of documents on the test server, and what the tests ask about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqprep.ingest import Ingested, ingest
from seqprep.prepare import Prepared
from seqprep.stores import store_folder
from tests.object_store import ObjectServer
from tests.sources import stored_rows, write_files
from tests.stores import prepared, source_of

NAME = "d"


def ingested_at(store: str, root: Path, files: Any = None) -> Ingested:
    """Write files and ingest all of them, as a flow does."""
    write_files(root / "in", files or {})
    return ingest(source_of(root), dataset=NAME, store=store_folder(store, dataset=NAME))


def prepared_at(store: str, root: Path, **options: Any) -> Prepared:
    """Prepare the newest version, as a flow does."""
    return prepared(root, store=store_folder(store, dataset=NAME), **options)


def rows_at(store: str) -> list[dict[str, Any]]:
    """The rows of the newest version, sorted by id."""
    return stored_rows(store_folder(store, dataset=NAME), NAME)


def entries(folder: Path) -> dict[str, bytes]:
    """The log of the sequences of a mirror, by name."""
    log = folder / NAME / "sequences" / "_delta_log"
    return {path.name: path.read_bytes() for path in log.glob("[!.]*")}


def logged(server: ObjectServer, bucket: str) -> dict[str, bytes]:
    """The log of the sequences on the server, by name."""
    names = server.names(bucket, f"p/{NAME}/sequences/_delta_log/")
    return {
        name.rpartition("/")[2]: server.client.get_object(Bucket=bucket, Key=name)["Body"].read()
        for name in names
    }


def fetched_rows(requests: list[tuple[str, str, str]]) -> list[str]:
    """The files with rows that were fetched."""
    return [path for method, path, _ in requests if method == "GET" and path.endswith(".parquet")]


def as_text(value: Any) -> str:
    """A value as JSON, to look for words in it."""
    return json.dumps(value, default=str)
