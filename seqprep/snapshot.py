"""The frozen list of files, rows, hashes and facts that training reads.

A snapshot is one JSON file written when a version of an `examples` table is committed. It lists
each shard with its size, rows and SHA-256, and carries what a model must know of the data (task,
vocabulary size, channels, labels). A missing or altered shard is found and named before its data is
used. Needs only pyarrow, so a bare GPU node can train from it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.errors import CorruptError
from seqprep.parallel import default_workers, ordered
from seqprep.schema import Split, Task

VERSION = 1
_HASHED = ("version", "facts", "shards")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One Parquet file of examples.

    Args:
        path: relative to the snapshot's root, with forward slashes.
        sha256: of its bytes, in hex; size_bytes: how many there are.
        rows: examples in it.
        split: which split they belong to; bucket: upper length limit in steps, 0 for no limit.
    """

    path: str
    sha256: str
    size_bytes: int
    rows: int
    split: Split
    bucket: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a model must know of the data.

    Args:
        dataset, recipe: names. task, domain: as in the pipeline file.
        vocab_size: input ids, PAD and OOV included; None where inputs are values.
        channels: names of the value channels, () for tokens. rate_hz: sampling rate, if any.
        labels: class names in code order, for classify and label_steps.
        target_names: channels of per-step targets. target_vocab_size: ids of target tokens.
        on_the_fly: random steps applied to training rows when batches are made.
        window_stride: steps from one window of a record to the next; 0 where rows are not windows.
        sequences_version, examples_version: Delta versions. fitted_sha256: of the fitted state.
        padding_share: of every row padded to its bucket's limit.
    """

    dataset: str
    recipe: str
    task: Task
    domain: str
    vocab_size: int | None
    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    labels: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    target_vocab_size: int | None = None
    on_the_fly: tuple[dict[str, Any], ...] = ()
    window_stride: int = 0
    sequences_version: int = 0
    examples_version: int = 0
    fitted_sha256: str = ""
    padding_share: float = 0.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A version of an `examples` table, as training reads it.

    Args:
        root: folder that shard paths are relative to.
        facts: see Facts. shards: sorted by path.
    """

    root: Path
    facts: Facts
    shards: tuple[Shard, ...]

    @property
    def sha256(self) -> str:
        """Digest of facts and shards, not of where they lie: the same data, the same digest."""
        return hashlib.sha256(_canonical(self)).hexdigest()

    def of(self, split: Split) -> tuple[Shard, ...]:
        """The shards of one split, sorted by path."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def rows(self, split: Split) -> int:
        """Examples of one split."""
        return sum(shard.rows for shard in self.of(split))

    def verify(self, shards: Iterable[Shard] | None = None) -> None:
        """Hash the shards' bytes and compare.

        Raises:
            CorruptError: naming the first file that is missing or altered.
        """
        for shard in self.shards if shards is None else shards:
            check_file(self.root / shard.path, size_bytes=shard.size_bytes, sha256=shard.sha256)

    def write(self, path: Path) -> None:
        """Write the snapshot file, whole or not at all; `root` is kept relative to it."""
        body = json.loads(_canonical(self))
        body["root"] = os.path.relpath(self.root, path.parent).replace(os.sep, "/")
        body["sha256"] = self.sha256
        replace_bytes(path, json.dumps(body, indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> Snapshot:
        """Read a snapshot file.

        Raises:
            CorruptError: if it is missing, of another version, or its digest does not fit.
        """
        try:
            body = json.loads(path.read_bytes())
            digest = hashlib.sha256(_compact({k: body[k] for k in _HASHED})).hexdigest()
            facts = dict(body["facts"])
            for key in ("channels", "labels", "target_names", "on_the_fly"):
                facts[key] = tuple(facts[key])
            snapshot = cls(
                root=(path.parent / body["root"]).resolve(),
                facts=Facts(**facts),
                shards=tuple(Shard(**shard) for shard in body["shards"]),
            )
        except FileNotFoundError as error:
            raise CorruptError(f"{path}: no such snapshot; run prepare first") from error
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"{path}: not a snapshot of version {VERSION}: {error}") from error
        # Over what stands in the file, so that one of before a new fact still is what it was.
        if body["version"] != VERSION or body.get("sha256") != digest:
            raise CorruptError(f"{path}: the snapshot was altered; run prepare again to rewrite it")
        return snapshot


def _canonical(snapshot: Snapshot) -> bytes:
    shards = [asdict(shard) for shard in sorted(snapshot.shards, key=lambda shard: shard.path)]
    return _compact({"version": VERSION, "facts": asdict(snapshot.facts), "shards": shards})


def _compact(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def replace_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` under a temporary name, flush it to the disk, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Process ids repeat across containers, and threads share one.
    staged = path.with_name(f".{path.name[:100]}.{uuid4().hex}.tmp")
    try:
        with staged.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, *, size_bytes: int, sha256: str) -> None:
    """Compare a file with what was committed.

    Raises:
        CorruptError: naming the file, if it is missing or its size or bytes differ.
    """
    if not path.is_file():
        raise CorruptError(f"{path}: the file is missing; run the stage that made it again")
    if path.stat().st_size != size_bytes or file_sha256(path) != sha256:
        raise CorruptError(
            f"{path}: the bytes are not those that were committed; "
            "restore the file or run the stage that made it again"
        )


def read_shard(snapshot: Snapshot, shard: Shard, *, columns: list[str] | None = None) -> Any:
    """Read one shard as an Arrow table, page checksums verified.

    Raises:
        CorruptError: if it is missing or damaged.
    """
    path = snapshot.root / shard.path
    try:
        return pq.read_table(
            path, columns=columns, page_checksum_verification=True, partitioning=None
        )
    except (OSError, ValueError) as error:
        raise CorruptError(f"{path}: cannot be read: {error}") from error


def read_shards(
    snapshot: Snapshot, shards: Sequence[Shard], *, columns: list[str], verify: bool
) -> list[pa.Table]:
    """Read some columns of several shards; `verify` hashes each shard's bytes before.

    Several shards at once: hashing and decoding release the interpreter lock.

    Raises:
        CorruptError: naming a shard that is missing or altered.
    """

    def opened(shard: Shard) -> pa.Table:
        if verify:
            snapshot.verify([shard])
        return read_shard(snapshot, shard, columns=columns)

    return list(ordered(opened, shards, workers=default_workers()))
