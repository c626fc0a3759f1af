"""Everything that a run needs to go on bit for bit, in one safetensors file.

The tensors (weights, best weights, optimiser) are the file's own; counters and history are JSON in
its header, with a digest over both. It is replaced whole or not at all, and nothing in it is code.
Dropout needs no saved generator: every batch seeds its own numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from seqprep.errors import CorruptError, SeqprepError
from seqprep.snapshot import replace_bytes

NAME = "state.safetensors"
VERSION = "1"
_GROUPS = ("model", "best", "optimizer", "lanes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A run between two updates.

    Args:
        identity: what must be the same for going on: digests of the snapshot, of the fitted state
            and of the options, and the code version.
        model: weights. best: weights of the best epoch so far, {} before the first.
        optimizer: tensors by `<parameter number>.<name>`. options: param groups of the optimiser.
        progress: counters and history, plain JSON.
        lanes: what lanes hand on inside an epoch of segments.
    """

    identity: dict[str, str]
    model: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    options: list[dict[str, Any]]
    progress: dict[str, Any]
    lanes: Mapping[str, Tensor] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Replace the checkpoint of a folder, whole or not at all."""
        tensors = {
            f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
            for group in _GROUPS
            for name, tensor in getattr(self, group).items()
        }
        state = json.dumps(
            {"identity": self.identity, "options": self.options, "progress": self.progress},
            sort_keys=True,
            allow_nan=False,
        )
        metadata = {"version": VERSION, "state": state, "digest": _digest(tensors, state)}
        replace_bytes(folder / NAME, safetensors.torch.save(tensors, metadata=metadata))

    @classmethod
    def read(cls, folder: Path) -> Checkpoint | None:
        """The checkpoint of a folder, or None where there is none.

        Raises:
            CorruptError: if its bytes are not those that were written.
        """
        path = folder / NAME
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, framework="pt", device="cpu") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(metadata["state"])
            sound = metadata["digest"] == _digest(tensors, metadata["state"])
        except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
            raise CorruptError(f"{path}: not a checkpoint: {error}; {_REMEDY}") from error
        if not sound or metadata.get("version") != VERSION:
            raise CorruptError(f"{path}: the checkpoint was altered; {_REMEDY}")
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
        for name, tensor in tensors.items():
            group, key = name.split("/", 1)
            groups[group][key] = tensor
        return cls(**state, **groups)  # type: ignore[arg-type]

    def check(self, identity: Mapping[str, str], *, folder: Path) -> None:
        """Refuse to go on from another run's state.

        Raises:
            SeqprepError: naming what differs.
        """
        differing = sorted(
            key
            for key in {*identity, *self.identity}
            if identity.get(key) != self.identity.get(key)
        )
        if differing:
            raise SeqprepError(
                f"{folder / NAME} is the checkpoint of another run: {', '.join(differing)} "
                f"differ{'s' if len(differing) == 1 else ''}; {_REMEDY}, or choose another `out`"
            )


_REMEDY = "remove the folder to train from the start"


def _digest(tensors: Mapping[str, Tensor], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by `<parameter number>.<name>`."""
    return {
        f"{number}.{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def optimizer_options(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The optimiser's param groups as plain JSON."""
    groups: list[dict[str, Any]] = json.loads(json.dumps(optimizer.state_dict()["param_groups"]))
    return groups


def restore_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's state into an optimiser of the same kind."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in checkpoint.optimizer.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    for group, stored in zip(groups, checkpoint.options, strict=True):
        group.update({k: tuple(v) if isinstance(group[k], tuple) else v for k, v in stored.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})
