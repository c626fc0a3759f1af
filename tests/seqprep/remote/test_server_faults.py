"""What a person reads where the server cannot be used: one line, what to do, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seqprep.errors import ConfigError, RemoteError, UnreachableError
from seqprep.remote.address import parse
from seqprep.remote.bucket import Bucket
from seqprep.stores import located, store_folder
from tests.object_store import ObjectServer
from tests.seqprep.remote.stored import ingested_at, logged
from tests.stores import documents_of

Machine = Callable[[str], Path]


def told(error: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, checked to be one line without a secret."""
    text = str(error.value)
    assert "\n" not in text and "test-secret" not in text and "test-key" not in text, text
    return text


def test_a_bucket_that_is_not_there(server: ObjectServer, machine: Machine) -> None:
    with pytest.raises(RemoteError) as error:
        store_folder("s3://no-such-bucket/p", dataset="d")
    assert "there is no bucket 'no-such-bucket' on http://127.0.0.1" in told(error)


def test_no_credentials(
    server: ObjectServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(RemoteError, match="no credentials; set AWS_ACCESS_KEY_ID") as error:
        store_folder("s3://another-bucket/p", dataset="d")
    told(error)


def test_a_server_that_does_not_answer(
    server: ObjectServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may pass: a flow tries such a task again."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("seqprep.remote.bucket.ATTEMPTS", 2)
    with pytest.raises(UnreachableError) as error:
        store_folder("s3://some-bucket/p", dataset="d")
    assert "http://127.0.0.1:9 does not answer" in told(error) and "--endpoint" in told(error)


def test_access_denied(server: ObjectServer, machine: Machine, tmp_path: Path) -> None:
    store = f"s3://{server.bucket()}/p"
    with (
        server.failing(lambda method, path: 403 if method == "PUT" else None),
        pytest.raises(RemoteError, match="access denied: these credentials may not write") as error,
    ):
        ingested_at(store, tmp_path, documents_of())
    told(error)


def test_a_server_that_does_not_write_on_condition_is_refused(
    server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Two writers at once would lose data there without a word."""
    bucket = server.bucket()
    server.conditions = False
    try:
        with pytest.raises(RemoteError, match="does not write on condition") as error:
            ingested_at(f"s3://{bucket}/p", tmp_path, documents_of())
    finally:
        server.conditions = True
    told(error)
    assert logged(server, bucket) == {}


def test_an_empty_store_says_how_to_fill_it(server: ObjectServer, machine: Machine) -> None:
    store = f"s3://{server.bucket()}/p"
    with pytest.raises(RemoteError, match=f"no dataset here; `seqprep run FILE --store {store}`"):
        located(Path(store))


@pytest.mark.parametrize("store", ["s3://", "s3://B", "s3://bucket/../x", "s3://bucket/a//b"])
def test_what_is_no_address_is_refused(store: str) -> None:
    with pytest.raises(ConfigError, match="--store"):
        parse(store)


def test_an_endpoint_with_a_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:hidden@127.0.0.1:9000")
    with pytest.raises(ConfigError, match="without a user") as error:
        parse("s3://bucket/p")
    assert "hidden" not in str(error.value)


def test_a_folder_is_no_address_and_costs_no_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain store would pay for what it does not use."""
    monkeypatch.setattr("pathlib.Path.stat", lambda *a, **k: pytest.fail("looked at the disk"))
    assert store_folder(tmp_path / "store", dataset="d") == tmp_path / "store"


def test_a_large_file_goes_in_parts(
    server: ObjectServer, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server takes no more than 5 GB at once, and a long upload would start again at its end."""
    monkeypatch.setattr("seqprep.remote.bucket.AT_ONCE_BYTES", 2**23)
    monkeypatch.setattr("seqprep.remote.bucket.PART_BYTES", 2**23)
    bucket = Bucket(parse(f"s3://{server.bucket()}/p"))
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * 2**16)
    with server.counted() as requests:
        etag = bucket.put("large", source)
    assert (
        len([1 for method, _, query in requests if method == "PUT" and "partNumber" in query]) == 2
    )
    assert [(one.name, one.etag) for one in bucket.list("")] == [("large", etag)]
    assert bucket.get("large", copy) and copy.read_bytes() == source.read_bytes()
    assert not bucket.get("nothing", copy)
