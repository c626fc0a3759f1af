"""Random numbers that follow from keys alone: the same on every machine, in any order of rows.

A record's key is the hash of its id, and every draw mixes it with salts (seed, view, position), so
no generator has a state and no row depends on another. Needs only numpy and pyarrow.

Legend: R rows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.arrays import as_array

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BASE = np.uint64(0x100000001B3)
_BLOCK = 2**16
"""Bytes of strings that are hashed at a time: each takes some forty bytes meanwhile."""


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


def string_bytes(strings: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of all strings, joined, and where each starts in its buffer, `(R + 1,)`.

    `raw` begins with the first string, so string r is `raw[o[r] - o[0]:o[r + 1] - o[0]]`.
    """
    strings = as_array(strings).cast(pa.large_binary())
    if len(strings) == 0:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(strings.buffers()[1], dtype=np.int64)
    offsets = offsets[strings.offset : strings.offset + len(strings) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    if first == last:
        return np.empty(0, np.uint8), offsets
    return np.frombuffer(strings.buffers()[2], dtype=np.uint8)[first:last], offsets


def row_keys(ids: pa.Array | pa.ChunkedArray) -> Keys:
    """A 64-bit hash of each string, the same on every machine, `(R,)`.

    >>> keys = row_keys(pa.array(["a", "b", "a"]))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    raw, offsets = string_bytes(ids)
    edges = offsets - offsets[0]
    hashed = np.empty(len(edges) - 1, dtype=np.uint64)
    cuts = np.flatnonzero(np.diff(edges[1:] // _BLOCK)) + 1
    for start, stop in pairwise([0, *cuts.tolist(), len(hashed)]):
        block = raw[int(edges[start]) : int(edges[stop])]
        hashed[start:stop] = _sums(block, edges[start : stop + 1] - edges[start])
    return mix(hashed, 0)


def _sums(raw: npt.NDArray[np.uint8], edges: Ints) -> Keys:
    """A polynomial of the bytes of each string; edges `(R + 1,)`."""
    lengths = np.diff(edges)
    place = np.arange(len(raw)) - np.repeat(edges[:-1], lengths)
    longest = int(lengths.max(initial=0))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(longest + 1, _BASE, dtype=np.uint64))
        terms = (raw.astype(np.uint64) + np.uint64(1)) * powers[place]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        return sums[edges[1:]] - sums[edges[:-1]]


def draw_keys(keys: Keys, windows: Ints) -> Keys:
    """Keys from which rows of windows draw: those of window 0 are the record's own, `(R,)`."""
    folded = mix(keys.astype(np.uint64) ^ mix(windows.astype(np.uint64), 11), 0)
    return np.where(windows == 0, keys.astype(np.uint64), folded)


def integers(keys: Keys, limits: Ints, *salts: int) -> Ints:
    """A whole number in 0..limit for each key, each as likely, `(R,)`."""
    limits = np.asarray(limits, dtype=np.int64)
    return np.minimum((uniform(keys, *salts) * (limits + 1)).astype(np.int64), limits)
