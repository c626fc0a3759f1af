"""Nothing that a bundle's files or manifest say is believed before it is checked."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle import MANIFEST, MEMBERS, Bundle, BundleError
from seqprep import __version__
from tests.models.bundles import bundle_of, described, forge, forge_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle_of("classify")[0].write(tmp_path / "bundle")
    return tmp_path / "bundle"


class Bomb:
    """Leaves a trace when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_pickle_under_any_name_is_refused_and_not_run(bundle: Path, name: str) -> None:
    """Loading a bundle from somewhere must never run code from it."""
    trace = bundle.parent / "trace"
    forge(bundle, name, pickle.dumps(Bomb(trace)))
    with pytest.raises(BundleError, match=name):
        Bundle.read(bundle)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", "weights.pt"])
def test_other_names_in_the_manifest_are_refused(bundle: Path, name: str) -> None:
    """No name from a file becomes a path."""
    files = json.loads((bundle / MANIFEST).read_bytes())["files"]
    forge_manifest(bundle, files={**files, name: files["model.json"]})
    with pytest.raises(BundleError, match="not allowed"):
        Bundle.read(bundle)


def test_other_files_in_the_folder_are_refused(bundle: Path) -> None:
    """What the manifest does not name does not belong."""
    (bundle / "weights.pt").write_bytes(b"")
    with pytest.raises(BundleError, match=r"weights\.pt"):
        Bundle.read(bundle)


def test_a_link_is_not_a_member(bundle: Path) -> None:
    """A link could show one file to the check and another to the reader."""
    (bundle / "scores.json").rename(bundle.parent / "scores.json")
    (bundle / "scores.json").symlink_to(bundle.parent / "scores.json")
    with pytest.raises(BundleError, match="not a plain file"):
        Bundle.read(bundle)


