"""What names a store on S3: `s3://bucket/prefix`, and the folder of its mirror here.

The endpoint and all credentials come from the environment, so neither stands in parameters or
files: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_PROFILE and the rest of the
standard chain.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from seqprep.errors import ConfigError

SUFFIX = ".mirror"
"""Ends the name of a mirror's folder, so that a path inside one is known without a look at disk."""
CACHE = "SEQPREP_CACHE"
"""The environment variable that names the folder of all mirrors."""
NO_CONDITIONS = (
    "{}: this server does not write on condition (If-None-Match), without which two writers at "
    "once would lose data; use one that does, such as Amazon S3, or a newer version of this one"
)
# `Path` makes one slash of two, and drops one at the end.
_ADDRESS = re.compile(r"s3:/{1,2}(?P<bucket>[^/]+)(?:/(?P<prefix>.*?))?/*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"https?://[^/@?#\s]+/?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a store, or something in it, lies.

    Args:
        bucket: its name. prefix: of all keys, without slashes at its ends; "" for the whole bucket.
        endpoint: of the server; None: that of the region.
    """

    bucket: str
    prefix: str
    endpoint: str | None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """The full key of a name below the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def server(self) -> str:
        """The server, for a person."""
        return self.endpoint or "Amazon S3"


def is_remote(store: str | Path) -> bool:
    """Whether a store is named by an address on S3 and not by a folder.

    >>> is_remote("s3://bucket/a"), is_remote(Path("s3://bucket/a")), is_remote("store")
    (True, True, False)
    """
    return str(store).startswith("s3:/")


def parse(store: str | Path) -> Address:
    """The address that a text gives, at the endpoint that the environment names.

    >>> str(parse("s3://bucket/a/b/")), str(parse(Path("s3://bucket"))), parse("s3://b-1/").prefix
    ('s3://bucket/a/b', 's3://bucket', '')

    Raises:
        ConfigError: if it is none.
    """
    found = _ADDRESS.fullmatch(str(store))
    if found is None or not _BUCKET.fullmatch(found["bucket"]):
        raise ConfigError(f"--store {store}: must be s3://BUCKET or s3://BUCKET/PREFIX")
    parts = (found["prefix"] or "").split("/")
    if found["prefix"] and not all(part.strip(".") for part in parts):
        raise ConfigError(f"--store {store}: a part of the prefix is empty, . or ..")
    return Address(bucket=found["bucket"], prefix="/".join(parts), endpoint=_endpoint())


def _endpoint() -> str | None:
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not given:
        return None
    if not _ENDPOINT.fullmatch(given):
        # Not shown: it may hold a password.
        raise ConfigError(
            "the endpoint (--endpoint, AWS_ENDPOINT_URL) must be http://HOST:PORT or https://HOST, "
            "without a user, a path or a query"
        )
    return given.rstrip("/")


def mirror_folder(address: Address) -> Path:
    """The folder of a store's mirror, below SEQPREP_CACHE or the person's cache folder."""
    chosen = os.environ.get(CACHE)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(chosen) if chosen else Path(base) / "seqprep"
    digest = hashlib.sha256(f"{address}\n{address.endpoint or ''}".encode()).hexdigest()
    last = (address.prefix or address.bucket).rpartition("/")[2]
    return root.absolute() / f"{last[:60]}-{digest[:12]}{SUFFIX}"
