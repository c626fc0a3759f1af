"""Rows for tests of techniques: literal steps as a chunk, and one technique run over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.ragged import Ragged, to_offsets
from seqprep.recipe import Prepare
from seqprep.splits import TRAIN
from seqprep.transforms import build_steps


def chunk_of(
    steps: list[Any], *, targets: list[Any] | None = None, dtype: Any = np.float32
) -> Chunk:
    """Training rows of literal steps: a number or a list of channels each.

    Args:
        steps: of each row; numbers stand for one channel, or with an integer type for tokens.
        targets: of each row's steps.
        dtype: of the steps.
    """
    zeros = np.zeros(len(steps), np.int64)
    return Chunk(
        steps=_ragged(steps, dtype, channels=np.issubdtype(dtype, np.floating)),
        targets=None if targets is None else _ragged(targets, None, channels=False),
        keys=ragged.row_keys(pa.array([f"r{n}" for n in range(len(steps))])),
        rows=np.arange(len(steps)),
        splits=np.full(len(steps), TRAIN, np.int8),
        views=zeros,
        windows=zeros,
    )


def _ragged(rows: list[Any], dtype: Any, *, channels: bool) -> Ragged:
    arrays = [np.array(row, dtype=dtype) for row in rows]
    widths = [array.shape[1] for array in arrays if array.ndim == 2]
    if channels and not widths:
        widths = [1]
    if widths:
        arrays = [array.reshape(-1, widths[0]) for array in arrays]
    return Ragged(np.concatenate(arrays), to_offsets([len(row) for row in rows]))


def applied(
    chunk: Chunk,
    *steps: dict[str, Any],
    rate_hz: float | None = None,
    strings: list[str] | None = None,
    seed: int = 0,
) -> Chunk:
    """The chunk after some techniques that need no ranks.

    Args:
        chunk: R rows.
        *steps: name and options of each.
        rate_hz: of the rows.
        strings: the text of their tokens.
        seed: of the recipe.
    """
    width = chunk.steps.values.shape[1] if strings is None else 0
    form = Form(unit="word") if strings else values_form(width, rate_hz)
    chain = Chain.of(build_steps(Prepare(steps=steps)), seed=seed, form=form)
    assert not chain.late
    texts = None if strings is None else pa.array(strings, pa.large_string())
    return chain.run(chunk, chain.early, strings=texts)


def values_form(width: int, rate_hz: float | None) -> Form:
    """Values of some channels."""
    names = tuple(f"c{number}" for number in range(width))
    return Form(unit="value", channels=names, rate_hz=rate_hz)


def rows_of(chunk: Chunk) -> list[npt.NDArray[Any]]:
    """The steps of each row."""
    return np.split(chunk.steps.values, chunk.steps.offsets[1:-1])


def targets_of(chunk: Chunk) -> list[list[Any]]:
    """The targets of each row."""
    assert chunk.targets is not None
    return ragged.to_lists(chunk.targets)
