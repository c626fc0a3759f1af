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
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from models.answers.objectives import Moments
from models.architectures import build
from models.job import from_json, to_json
from models.manifest import (
    FORMAT,
    MANIFEST,
    MEMBERS,
    BundleError,
    beside,
    check,
    dump,
    load,
    place,
    read_header,
    readopt,
    seal,
)
from models.options.checks import JobError
from models.options.model import Model
from models.options.older import model_options, pipeline_options
from models.shape import Shape
from seqprep import __version__
from seqprep.schema import NUM_RESERVED_TARGET, num_reserved
from seqprep.snapshot import Facts, replace_bytes

__all__ = ["MANIFEST", "MEMBERS", "Bundle", "BundleError", "check", "seal"]

PRECISIONS = ("float32", "bf16", "float16")
PIPELINE_PARTS = ("dataset", "source", "split", "prepare", "train", "predict")
_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A trained model with all that prediction needs.

    Args:
        model: in evaluation mode. config: its options. facts: of the data it was trained on.
        moments: of the targets, for tasks with values.
        batch_tokens: rows x longest of a batch in prediction.
        precision: float32, or bf16 or float16 for the core under autocast.
        fitted: bytes of the fitted state of the preparation. pipeline: source, split and
            preparation, None for a model of prepared examples only. scores: of validation and
            test. code_version: of the code that wrote it.
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
    code_version: str = __version__

    @property
    def files(self) -> Mapping[str, bytes]:
        """Content of every file of the bundle by name, as `write` writes it."""
        return _Files(self)

    def write(self, folder: Path) -> None:
        """Put the bundle at `folder`; a bundle there is replaced.

        A crash at any point leaves the old or the new one for `read`, which looks for the old one
        beside a folder that is gone. One writer at a time; what a dead one left is swept.
        """
        old = beside(folder)
        readopt(folder)
        for stale in (old, *folder.parent.glob(f".{folder.name}.*.tmp")):
            shutil.rmtree(stale, ignore_errors=True)
        staged = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        for name, data in self._members().items():
            replace_bytes(staged / name, data)
        if folder.exists():
            os.replace(folder, old)
        os.replace(staged, folder)
        shutil.rmtree(old, ignore_errors=True)

    def needed_pipeline(self) -> Mapping[str, Any]:
        """The pipeline, without which raw files cannot be prepared.

        Raises:
            BundleError: if the model was trained without one.
        """
        if self.pipeline is None:
            raise BundleError(
                "the bundle has no pipeline (its pipeline.json is null): it was trained from a "
                "job file without one and answers prepared examples only; train it with "
                "`seqprep train`, or give `pipeline` and `fitted` in the job file"
            )
        return self.pipeline

    def _members(self) -> dict[str, bytes]:
        members = {name: self._member(name) for name in MEMBERS}
        return members | {MANIFEST: self._manifest(members)}

    def _member(self, name: str) -> bytes:
        if name == "fitted.json":
            return self.fitted
        if name == "weights.safetensors":
            weights = {k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}
            return safetensors.torch.save(weights)
        if name == "model.json":
            return dump(
                {
                    "format": FORMAT,
                    "model": to_json(self.config),
                    "facts": asdict(self.facts),
                    "moments": self.moments,
                    "batch_tokens": self.batch_tokens,
                    "precision": self.precision,
                }
            )
        return dump({"pipeline.json": self.pipeline, "scores.json": self.scores}[name])

    def _manifest(self, members: Mapping[str, bytes]) -> bytes:
        files = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
        }
        return seal({"format": FORMAT, "code_version": self.code_version, "files": files})

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
        folder = place(folder)
        manifest = check(folder, verify=verify)
        described = load(folder / "model.json")
        try:
            config = from_json(Model, model_options(described["model"]), key="model")
            facts = from_json(Facts, described["facts"], key="facts")
            shape = Shape.of(facts)
            precision, batch_tokens = _running(described)
            moments = _moments(described["moments"])
        except (JobError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder / 'model.json'}: {error}") from error
        version = str(manifest.get("code_version", "unknown"))
        pipeline = _pipeline(folder, version=version)
        fitted = (folder / "fitted.json").read_bytes()
        if pipeline is not None:
            _check_fitted(folder / "fitted.json", fitted, facts)
        model = _read_model(folder, config, shape)
        return cls(
            model=model,
            config=config,
            facts=facts,
            moments=moments,
            batch_tokens=batch_tokens,
            precision=precision,
            fitted=fitted,
            pipeline=pipeline,
            scores=load(folder / "scores.json"),
            code_version=version,
        )


class _Files(Mapping[str, bytes]):
    """Files of a bundle; the weights become bytes only when they are asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def __getitem__(self, name: str) -> bytes:
        if name == MANIFEST:
            return self.bundle._members()[MANIFEST]
        if name not in MEMBERS:
            raise KeyError(name)
        return self.bundle._member(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*MEMBERS, MANIFEST))

    def __len__(self) -> int:
        return len(MEMBERS) + 1


def _running(described: Mapping[str, Any]) -> tuple[str, int]:
    """Precision and tokens of a batch.

    Raises:
        ValueError: if one of them is not allowed.
    """
    precision, batch_tokens = described["precision"], described["batch_tokens"]
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {list(PRECISIONS)}, got {precision!r}")
    if not isinstance(batch_tokens, int) or isinstance(batch_tokens, bool) or batch_tokens < 1:
        raise ValueError(f"batch_tokens must be a whole number >= 1, got {batch_tokens!r}")
    return precision, batch_tokens


def _pipeline(folder: Path, *, version: str) -> dict[str, Any] | None:
    """The pipeline of a bundle, its parts known to this version."""
    path = folder / "pipeline.json"
    body = load(path)
    if body is None:
        return None
    if not isinstance(body, dict):
        raise BundleError(f"{path}: must be an object or null, got {type(body).__name__}")
    unknown = sorted(body.keys() - {*PIPELINE_PARTS})
    if unknown:
        raise BundleError(
            f"{path}: unknown {', '.join(unknown)} (known: {', '.join(PIPELINE_PARTS)}); "
            f"use the version that wrote the bundle ({version}; this is {__version__})"
        )
    return pipeline_options(body)


def _check_fitted(path: Path, fitted: bytes, facts: Facts) -> None:
    """Compare the vocabularies' sizes with those of the model."""
    try:
        body = json.loads(fitted)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BundleError(f"{path}: not a fitted state")
    sizes = {
        "vocabulary": (facts.vocab_size, num_reserved(facts.task)),
        "target_vocabulary": (facts.target_vocab_size, NUM_RESERVED_TARGET),
    }
    for key, (size, reserved) in sizes.items():
        words = body.get(key)
        if words is None or size is None:
            continue
        if not isinstance(words, list) or len(words) + reserved != size:
            found = len(words) if isinstance(words, list) else type(words).__name__
            raise BundleError(
                f"{path}: {key} of {found} tokens, but the model was built for {size - reserved}; "
                "the files are of different bundles"
            )


def _read_model(folder: Path, config: Model, shape: Shape) -> nn.Module:
    """Build the model without memory, compare every shape with the file's header, then load."""
    path = folder / "weights.safetensors"
    header = read_header(path)
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


def _moments(data: Any) -> Moments | None:
    if data is None:
        return None
    mean, std = data
    return tuple(float(x) for x in mean), tuple(float(x) for x in std)
