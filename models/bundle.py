"""The model that is shipped: weights, preparation state, labels, scores, each with its hash.

A bundle is a folder of safetensors and JSON. Loading it runs no code from it, checks sizes before
memory is taken and hashes before anything is used, and builds only models of MODELS with weights of
exactly the shapes that their options ask for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from models.answers.objectives import Moments
from models.bundle_checks import read_described, read_fitted, read_pipeline
from models.job import to_json
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
    readopt,
    seal,
)
from models.options.model import Model
from models.weights import pack, read_model
from seqprep import __version__
from seqprep.snapshot import Facts, replace_bytes

__all__ = ["MANIFEST", "MEMBERS", "Bundle", "BundleError", "check", "seal"]


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
            return pack(self.model)
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
        version = check(folder, verify=verify).get("code_version", "unknown")
        told = read_described(folder / "model.json", version=version)
        pipeline = read_pipeline(folder / "pipeline.json", told.facts, version=version)
        fitted = read_fitted(folder / "fitted.json", told.facts)
        scores = load(folder / "scores.json")
        if scores is not None and not isinstance(scores, dict):
            raise BundleError(f"{folder / 'scores.json'}: must be an object or null")
        return cls(
            model=read_model(folder / "weights.safetensors", told.config, told.shape),
            config=told.config,
            facts=told.facts,
            moments=told.moments,
            batch_tokens=told.batch_tokens,
            precision=told.precision,
            fitted=fitted,
            pipeline=pipeline,
            scores=scores,
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
