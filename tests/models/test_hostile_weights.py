"""No tensor is made, and none is used, that the options of the model do not ask for."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from models.bundle import Bundle, BundleError
from models.options.model import Conv, Front, Model
from models.weights import MOST_TENSORS, pack
from tests.models.bundles import bundle_of, described, forge, within

WEIGHTS = "weights.safetensors"
CONV = {"channels": 1, "kernel": 1, "stride": 1, "activation": "none"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle_of("classify")[0].write(tmp_path / "bundle")
    return tmp_path / "bundle"


def split(file: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def joined(header: Any, data: bytes) -> bytes:
    """A safetensors file of a header, as JSON or as bytes, and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_shapes_that_do_not_fit_the_options_are_refused(bundle: Path) -> None:
    """Weights of another model, or a bomb of zeros, must not be taken for this one's."""
    weights = safetensors.torch.load_file(bundle / WEIGHTS)
    name = next(iter(weights))
    weights[name] = torch.zeros(3, 3)
    forge(bundle, WEIGHTS, safetensors.torch.save(weights))
    with pytest.raises(BundleError, match=name):
        Bundle.read(bundle)


def entry(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Change the entry of the second tensor."""
    return lambda header: header[sorted(header)[1]].update(changes)


@pytest.mark.parametrize(
    "change",
    [
        entry(data_offsets=[0, 4]),
        entry(data_offsets=[-5, 4]),
        entry(data_offsets=[4, 0]),
        entry(data_offsets=["a", 4]),
        entry(data_offsets=[0.0, 4.0]),
        entry(data_offsets=[0, 2**63]),
        entry(data_offsets=[True, 4]),
        entry(data_offsets=5),
        entry(data_offsets=[]),
        entry(shape=None),
        entry(shape=[-1, -1]),
        entry(shape=[2**62, 2**62]),
        entry(shape=[1.5]),
        entry(shape=[10**9] * 100_000),
        entry(dtype=5),
        entry(dtype="F16"),
        entry(dtype="F64"),
        entry(extra=1),
        lambda header: header.update(__metadata__=5),
        lambda header: header.update(__metadata__={"a": 5}),
        lambda header: header.update(more=5),
        lambda header: header.pop(sorted(header)[1]),
        lambda header: header.update({"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
        lambda header: entry(data_offsets=header[sorted(header)[0]]["data_offsets"])(header),
    ],
)
def test_a_header_that_speaks_of_other_bytes_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Each entry must own its bytes: the library that maps them says so in an error of its own."""
    header, data = split(bundle / WEIGHTS)
    change(header)
    forge(bundle, WEIGHTS, joined(header, data))
    with within(5), pytest.raises(BundleError, match=r"weights\.safetensors: "):
        Bundle.read(bundle)


def test_a_header_that_two_readers_take_differently_is_refused(bundle: Path) -> None:
    """The shapes that were checked must be those that are loaded."""
    header, data = split(bundle / WEIGHTS)
    text = json.dumps(header).encode()
    name = sorted(header)[0]
    twice = text[:-1] + b", " + json.dumps({name: header[name]}).encode()[1:]
    for other in (twice, b" " + text, b"[" * 100_000, b"[]", b"\xff" + text, b"{}"):
        forge(bundle, WEIGHTS, joined(other, data))
        with pytest.raises(BundleError, match=r"weights\.safetensors: "):
            Bundle.read(bundle)
    for whole in (b"", b"\x01", struct.pack("<Q", 2**63) + text, joined(text, data)[:-1]):
        forge(bundle, WEIGHTS, whole)
        with pytest.raises(BundleError, match=r"weights\.safetensors: "):
            Bundle.read(bundle)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """A single NaN would make every answer NaN, or worse, look like a class."""
    trained, _ = bundle_of("classify")
    list(trained.model.parameters())[-1].data[0] = value
    trained.write(tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"weights\.safetensors: tensor .* holds NaN or infinity"):
        Bundle.read(tmp_path / "bundle")


def counts(kind: type, prefix: str) -> list[str]:
    """Names of the options that are whole numbers."""
    return [prefix + field.name for field in fields(kind) if "int" in str(field.type)]


COUNTS = [
    *[name for name in counts(Model, "") if name != "head"],
    *counts(Front, "front."),
    *counts(Conv, "front.conv.0."),
]
LISTS: dict[str, list[Any]] = {"head": [1] * 200_000, "front.conv": [CONV] * 100_000}


def assign(options: Any, path: str, value: Any) -> None:
    """Set an option by its path."""
    *folders, name = path.split(".")
    for folder in folders:
        options = options[int(folder) if folder.isdigit() else folder]
    options[name] = value


def test_every_count_of_the_options_is_tried() -> None:
    """An option that is added later must be bounded, too; so must every list."""
    assert {"layers", "parts", "code_every", "front.parallel", "front.conv.0.kernel"} < {*COUNTS}
    lists = [f.name for kind in (Model, Front) for f in fields(kind) if ", ..." in str(f.type)]
    short = {"pooling", "lower_pooling"}  # of a few names, without repeats
    assert {*lists} - short == {path.split(".")[-1] for path in LISTS}


@pytest.mark.parametrize("path", COUNTS)
def test_enormous_options_take_no_time_and_no_memory(bundle: Path, path: str) -> None:
    """A forged option must be refused before a tensor of its size, or so many, are made."""
    for value in (10**7, 10**9, 2**31, 2**62, 10**30, -(10**30)):
        described(bundle, partial(lambda body, v: assign(body["model"], path, v), v=value))
        with within(3):
            try:
                Bundle.read(bundle)
            except BundleError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000
            else:
                assert value < 2**31, "nothing can count so far"


@pytest.mark.parametrize("name", ["lstm", "min_lstm", "split", "hierarchical", "chunks"])
@pytest.mark.parametrize("path", ["parts", "layers", "hidden", "upper_hidden"])
def test_enormous_models_are_refused_whatever_they_are(bundle: Path, name: str, path: str) -> None:
    """Each model multiplies its layers in its own way."""
    described(bundle, lambda body: body["model"].update({"name": name, path: 10**7}))
    with within(3):
        try:
            Bundle.read(bundle)
        except BundleError as error:
            assert path != "layers" or "tensors cannot hold" in str(error)
        else:
            assert name == "lstm" and path in ("parts", "upper_hidden"), "not its option"


@pytest.mark.parametrize(("most", "message"), [(None, "; at most"), (4000, "cannot hold the la")])
@pytest.mark.parametrize("path", LISTS)
def test_endless_lists_of_options_take_no_time(
    bundle: Path, path: str, most: int | None, message: str
) -> None:
    """A hundred thousand layers would be built for minutes before the first shape is compared."""
    described(bundle, lambda body: assign(body["model"], path, LISTS[path][:most]))
    with within(3), pytest.raises(BundleError, match=message):
        Bundle.read(bundle)


def test_endless_headers_take_no_time(bundle: Path) -> None:
    """A header with as many names as the options ask for must not have them built either."""
    one = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    names = {f"t{number}": one for number in range(MOST_TENSORS + 1)}
    forge(bundle, WEIGHTS, joined(names, b""))
    described(bundle, lambda body: body["model"].update(layers=MOST_TENSORS))
    with within(3), pytest.raises(BundleError, match=f"{len(names)} tensors; at most"):
        Bundle.read(bundle)


def test_no_more_tensors_are_written_than_are_read() -> None:
    """A bundle that cannot be read again must not be shipped."""
    many = nn.ParameterList(nn.Parameter(torch.zeros(0)) for _ in range(MOST_TENSORS + 1))
    with pytest.raises(BundleError, match="at most"):
        pack(many)


def test_an_impossible_size_is_refused_in_one_line(bundle: Path) -> None:
    """PyTorch puts the frames of its own stack into the message; nobody can act on those."""
    described(bundle, lambda body: body["model"].update(hidden=2**31 - 1, embedding=2**31 - 1))
    described(bundle, lambda body: body["model"]["front"].update(parallel=2**31 - 1))
    with pytest.raises(BundleError, match=r"model\.json: no model can be built: ") as refused:
        Bundle.read(bundle)
    assert "\n" not in str(refused.value)