def test_sizes_are_checked_before_anything_is_read(bundle: Path) -> None:
    """A file that grew must be refused without taking memory for it, also unverified."""
    with (bundle / "weights.safetensors").open("ab") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(BundleError, match="bytes, but"):
        Bundle.read(bundle, verify=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body.update(format=99), "format 99; this version reads 1"),
        (lambda body: body.update(format=True), "format True"),
        (lambda body: body.pop("format"), "format None"),
        (lambda body: body.update(quantised=True), "unknown quantised.*known: batch_tokens"),
        (lambda body: body.pop("moments"), "moments missing"),
        (lambda body: body["model"].update(name="transformer"), "lstm"),
        (lambda body: body["model"].update(hiden=3), "did you mean 'hidden'"),
        (lambda body: body["facts"].update(labels=[]), "nothing to learn"),
        (lambda body: body["facts"].update(labels=["a", "a"]), "labels names 'a' 2 times"),
        (lambda body: body["facts"].update(labels=["a", 5]), r"facts.labels\[1\] must be str"),
        (lambda body: body["facts"].update(vocab_size="many"), "vocab_size"),
        (lambda body: body["facts"].update(vocab_size=0), r"vocab_size must be in 2 \(reserved"),
        (lambda body: body["facts"].update(vocab_size=None), "neither vocab_size nor channels"),
        (lambda body: body["facts"].update(window_stride=-1), "window_stride must be steps >= 0"),
        (lambda body: body["facts"].update(rate_hz=10**400), "too large"),
        (lambda body: body.pop("facts"), "facts"),
        (lambda body: body.update(batch_tokens=0), "batch_tokens must be a whole number >= 1"),
        (lambda body: body.update(batch_tokens="many"), "batch_tokens must be"),
        (lambda body: body.update(batch_tokens=10**30), "batch_tokens must be .* below 2"),
        (lambda body: body.update(batch_tokens=True), "batch_tokens must be"),
        (lambda body: body.update(precision=["float32"]), "precision must be one of"),
        (lambda body: body.update(precision="float8"), "precision must be one of"),
        (lambda body: body.pop("precision"), "precision missing"),
    ],
)
def test_altered_descriptions_are_refused(
    bundle: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """An error that names what is wrong, never a traceback from inside PyTorch."""
    described(bundle, change)
    with pytest.raises(BundleError, match=rf"model\.json: .*{message}"):
        Bundle.read(bundle)


@pytest.mark.parametrize("content", [b"[]", b"null", b"5", b'"x"'])
@pytest.mark.parametrize("name", ["model.json", "pipeline.json", "fitted.json", "scores.json"])
def test_json_of_another_kind_is_refused_by_name(bundle: Path, name: str, content: bytes) -> None:
    """Each file is an object, or null where it may be; all else must not reach prediction."""
    forge(bundle, name, content)
    if content == b"null" and name in ("pipeline.json", "scores.json"):
        Bundle.read(bundle)
        return
    with pytest.raises(BundleError, match=rf"{name}: (must be an object|not a fitted state)"):
        Bundle.read(bundle)


@pytest.mark.parametrize("name", [name for name in MEMBERS if name.endswith(".json")])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": NaN}', "no finite number"),
        (b'{"a": -Infinity}', "no finite number"),
        (b'{"a": 1e999}', "no finite number"),
        (b'{"a": 1, "a": 2}', "'a' stands there twice"),
        (b'{"a": "\\ud800"}', "surrogates"),
        ('{"a": 1}'.encode("utf-16"), "utf-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper than 64"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_json_that_readers_could_take_in_two_ways_is_refused(
    bundle: Path, name: str, content: bytes, message: str
) -> None:
    """Numbers that are none, keys twice and bottomless nesting would break far from their file."""
    forge(bundle, name, content)
    with pytest.raises(BundleError, match=rf"{name}: .*{message}"):
        Bundle.read(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.replace(b'"format": 1', b'"format": 1, "x": NaN'), "no finite number"),
        (lambda raw: raw.replace(b'"format": 1', b'"format": 1, "format": 1'), "twice"),
        (lambda raw: b"[" * 100_000, "not JSON"),
        (lambda raw: b'{"files": {}, "x": ' + b"[" * 400 + b"]" * 400 + b"}", "nested deeper"),
        (lambda raw: b'{"files": {}, "format": ' + b"9" * 10_000 + b"}", "digits"),
        (lambda raw: raw + b" " * 2**20, "a manifest of .* bytes; at most"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    bundle: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    """Its digest is worked out from what it says, so what it says must be fit for that."""
    (bundle / MANIFEST).write_bytes(change((bundle / MANIFEST).read_bytes()))
    with pytest.raises(BundleError, match=rf"{MANIFEST}: .*{message}"):
        Bundle.read(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": True}, "bundle format True"),
        ({"code_version": ["1.0"]}, "code_version must be a text"),
        ({"compressed": True}, rf"unknown compressed .*this is {__version__}"),
        ({"files": []}, "not the manifest of a bundle"),
        ({"files": {"model.json": 5}}, "missing or not allowed"),
    ],
)
def test_a_sealed_manifest_of_another_shape_is_refused(
    bundle: Path, changes: dict[str, Any], message: str
) -> None:
    """A right digest says only that whoever wrote it knew how."""
    forge_manifest(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        Bundle.read(bundle)


def test_a_size_must_be_a_whole_number(bundle: Path) -> None:
    """True counts as 1 in Python, and a list would end in a traceback."""
    files = json.loads((bundle / MANIFEST).read_bytes())["files"]
    for size in (True, [1], None, "5"):
        entry = {**files["scores.json"], "size": size}
        forge_manifest(bundle, files={**files, "scores.json": entry})
        with pytest.raises(BundleError, match=r"no size for scores\.json"):
            Bundle.read(bundle)


def test_a_manifest_must_be_a_plain_file(bundle: Path) -> None:
    """A link could show one manifest to the check and another to the next reader."""
    (bundle / MANIFEST).rename(bundle.parent / MANIFEST)
    (bundle / MANIFEST).symlink_to(bundle.parent / MANIFEST)
    with pytest.raises(BundleError, match=rf"{MANIFEST}: not a plain file"):
        Bundle.read(bundle)
    (bundle / MANIFEST).unlink()
    (bundle / MANIFEST).mkdir()
    with pytest.raises(BundleError, match=rf"{MANIFEST}: not a plain file"):
        Bundle.read(bundle)


def test_a_bundle_of_another_format_says_so(bundle: Path) -> None:
    """An older or newer bundle loads or says clearly why not."""
    forge_manifest(bundle, format=99)
    with pytest.raises(BundleError, match="format 99"):
        Bundle.read(bundle)
