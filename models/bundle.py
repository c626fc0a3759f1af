"""The model that is shipped: weights, preparation state, labels, scores, each with its hash.

A bundle is a folder of safetensors and JSON. Loading it runs no code from it, checks sizes before
memory is taken and hashes before anything is used, and builds only models of MODELS with weights of
exactly the shapes that their options ask for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from models.architectures import build
from models.config import JobError, Model
from models.job import from_json, to_json
from models.objectives import Moments
from models.shape import Shape
from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.snapshot import Facts, file_sha256, replace_bytes

FORMAT = 1
MANIFEST = "manifest.json"
MEMBERS = ("fitted.json", "model.json", "pipeline.json", "scores.json", "weights.safetensors")
_MOST_JSON = 2**30
_MOST_HEADER = 2**24
_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16"}


class BundleError(SeqprepError):
    """A bundle is damaged, altered, of another version, or was never one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A trained model with all that prediction needs.

    Args:
        model: in evaluation mode. config: its options. facts: of the data it was trained on.
        moments: of the targets, for tasks with values.
        batch_tokens: rows x longest of a batch in prediction.
        precision: float32, or bf16 for the core under autocast.
        fitted: bytes of the fitted state of the preparation. pipeline: source, split and
            preparation. scores: of validation and test.
    """

    model: nn.Module
    config: Model
    facts: Facts
    moments: Moments | None = None
    batch_tokens: int = 16_384
    precision: str = "float32"
    fitted: bytes = b"{}"
    pipeline: Mapping[str, Any] | None = None
    scores: Mapping[str, Any] | None = None

    @property
    def files(self) -> dict[str, bytes]:
        """Content of every file of the bundle, by name, as `write` writes it."""
        return self._members()

    def write(self, folder: Path) -> None:
        """Put the bundle at `folder`, whole or not at all; a bundle there is replaced."""
        staged = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(staged, ignore_errors=True)
        for name, data in self._members().items():
            replace_bytes(staged / name, data)
        if folder.exists():
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
            os.replace(folder, old)
            os.replace(staged, folder)
            shutil.rmtree(old)
        else:
            os.replace(staged, folder)

    def _members(self) -> dict[str, bytes]:
        described = {
            "format": FORMAT,
            "model": to_json(self.config),
            "facts": asdict(self.facts),
            "moments": self.moments,
            "batch_tokens": self.batch_tokens,
            "precision": self.precision,
        }
        weights = {k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}
        members = {
            "fitted.json": self.fitted,
            "model.json": _dump(described),
            "pipeline.json": _dump(self.pipeline),
            "scores.json": _dump(self.scores),
            "weights.safetensors": safetensors.torch.save(weights),
        }
        files = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
        }
        manifest = {"format": FORMAT, "code_version": __version__, "files": files}
        return members | {MANIFEST: seal(manifest)}

    @classmethod
    def read(cls, folder: Path, *, verify: bool = True) -> Bundle:
        """Load a bundle.

        Args:
            folder: of the bundle.
            verify: also hash every file.

        Returns:
            The bundle, its model on the CPU and in evaluation mode.

        Raises:
            BundleError: naming the file and what is wrong with it.
        """
        check(folder, verify=verify)
        described = _load(folder / "model.json")
        try:
            config = from_json(Model, described["model"], key="model")
            facts = from_json(Facts, described["facts"], key="facts")
            shape = Shape.of(facts)
            precision, batch_tokens = described["precision"], int(described["batch_tokens"])
            moments = _moments(described["moments"])
        except (JobError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder / 'model.json'}: {error}") from error
        model = _read_model(folder, config, shape)
        return cls(
            model=model,
            config=config,
            facts=facts,
            moments=moments,
            batch_tokens=batch_tokens,
            precision=precision,
            fitted=(folder / "fitted.json").read_bytes(),
            pipeline=_load(folder / "pipeline.json"),
            scores=_load(folder / "scores.json"),
        )


def seal(manifest: Mapping[str, Any]) -> bytes:
    """Bytes of a manifest with a digest over the rest of it."""
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    return _dump(body | {"sha256": hashlib.sha256(_dump(body)).hexdigest()})


def check(folder: Path, *, verify: bool = True) -> None:
    """Compare the files of a bundle with its manifest: names, sizes, then hashes.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: not a bundle: {MANIFEST} is missing")
    if path.stat().st_size > 2**20:
        raise BundleError(f"{path}: a manifest of {path.stat().st_size} bytes; at most {2**20}")
    manifest = _load(path)
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


def _read_model(folder: Path, config: Model, shape: Shape) -> nn.Module:
    """Build the model without memory, compare every shape with the file's header, then load."""
    path = folder / "weights.safetensors"
    header = _header(path)
    if config.layers > len(header):
        raise BundleError(f"{path}: {len(header)} tensors cannot hold {config.layers} layers")
    try:
        with torch.device("meta"):
            model = build(config, shape)
    except (ValueError, RuntimeError, TypeError) as error:
        raise BundleError(f"{folder / 'model.json'}: no model can be built: {error}") from error
    asked = {k: [_DTYPES[v.dtype], list(v.shape)] for k, v in model.state_dict().items()}
    found = {k: [v.get("dtype"), v.get("shape")] for k, v in header.items()}
    for name in sorted({*asked, *found}):
        if asked.get(name) != found.get(name):
            raise BundleError(
                f"{path}: tensor {name!r} is {found.get(name)}, but the model's options ask for "
                f"{asked.get(name)}"
            )
    weights: dict[str, Tensor] = safetensors.torch.load_file(path)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _header(path: Path) -> dict[str, dict[str, Any]]:
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


def _moments(data: Any) -> Moments | None:
    if data is None:
        return None
    mean, std = data
    return tuple(float(x) for x in mean), tuple(float(x) for x in std)


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
