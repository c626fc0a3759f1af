"""The change against each of the previous n steps as n features (P16).

Use it where a level says nothing and changes tell, as with prices; the reference task takes
n = 128. Not to shorten: a step takes n times the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqprep import ragged
from seqprep.kernels import ranges, to_offsets
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.ragged import Ints, Ragged
from seqprep.transforms.options import FixedStep, check_at_least, check_choice

_BLOCK_BYTES = 2**20
"""Differences of so many bytes are worked on at a time, so that they stay in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences(FixedStep):
    """x_t - x_(t-i) for i = 1..n, of each channel: n features a channel, named `channel -i`.

    Args:
        n: how many previous steps.
        first: what the first n steps of a row are compared with, which lack some: `keep`: the row's
            first step; `drop`: they go, with their targets, and a row of n steps or fewer is left
            empty.

    >>> form = Form(unit="value", channels=("price",))
    >>> Differences(n=2).outcome(form).channels
    ('price -1', 'price -2')
    """

    name: ClassVar[str] = "differences"
    kind: ClassVar[Kind] = "maps"
    units: ClassVar[tuple[Unit, ...]] = ("value",)

    n: int = 128
    first: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        check_at_least(self.name, "n", self.n, 1, "step")
        check_choice(self.name, "first", self.first, ("keep", "drop"))

    def outcome(self, form: Form) -> Form:
        """N features for each channel."""
        names = (f"{channel} -{i}" for channel in form.channels for i in range(1, self.n + 1))
        return replace(form, channels=tuple(names))

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Compare the steps of every row."""
        dropped = np.minimum(chunk.lengths, self.n if self.first == "drop" else 0)
        kept = (chunk.lengths - dropped)[:, None]
        return replace(
            chunk,
            steps=differences(chunk.steps, dropped, n=self.n),
            targets=chunk.targets and ragged.cut(chunk.targets, dropped[:, None], kept),
        )


def differences(rows: Ragged, dropped: Ints, *, n: int) -> Ragged:
    """The change against each of the n steps before, `(M, F x n)`, channel by channel.

    Args:
        rows: `(N, F)` float.
        dropped: `(R,)` steps at each row's head that are left out of the result.
        n: how many steps before.
    """
    lengths, width = rows.lengths, rows.values.shape[1]
    if not lengths.any():
        return Ragged(np.empty((0, width * n), dtype=np.float32), np.zeros_like(rows.offsets))
    # Before each row its first step n times, so that every window lies in one row.
    padded = to_offsets(lengths + np.where(lengths > 0, n, 0))
    source = np.repeat(rows.offsets[:-1], np.diff(padded))
    place = ranges(np.full_like(lengths, -n), np.diff(padded))
    source += np.maximum(place, 0)
    windows = np.lib.stride_tricks.sliding_window_view(rows.values[source], n + 1, axis=0)
    first = ranges(padded[:-1] + dropped, lengths - dropped)  # of the window that ends at a step
    result = np.empty((len(first), width, n), dtype=np.float32)
    _fill(result, windows, first)
    return Ragged(result.reshape(len(first), width * n), to_offsets(lengths - dropped))


def _fill(result: npt.NDArray[np.float32], windows: npt.NDArray[np.generic], first: Ints) -> None:
    _, width, n = result.shape
    block = max(_BLOCK_BYTES // (4 * width * n), 1)
    for start in range(0, len(first), block):
        window = windows[first[start : start + block]]
        np.subtract(window[..., n:], window[..., -2::-1], out=result[start : start + block])
