"""The five operations on an S3-compatible server: list, get, put, put-if-absent, delete.

An object appears whole or not at all, and the server compares what it got with its MD5. Passing
faults are tried again by the client library. Use it through `mirror`. It needs boto3: the extra
`s3`.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from seqprep.errors import RemoteError
from seqprep.remote.address import NO_CONDITIONS, Address
from seqprep.remote.faults import NOT_THERE, code_of, told
from seqprep.remote.mirror import md5

ATTEMPTS = 4
"""How often a request is made before a passing fault counts."""
CONNECT_S, READ_S = 5, 60
CONNECTIONS = 16
PART_BYTES = 2**26
AT_ONCE_BYTES = 2**29
"""A larger file is sent in parts, each of which is tried again by itself."""
BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
"""An answer that ended too early."""
BATCH = 1000
"""Keys that one request deletes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """One object, or what keys share up to a slash.

    Args:
        name: its key below the store's prefix; a shared beginning ends with a slash.
        size_bytes: of it. etag: changes with its bytes. modified_s: seconds since 1970.
    """

    name: str
    size_bytes: int = 0
    etag: str = ""
    modified_s: float = 0.0


class Bucket:
    """The objects of a store.

    Args:
        address: of the store.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    @cached_property
    def _client(self) -> Any:
        path_style = {"addressing_style": "path"} if self.address.endpoint else {}
        with told(self.address, doing="open it"):
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self.address.endpoint,
                config=Config(
                    connect_timeout=CONNECT_S,
                    read_timeout=READ_S,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                    max_pool_connections=CONNECTIONS,
                    # Other servers than Amazon's do not know the newer checksums.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3=path_style,
                ),
            )

    def _place(self, name: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self.address.key(name)}

    def list(self, beginning: str, *, shallow: bool = False) -> Iterator[Stored]:
        """All objects whose name begins so, sorted; `shallow` up to the next slash only."""
        skipped = len(self.address.key(""))
        options = {"Bucket": self.address.bucket, "Prefix": self.address.key(beginning)}
        if shallow:
            options["Delimiter"] = "/"
        with told(self.address, doing=f"list {beginning or 'it'}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(**options):
                for one in page.get("CommonPrefixes", ()):
                    yield Stored(name=one["Prefix"][skipped:])
                for one in page.get("Contents", ()):
                    yield Stored(
                        name=one["Key"][skipped:],
                        size_bytes=int(one["Size"]),
                        etag=one["ETag"].strip('"'),
                        modified_s=one["LastModified"].timestamp(),
                    )

    def get(self, name: str, into: Path) -> bool:
        """Write an object's bytes to a file; False where there is no such object."""
        for attempt in range(ATTEMPTS):
            try:
                with told(self.address, doing=f"read {name}"):
                    return self._read(name, into)
            except RemoteError as error:
                if not isinstance(error.__cause__, BROKEN) or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(2**attempt / 10)
        raise AssertionError("the last attempt raises")

    def _read(self, name: str, into: Path) -> bool:
        try:
            body = self._client.get_object(**self._place(name))["Body"]
        except ClientError as error:
            if code_of(error) in NOT_THERE:
                return False
            raise
        with into.open("wb") as file:
            shutil.copyfileobj(body, file, 2**20)
        return True

    def put(self, name: str, path: Path) -> str:
        """Store a file's bytes under a name; the etag."""
        with told(self.address, doing=f"write {name}"), path.open("rb") as file:
            if path.stat().st_size > AT_ONCE_BYTES:
                config = TransferConfig(
                    multipart_threshold=AT_ONCE_BYTES, multipart_chunksize=PART_BYTES
                )
                place = self._place(name)
                self._client.upload_fileobj(file, place["Bucket"], place["Key"], Config=config)
                return next(self.list(name)).etag
            done = self._client.put_object(
                **self._place(name), Body=file, ContentMD5=_text(md5(path))
            )
            return str(done["ETag"]).strip('"')

    def put_if_absent(self, name: str, data: bytes) -> str | None:
        """Store bytes unless there is an object of that name; its etag, or None if there is."""
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        for attempt in range(ATTEMPTS):
            try:
                with told(self.address, doing=f"write {name}"):
                    done = self._client.put_object(
                        **self._place(name), Body=data, ContentMD5=_text(digest), IfNoneMatch="*"
                    )
                    return str(done["ETag"]).strip('"')
            except RemoteError as error:
                code = code_of(error.__cause__) if isinstance(error.__cause__, ClientError) else ""
                if code in ("PreconditionFailed", "412"):
                    return None
                if code == "NotImplemented":
                    raise RemoteError(NO_CONDITIONS.format(self.address)) from error
                # Another request for that name is under way.
                if code != "ConditionalRequestConflict" or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(2**attempt / 10)
        raise AssertionError("the last attempt raises")

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects in this order; those that are gone already are fine.

        Raises:
            RemoteError: naming the first that may not be deleted.
        """
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            keys = [{"Key": self.address.key(name)} for name in part]
            with told(self.address, doing=f"delete {part[0]}"):
                done = self._client.delete_objects(
                    Bucket=self.address.bucket, Delete={"Objects": keys, "Quiet": True}
                )
            for one in done.get("Errors", ()):
                raise RemoteError(
                    f"s3://{self.address.bucket}/{one['Key']}: not deleted ({one['Code']}); allow "
                    "it, then run again"
                )


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
