"""The manifest of a bundle: which files it has, their sizes and hashes, and where it lies.

It holds a digest of itself, so that any changed byte is found before anything is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.snapshot import file_sha256

FORMAT = 1
MANIFEST = "manifest.json"
MEMBERS = ("fitted.json", "model.json", "pipeline.json", "scores.json", "weights.safetensors")
MOST_DEPTH = 64
"""Lists and objects within each other in any JSON of a bundle."""
_KEYS = ("code_version", "files", "format", "sha256")
_MOST_MANIFEST = 2**20
_MOST_JSON = 2**30
_MOST_TEXT = 500  # of a message that quotes a file


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
    manifest = _read_manifest(folder)
    files = manifest["files"]
    if sorted(files) != sorted(MEMBERS):
        odd = sorted({*files} ^ {*MEMBERS})
        raise BundleError(
            f"{folder / MANIFEST}: must name {', '.join(MEMBERS)}; missing or not allowed: {odd}"
        )
    found = {item.name for item in folder.iterdir()}
    if found != {*MEMBERS, MANIFEST}:
        odd = sorted(found ^ {*MEMBERS, MANIFEST})
        raise BundleError(f"{folder}: missing, or not part of a bundle: {', '.join(odd)}")
    for name in MEMBERS:
        _check_member(folder / name, files[name], verify=verify)
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, its keys and digest checked; what stands in `files` is not."""
    path = folder / MANIFEST
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise BundleError(f"{path}: not a plain file")
    if not path.exists():
        raise BundleError(f"{folder}: not a bundle: {MANIFEST} is missing")
    if path.stat().st_size > _MOST_MANIFEST:
        raise BundleError(
            f"{path}: a manifest of {path.stat().st_size} bytes; at most {_MOST_MANIFEST}"
        )
    raw = path.read_bytes()
    manifest = parse(raw, path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError(f"{path}: not the manifest of a bundle")
    version = manifest.get("code_version", "unknown")
    check_format(path, manifest, version=version)
    if raw != seal(manifest):
        raise BundleError(f"{path}: the manifest was altered; copy the bundle again")
    if not isinstance(version, str):
        raise BundleError(f"{path}: code_version must be a text, got {reprlib.repr(version)}")
    check_keys(path, manifest, _KEYS, version=version)
    return manifest


def check_format(path: Path, body: Mapping[str, Any], *, version: Any) -> None:
    """Refuse a file of another format than this version reads.

    Args:
        path: of the file.
        body: what it holds.
        version: of the code that wrote it.

    Raises:
        BundleError: naming both formats.
    """
    found = body.get("format")
    if type(found) is not int or found != FORMAT:
        raise BundleError(
            f"{path}: bundle format {reprlib.repr(found)}; this version reads {FORMAT}; train "
            f"again, or use the version that wrote it ({reprlib.repr(version)})"
        )


def check_keys(path: Path, body: Mapping[str, Any], known: Sequence[str], *, version: str) -> None:
    """Refuse keys that this version does not know: they could change what the rest means.

    Raises:
        BundleError: naming them.
    """
    unknown = sorted(body.keys() - {*known})
    if unknown:
        raise BundleError(
            f"{path}: unknown {', '.join(unknown)[:200]} (known: {', '.join(known)}); use the "
            f"version that wrote the bundle ({version[:50]}; this is {__version__})"
        )


def _check_member(path: Path, entry: Any, *, verify: bool) -> None:
    listed = entry.get("size") if isinstance(entry, dict) else None
    if type(listed) is not int:
        raise BundleError(f"{path.parent / MANIFEST}: no size for {path.name}")
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{path}: not a plain file")
    size = path.stat().st_size
    if size != listed:
        raise BundleError(f"{path}: {size} bytes, but {listed} were written")
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


def bundle_digest(folder: Path) -> str:
    """SHA-256 of a bundle's manifest, which holds the hashes of all its files."""
    return file_sha256(place(folder) / MANIFEST)


def readopt(folder: Path) -> None:
    """Put a bundle back that a crash left beside its place."""
    if place(folder) != folder:
        os.replace(beside(folder), folder)


def dump(value: Any) -> bytes:
    """Canonical JSON."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


def first_line(error: BaseException) -> str:
    r"""What an error says, without the stack that PyTorch writes below it.

    >>> first_line(RuntimeError("sizes overflow\nException raised from empty:\nframe #0"))
    'sizes overflow'
    """
    return str(error).strip().partition("\n")[0][:_MOST_TEXT]


def load(path: Path) -> Any:
    """Content of a JSON file of a bundle.

    Raises:
        BundleError: if it is none; see `parse`.
    """
    return parse(path.read_bytes(), path)


def parse(raw: bytes, path: Path) -> Any:
    """Content of JSON that anyone may have written.

    Stricter than the standard library, so that no other reader can see something else in it and
    nothing that stands in it breaks later: UTF-8 without lone surrogates, no key twice, no NaN or
    infinity, no nesting deeper than MOST_DEPTH.

    Args:
        raw: the text.
        path: where it stands, for messages.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    try:
        text = raw.decode()
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite
        )
        if "\\ud" in text or "\\uD" in text:  # an escape may be half a character
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_DEPTH):
        held = (item.values() if isinstance(item, dict) else item for item in level)
        level = [part for parts in held for part in parts if isinstance(part, dict | list)]
        if not level:
            return value
    raise BundleError(f"{path}: nested deeper than {MOST_DEPTH}; no version writes that")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys occur once."""
    body = dict(pairs)
    if len(body) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"key {reprlib.repr(twice)} stands there twice")
    return body


def _finite(text: str) -> float:
    """A number that is one."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number
