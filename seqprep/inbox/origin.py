"""Where predictions come from, and which may stand in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqprep.errors import SeqprepError


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where rows come from, and what they are.

    Args:
        schema: of the rows.
        kind: what all rows of a table share, as JSON has it: domain, task, labels, ...
        folder: of the source files.
        bundle: digest of the model. bundle_path: where it lay.
    """

    schema: pa.Schema
    kind: Mapping[str, Any]
    folder: Path
    bundle: str
    bundle_path: str


def check_origin(origin: Origin, params: Mapping[str, Any], *, place: Path) -> None:
    """Refuse rows that do not belong to those that are there.

    Args:
        origin: of the new rows.
        params: what the newest commit says of the others.
        place: where they are.

    Raises:
        SeqprepError: if they are of another kind, or of files of another folder.
    """
    for name, value in params["kind"].items():
        if value != origin.kind[name]:
            raise SeqprepError(
                f"{place}: holds predictions with {name} {_shown(value)}, and this model has "
                f"{name} {_shown(origin.kind[name])}; name another place (--out)"
            )
    before = Path(params["folder"])
    # A folder that was moved is not at its old place any longer.
    if before.is_dir() and not before.samefile(origin.folder):
        raise SeqprepError(
            f"{place}: holds predictions of the files in {before}; those in {origin.folder} may "
            "have the same names; name another place (--out)"
        )


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
