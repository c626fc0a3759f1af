"""Vectorised kernels on ragged arrays: the one place with index arithmetic.

A ragged array is a flat array of steps and the offsets of its rows. Every kernel is NumPy only, has no
Python loop over rows or steps, and draws its random numbers from (seed, key of the record, view), so
that the same record gives the same result in any order, on any worker, on any platform.

Legend: R rows, N steps of all rows together, F features of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """R rows of steps, one after the other.

    Args:
        values: `(N,)` for tokens or `(N, F)` for values.
        offsets: `(R + 1,)` int64; row r is `values[offsets[r]:offsets[r + 1]]`.
    """

    values: npt.NDArray[np.generic]
    offsets: Ints

    @property
    def lengths(self) -> Ints:
        """Steps of each row, `(R,)`."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def from_lists(rows: list[list[int]]) -> Ragged:
    """A ragged array of int64 from literal lists, for examples and tests.

    >>> from_lists([[1, 2, 3], [], [4]]).offsets.tolist()
    [0, 3, 3, 4]
    """
    flat = [value for row in rows for value in row]
    return Ragged(np.asarray(flat, dtype=np.int64), to_offsets([len(row) for row in rows]))


def to_lists(ragged: Ragged) -> list[list[int]]:
    """Literal lists of a ragged array, for examples and tests."""
    edges = ragged.offsets.tolist()
    flat = ragged.values.tolist()
    return [flat[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]


def to_offsets(lengths: npt.ArrayLike) -> Ints:
    """Offsets `(R + 1,)` of rows with these lengths `(R,)`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The numbers `start, start + 1, ...` of each range, joined.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = to_offsets(lengths)
    index = np.arange(offsets[-1], dtype=np.int64)
    index += np.repeat(np.asarray(starts, dtype=np.int64) - offsets[:-1], lengths)
    return index


def take(ragged: Ragged, rows: Ints) -> Ragged:
    """The named rows, in that order.

    >>> to_lists(take(from_lists([[1, 2], [3], [4, 5]]), np.array([2, 0])))
    [[4, 5], [1, 2]]
    """
    starts = ragged.offsets[rows]
    lengths = ragged.offsets[rows + 1] - starts
    return Ragged(ragged.values[ranges(starts, lengths)], to_offsets(lengths))


def pad(ragged: Ragged, *, fill: float = 0) -> npt.NDArray[np.generic]:
    """A dense array `(R, longest)` or `(R, longest, F)`; places after a row's end hold `fill`.

    >>> pad(from_lists([[1, 2], [3]])).tolist()
    [[1, 2], [3, 0]]
    """
    lengths = ragged.lengths
    longest = int(lengths.max(initial=0))
    dense = np.full(
        (len(ragged), longest, *ragged.values.shape[1:]), fill, dtype=ragged.values.dtype
    )
    dense[np.arange(longest) < lengths[:, None]] = ragged.values[
        int(ragged.offsets[0]) : int(ragged.offsets[-1])
    ]
    return dense


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BASE = np.uint64(0x100000001B3)


def mix(keys: Keys, *salts: int) -> Keys:
    """Hash 64-bit keys with salts, each result as good as random.

    Source: the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195).
    """
    state = keys.astype(np.uint64, copy=True)
    for salt in (*salts, 0):
        state += np.uint64((salt * int(_GOLDEN) + int(_GOLDEN)) % 2**64)
        state ^= state >> np.uint64(30)
        state *= _MIX_1
        state ^= state >> np.uint64(27)
        state *= _MIX_2
        state ^= state >> np.uint64(31)
    return state


def uniform(keys: Keys, *salts: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each key, given the salts (seed, view, draw ...)."""
    return (mix(keys, *salts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def row_keys(ids: pa.Array | pa.ChunkedArray) -> Keys:
    """A 64-bit hash of each string, the same on every machine, `(R,)`.

    >>> keys = row_keys(pa.array(["a", "b", "a"]))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    ids = ids.cast(pa.large_binary())
    offsets = np.frombuffer(ids.buffers()[1], dtype=np.int64)[
        ids.offset : ids.offset + len(ids) + 1
    ]
    first, last = (int(offsets[0]), int(offsets[-1])) if len(ids) else (0, 0)
    data = ids.buffers()[2]
    raw = np.frombuffer(data, dtype=np.uint8)[first:last] if last > first else np.empty(0, np.uint8)
    lengths = np.diff(offsets)
    place = ranges(np.zeros(len(ids), dtype=np.int64), lengths)
    longest = int(lengths.max(initial=0))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(longest + 1, _BASE, dtype=np.uint64))
        terms = (raw.astype(np.uint64) + np.uint64(1)) * powers[place]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        edges = offsets - first
        hashed = sums[edges[1:]] - sums[edges[:-1]]
    return mix(hashed, 0)
