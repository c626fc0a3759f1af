"""The weights of a bundle: a safetensors file that must hold what the model's options ask for.

Nothing of it is believed: every entry of the header is checked before the model is built, sizes
before memory is taken, and values before the model answers.

Source: the format, https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.architectures import build
from models.manifest import BundleError, first_line, parse
from models.options.model import Model
from models.shape import Shape

MOST_TENSORS = 2**13
"""Tensors of a bundle; a model of as many is built in a few seconds."""
_MOST_HEADER = 2**24
_MOST_SIZES = 8  # of a shape; a product of many takes very long
_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16"}
_BYTES = {"F32": 4, "F64": 8, "BF16": 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the header says of a tensor.

    Args:
        dtype: by its name in the format. shape: of the tensor.
        start: of its bytes after the header. end: likewise.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def pack(model: nn.Module) -> bytes:
    """The weights as the bytes of a file.

    Raises:
        BundleError: for more tensors than `read_model` takes.
    """
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if len(weights) > MOST_TENSORS:
        raise BundleError(
            f"a model of {len(weights)} tensors; a bundle holds at most {MOST_TENSORS}: choose "
            "fewer train.model.layers, parts or front.conv"
        )
    return safetensors.torch.save(weights)


def read_model(path: Path, config: Model, shape: Shape) -> nn.Module:
    """Build the model without memory, compare every shape with the file's header, then load.

    Args:
        path: of the weights.
        config: the model's options, from a file that anyone may have written.
        shape: of the data, likewise.

    Returns:
        The model on the CPU and in evaluation mode.

    Raises:
        BundleError: naming the file and what is wrong with it.
    """
    header = read_header(path)
    _check_count(path, config, len(header))
    try:
        with torch.device("meta"):
            model = build(config, shape)
    except (ValueError, RuntimeError, TypeError) as error:
        raise BundleError(
            f"{path.with_name('model.json')}: no model can be built: {first_line(error)}"
        ) from error
    asked = {k: (_DTYPES[v.dtype], tuple(v.shape)) for k, v in model.state_dict().items()}
    found = {k: (entry.dtype, entry.shape) for k, entry in header.items()}
    for name in sorted({*asked, *found}):
        if asked.get(name) != found.get(name):
            raise BundleError(
                f"{path}: tensor {name[:100]!r} is {_said(found.get(name))}, but the model's "
                f"options ask for {_said(asked.get(name))}"
            )
    model.load_state_dict(_load(path), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _check_count(path: Path, config: Model, tensors: int) -> None:
    """Refuse options that ask for more layers than the tensors can fill, before any is built."""
    layers = config.layers * (config.parts if config.name == "split" else 1)
    layers *= 2 if config.bidirectional else 1
    needed = layers * (2 if config.name == "min_lstm" else 4)  # of an LSTM: two weights, two biases
    needed += 2 * (len(config.head) + len(config.front.conv))
    if needed > tensors:
        raise BundleError(
            f"{path}: {tensors} tensors cannot hold the layers of the model's options, which need "
            f"{needed} at least"
        )


def _said(one: tuple[str, tuple[int, ...]] | None) -> str:
    """A tensor's type and shape, for a message."""
    return "not there" if one is None else f"{one[0]} of shape {str(list(one[1]))[:100]}"


def _load(path: Path) -> dict[str, Tensor]:
    """All tensors, every number finite."""
    try:
        weights: dict[str, Tensor] = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise BundleError(f"{path}: not a safetensors file: {first_line(error)}") from error
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise BundleError(
                f"{path}: tensor {name!r} holds NaN or infinity; every answer would be wrong: "
                "train again, or use an earlier bundle"
            )
    return weights


def read_header(path: Path) -> dict[str, Entry]:
    """The header of a safetensors file.

    Returns:
        What it says of each tensor, by name.

    Raises:
        BundleError: if it is none, or if an entry speaks of bytes that are not its own.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _MOST_HEADER):
            raise BundleError(f"{path}: not a safetensors file")
        raw = file.read(length)
    if not raw.startswith(b"{"):
        raise BundleError(f"{path}: not a safetensors file: its header is no object")
    header = parse(raw, path)
    _check_metadata(path, header.pop("__metadata__", {}))
    if len(header) > MOST_TENSORS:
        raise BundleError(f"{path}: {len(header)} tensors; at most {MOST_TENSORS}")
    entries = {name: _entry(path, name, entry) for name, entry in header.items()}
    _check_places(path, entries, size - 8 - length)
    return entries


def _check_metadata(path: Path, metadata: Any) -> None:
    texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if not texts:
        raise BundleError(f"{path}: not a safetensors file: its __metadata__ must be texts")


def _entry(path: Path, name: str, entry: Any) -> Entry:
    """One entry, its parts of the right types and its bytes as many as its shape needs."""
    told: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype: Any = told.get("dtype")
    shape: Any = told.get("shape")
    place: Any = told.get("data_offsets")
    if not (
        len(told) == 3
        and isinstance(dtype, str)
        and _counts(shape)
        and _counts(place)
        and len(place) == 2
    ):
        raise BundleError(
            f"{path}: tensor {name[:100]!r} needs a dtype, a shape and two data_offsets, all "
            "whole numbers >= 0, and nothing else"
        )
    if dtype not in _BYTES:
        raise BundleError(
            f"{path}: tensor {name[:100]!r} is {dtype[:20]}; weights are {', '.join(_BYTES)}"
        )
    if place[1] - place[0] != math.prod(shape) * _BYTES[dtype]:
        raise BundleError(
            f"{path}: tensor {name[:100]!r} of shape {str(shape)[:100]} in {dtype} cannot fill "
            f"bytes {str(place)[:100]}"
        )
    return Entry(dtype, tuple(shape), place[0], place[1])


def _counts(data: Any) -> bool:
    """Whether it is a short list of whole numbers from 0 on."""
    short = isinstance(data, list) and len(data) <= _MOST_SIZES
    return short and all(type(n) is int and 0 <= n < 2**63 for n in data)


def _check_places(path: Path, entries: Mapping[str, Entry], size: int) -> None:
    """Refuse tensors that share bytes or leave some out."""
    places = sorted((entry.start, entry.end) for entry in entries.values())
    ends = [0, *(end for _, end in places)]
    starts = [*(start for start, _ in places), size]
    if ends != starts:
        raise BundleError(
            f"{path}: the tensors of its header do not lie one behind the other in its {size} bytes"
        )
