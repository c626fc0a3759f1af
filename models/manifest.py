"""The manifest of a bundle: which files it has, their sizes and hashes, and where it lies.

It holds a digest of itself, so that any changed byte is found before anything is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqprep.errors import SeqprepError
from seqprep.snapshot import file_sha256

FORMAT = 1
MANIFEST = "manifest.json"
MEMBERS = ("fitted.json", "model.json", "pipeline.json", "scores.json", "weights.safetensors")
_MOST_JSON = 2**30
_MOST_HEADER = 2**24


class BundleError(SeqprepError):
    """A bundle is damaged, altered, of another version, or was never one."""


def seal(manifest: Mapping[str, Any]) -> bytes:
    """Bytes of a manifest with a digest over the rest of it."""
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    return dump(body | {"sha256": hashlib.sha256(dump(body)).hexdigest()})


def check(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """Compare the files of a bundle with its manifest: names, sizes, then hashes.

    Returns:
        The manifest.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    folder = place(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: not a bundle: {MANIFEST} is missing")
    if path.stat().st_size > 2**20:
        raise BundleError(f"{path}: a manifest of {path.stat().st_size} bytes; at most {2**20}")
    manifest = load(path)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        raise BundleError(f"{path}: not the manifest of a bundle")
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{path}: bundle format {manifest.get('format')!r}; this version reads {FORMAT}; "
            "train again, or use the version that wrote it "
            f"({manifest.get('code_version', 'unknown')})"
        )
    if path.read_bytes() != seal(manifest):
        raise BundleError(f"{path}: the manifest was altered; copy the bundle again")
    if sorted(files) != sorted(MEMBERS):
        odd = sorted({*files} ^ {*MEMBERS})
        raise BundleError(f"{path}: must name {', '.join(MEMBERS)}; missing or not allowed: {odd}")
    found = {item.name for item in folder.iterdir()}
    if found != {*MEMBERS, MANIFEST}:
        odd = sorted(found ^ {*MEMBERS, MANIFEST})
        raise BundleError(f"{folder}: missing, or not part of a bundle: {', '.join(odd)}")
    for name in MEMBERS:
        _check_member(folder / name, files[name], verify=verify)
    return manifest


def _check_member(path: Path, entry: Any, *, verify: bool) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("size"), int):
        raise BundleError(f"{path.parent / MANIFEST}: no size for {path.name}")
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{path}: not a plain file")
    size = path.stat().st_size
    if size != entry["size"]:
        raise BundleError(f"{path}: {size} bytes, but {entry['size']} were written")
    if path.suffix == ".json" and size > _MOST_JSON:
        raise BundleError(f"{path}: {size} bytes of JSON; at most {_MOST_JSON}")
    if verify and file_sha256(path) != entry.get("sha256"):
        raise BundleError(f"{path}: the bytes are not those that were written; copy it again")


def beside(folder: Path) -> Path:
    """Where a bundle waits while another takes its place."""
    return folder.with_name(f".{folder.name}.old")


def place(folder: Path) -> Path:
    """Where a bundle can be read: at its place, or beside it if a crash kept the new one out."""
    return folder if folder.exists() or not beside(folder).is_dir() else beside(folder)


def readopt(folder: Path) -> None:
    """Put a bundle back that a crash left beside its place."""
    if place(folder) != folder:
        os.replace(beside(folder), folder)


def dump(value: Any) -> bytes:
    """Canonical JSON."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


def load(path: Path) -> Any:
    """Content of a JSON file of a bundle.

    Raises:
        BundleError: if it is none.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """The header of a safetensors file: dtype and shape by name."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _MOST_HEADER):
            raise BundleError(f"{path}: not a safetensors file")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise BundleError(f"{path}: not a safetensors file: {error}") from error
    if end != size - 8 - length:
        raise BundleError(f"{path}: its header speaks of {end} bytes; {size - 8 - length} follow")
    return {str(name): entry for name, entry in header.items()}
