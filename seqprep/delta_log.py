"""The log of a Delta table: opening a version, what commits say, and one atomic commit.

Use it through `table`, which knows manifests, state and who else may have committed. Here a commit
either lands as a whole or raises what delta-rs raises.
Source: the Delta transaction protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    RemoveAction,
    create_table_with_add_actions,
)

from seqprep.errors import CorruptError
from seqprep.staging import StagedFile
from seqprep.upkeep.seals import LOG, read_sealed

METADATA_KEY = "seqprep"


def open_table(path: Path, version: int | None) -> DeltaTable | None:
    """A version of the table, or the newest; None if there is no table.

    Raises:
        CorruptError: if there is a table but not this version of it, or its log is damaged.
    """
    try:
        return DeltaTable(str(path), version=version)
    except TableNotFoundError:
        return None
    except (DeltaError, ValueError, OSError) as error:
        what = "the log" if version is None else f"version {version}"
        told = str(error).partition("\n")[0]
        raise CorruptError(
            f"{path}: {what} cannot be read: {told}; `seqprep verify` names the damaged file"
        ) from error


def has_entry(path: Path, version: int) -> bool:
    """Whether the log has a file for a version."""
    return version >= 0 and (path / LOG / f"{version:020d}.json").is_file()


def read_entry(path: Path, version: int) -> tuple[int, dict[str, Any]] | None:
    """(milliseconds since 1970, what it says) of one of our commits; None if another wrote it.

    Only that file of the log is read, so it costs the same however many versions there are.

    Raises:
        CorruptError: if the file is missing or altered.
    """
    name = f"{version:020d}.json"
    data = read_sealed(path, name)
    try:
        for line in data.splitlines():
            told = json.loads(line).get("commitInfo", {})
            if METADATA_KEY in told:
                body = json.loads(told[METADATA_KEY])
                return int(told["timestamp"]), dict(body["info"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"{path / LOG / name}: cannot be read: {error}; restore it") from error
    return None


def listed_files(path: Path, version: int) -> tuple[StagedFile, ...]:
    """The files of a version as the log lists them, without hashes."""
    listed = pa.table(DeltaTable(str(path), version=version).get_add_actions())
    return tuple(
        StagedFile(
            path=row["path"],
            size_bytes=row["size_bytes"],
            rows=row["num_records"],
            sha256="",
            partition={key: str(value) for key, value in (row.get("partition") or {}).items()},
        )
        for row in listed.to_pylist()
    )


def addition(file: StagedFile) -> AddAction:
    """The action that makes a file visible."""
    stats = {
        "numRecords": file.rows,
        "minValues": {"length": file.min_length},
        "maxValues": {"length": file.max_length},
        "nullCount": {"length": 0},
    }
    return AddAction(
        file.path, file.size_bytes, dict(file.partition), _now_ms(), True, json.dumps(stats)
    )


def removal(file: StagedFile) -> RemoveAction:
    """The action that makes a file invisible."""
    return RemoveAction(
        file.path, True, _now_ms(), size=file.size_bytes, partition_values=dict(file.partition)
    )


def _now_ms() -> int:
    return int(time.time() * 1000)


def write(
    path: Path,
    actions: Sequence[AddAction | RemoveAction],
    schema: pa.Schema,
    info: Mapping[str, Any],
    *,
    base: int | None,
    partition_by: list[str],
    everything: bool,
) -> None:
    """Commit version `base + 1`, or the first of a new table.

    Args:
        path: of the table.
        actions: see `addition` and `removal`.
        schema: with the partition columns.
        info: what the commit says about itself, as JSON has it.
        base: the version that is built upon; None for a new table.
        partition_by: names of the partition columns.
        everything: whether every file of `base` goes, so that the schema may change.

    Raises:
        CommitFailedError: if another commit came first.
        DeltaError: likewise, and if the table cannot be written.
    """
    number = 0 if base is None else base + 1
    body = json.dumps({"version": number, "info": info}, sort_keys=True)
    # No automatic retry: delta-rs would land two appends of the same rows one after the other.
    properties = CommitProperties(custom_metadata={METADATA_KEY: body}, max_commit_retries=0)
    delta_schema = Schema.from_arrow(schema)
    if base is None:
        create_table_with_add_actions(
            str(path),
            delta_schema,
            list(actions),
            mode="error",
            partition_by=partition_by,
            configuration={"delta.logRetentionDuration": "interval 36500 days"},
            commit_properties=properties,
        )
        return
    # Overwriting also replaces the schema, and takes every file of the base out by itself.
    kept = [action for action in actions if isinstance(action, AddAction) or not everything]
    DeltaTable(str(path), version=base).create_write_transaction(
        kept,
        "overwrite" if everything else "append",
        delta_schema,
        partition_by,
        commit_properties=properties,
    )
