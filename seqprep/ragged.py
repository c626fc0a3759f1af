"""Vectorised kernels on ragged arrays: the one place with index arithmetic.

A ragged array is a flat array of steps and the offsets of its rows. Every kernel is NumPy only, has
no Python loop over rows or steps, and draws its random numbers from (seed, key of the record, view),
so that the same record gives the same result in any order, on any worker, on any platform.

Legend: R rows, N steps of all rows together, F features of a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def string_bytes(strings: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of all strings, joined, and where each starts in its buffer, `(R + 1,)`.

    `raw` begins with the first string, so string r is `raw[o[r] - o[0]:o[r + 1] - o[0]]`.
    """
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    strings = strings.cast(pa.large_binary())
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
    lengths = np.diff(offsets)
    place = ranges(np.zeros(len(ids), dtype=np.int64), lengths)
    longest = int(lengths.max(initial=0))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(longest + 1, _BASE, dtype=np.uint64))
        terms = (raw.astype(np.uint64) + np.uint64(1)) * powers[place]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        edges = offsets - offsets[0]
        hashed = sums[edges[1:]] - sums[edges[:-1]]
    return mix(hashed, 0)


def _fold(keys: Keys, views: Ints | int) -> Keys:
    """Keys that also depend on the view, `(R,)`; view 0 and every other differ."""
    salt = np.broadcast_to(np.asarray(views, dtype=np.int64), keys.shape).astype(np.uint64)
    return mix(keys.astype(np.uint64) ^ mix(salt, 7), 0)


def draw_keys(keys: Keys, windows: Ints) -> Keys:
    """Keys from which rows of windows draw: those of window 0 are the record's own, `(R,)`."""
    folded = mix(keys.astype(np.uint64) ^ mix(windows.astype(np.uint64), 11), 0)
    return np.where(windows == 0, keys.astype(np.uint64), folded)


def integers(keys: Keys, limits: Ints, *salts: int) -> Ints:
    """A whole number in 0..limit for each key, each as likely, `(R,)`."""
    limits = np.asarray(limits, dtype=np.int64)
    return np.minimum((uniform(keys, *salts) * (limits + 1)).astype(np.int64), limits)


def span_index(offsets: Ints, starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """The flat index of P spans of each row, joined in order, and the new lengths of the rows.

    Args:
        offsets: `(R + 1,)` of the rows.
        starts: `(R, P)` in steps from the row's start; sizes: `(R, P)` in steps.

    >>> index, lengths = span_index(np.array([0, 3, 5]), np.array([[1], [0]]), np.array([[2], [1]]))
    >>> index.tolist(), lengths.tolist()
    ([1, 2, 3], [2, 1])
    """
    flat = (starts + offsets[:-1, None]).ravel()
    return ranges(flat, sizes.ravel()), sizes.sum(axis=1)


def cut_spans(lengths: Ints, *, length: int, keep: str, keys: Keys) -> tuple[Ints, Ints]:
    """The span or spans that truncation to `length` steps keeps, `(R, P)` starts and sizes.

    Args:
        lengths: `(R,)` steps.
        keep: `head`, `tail`, `middle`, `random` (one span) or `head_tail` (two; of an odd length
            the head has one step more).
        keys: `(R,)`, used by `random` only.
    """
    kept = np.minimum(lengths, length)
    spare = lengths - kept
    if keep == "head_tail":
        head = np.where(spare > 0, (kept + 1) // 2, kept)
        tail = kept - head
        return np.stack([np.zeros_like(head), lengths - tail], 1), np.stack([head, tail], 1)
    starts = {
        "head": lambda: np.zeros_like(spare),
        "tail": lambda: spare,
        "middle": lambda: spare // 2,
        "random": lambda: integers(keys, spare, 0),
    }[keep]()
    return starts[:, None], kept[:, None]


def piece_spans(
    lengths: Ints, *, pieces: int, piece: int, overlap: str, keys: Keys
) -> tuple[Ints, Ints]:
    """Random pieces of each row in the order in which they stand there, `(R, P)`.

    `forbid`: a placement of P disjoint pieces in T steps is a P-subset of T - P x piece + P places
    (each piece shrunk to one place), drawn by Floyd's algorithm, so every placement is as likely
    and none is rejected; a record with fewer steps than the total stays whole. `allow`: starts are
    drawn independently and sorted; a record of at most one piece's length stays whole.

    Source: Floyd's sampling, Bentley & Floyd 1987, doi:10.1145/30401.315746
    """
    rows = np.arange(len(lengths))
    if overlap == "allow":
        whole = lengths <= piece
        spare = np.maximum(lengths - piece, 0)
        draws = [integers(keys, spare, number) for number in range(pieces)]
        starts = np.sort(np.stack(draws, axis=1), axis=1)
    else:
        whole = lengths < pieces * piece
        places = np.maximum(lengths - pieces * piece, 0) + pieces
        chosen = np.full((len(rows), pieces), -1, dtype=np.int64)
        for number in range(pieces):
            last = places - pieces + number
            drawn = integers(keys, last, number)
            taken = (chosen[:, :number] == drawn[:, None]).any(axis=1)
            chosen[:, number] = np.where(taken, last, drawn)
        starts = np.sort(chosen, axis=1) + np.arange(pieces) * (piece - 1)
    sizes = np.full_like(starts, piece)
    first = np.arange(pieces) == 0
    starts = np.where(whole[:, None], 0, starts)
    return starts, np.where(whole[:, None], np.where(first, lengths[:, None], 0), sizes)


def shift_spans(lengths: Ints, *, most: int, stride: int, keys: Keys) -> tuple[Ints, Ints]:
    """Rows without a random 0..most steps at the head, a multiple of `stride`; one step stays."""
    limit = np.clip(lengths - 1, 0, most) // stride
    drop = integers(keys, limit, 0) * stride
    return drop[:, None], (lengths - drop)[:, None]


def thin_index(offsets: Ints, *, length: int, keys: Keys) -> tuple[Ints, Ints]:
    """Flat index of `length` random steps of each row in their order, and the new lengths."""
    lengths = np.diff(offsets)
    index, row = ranges(offsets[:-1], lengths), np.repeat(np.arange(len(lengths)), lengths)
    place = (index - offsets[:-1][row]).astype(np.uint64)
    order = np.lexsort((mix(keys[row] ^ mix(place, 3), 0), row))
    kept = np.minimum(lengths, length)
    chosen = order[ranges(to_offsets(lengths)[:-1], kept)]
    return np.sort(index[chosen]), kept


def reverse_index(offsets: Ints, rows: npt.NDArray[np.bool_]) -> Ints:
    """Flat index that reverses the marked rows and leaves the others."""
    lengths = np.diff(offsets)
    index, row = ranges(offsets[:-1], lengths), np.repeat(np.arange(len(lengths)), lengths)
    mirrored = (offsets[:-1] + offsets[1:] - 1)[row] - index
    return np.where(rows[row], mirrored, index)


def _spans(lengths: Ints, step: Mapping[str, Any], keys: Keys) -> tuple[Ints, Ints] | None:
    match step["name"]:
        case "truncate":
            return cut_spans(lengths, length=step["length"], keep=step["keep"], keys=keys)
        case "subsequences":
            return piece_spans(
                lengths,
                pieces=step["pieces"],
                piece=step["piece"],
                overlap=step["overlap"],
                keys=keys,
            )
        case "shift":
            return shift_spans(lengths, most=step["max"], stride=step["stride"], keys=keys)
        case "remove_steps" | "reverse_complement":
            return None
        case name:
            raise ValueError(f"no kernel for step {name!r}")


def _step_keys(step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int) -> Keys:
    return mix(_fold(keys, view), seed, step["position"])


def mirrored_rows(
    step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> npt.NDArray[np.bool_]:
    """Which rows a `reverse_complement` step turns round: each with probability `p`, `(R,)`."""
    return uniform(_step_keys(step, keys, seed=seed, view=view), 0) < step["p"]


def view_index(
    offsets: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> tuple[Ints, Ints]:
    """Flat index of the steps that one step of a chain selects, and the new lengths.

    Steps and per-step targets of the same rows are selected by the same index.

    Args:
        offsets: `(R + 1,)` of the rows.
        step: its `name`, its `position` in the chain, and its options.
        keys: `(R,)`, see `row_keys` and `draw_keys`.
        seed: of the recipe. view: number of the view, one or `(R,)`; on the fly: of the epoch.
    """
    drawn = _step_keys(step, keys, seed=seed, view=view)
    spans = _spans(np.diff(offsets), step, drawn)
    if spans is not None:
        return span_index(offsets, *spans)
    if step["name"] == "remove_steps":
        return thin_index(offsets, length=step["length"], keys=drawn)
    turned = mirrored_rows(step, keys, seed=seed, view=view)
    return reverse_index(offsets, turned), np.diff(offsets)


def view_lengths(
    lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ints:
    """Lengths of the rows after the step, without touching any row, `(R,)`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    spans = _spans(lengths, step, _step_keys(step, keys, seed=seed, view=view))
    if spans is not None:
        return spans[1].sum(axis=1)
    if step["name"] == "remove_steps":
        return np.minimum(lengths, step["length"])
    return lengths


def apply_view(
    ragged: Ragged, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ragged:
    """The rows after one step of a chain: what is stored as a view, or drawn for an epoch.

    Args:
        ragged: tokens `(N,)` or values `(N, F)`.
        step, keys, seed, view: as for `view_index`. `reverse_complement` also needs `complement`:
            the id of each id's complement.

    >>> step = {"name": "truncate", "position": 0, "length": 2, "keep": "tail"}
    >>> rows = from_lists([[1, 2, 3], [4]])
    >>> to_lists(apply_view(rows, step, np.zeros(2, np.uint64), seed=0, view=0))
    [[2, 3], [4]]
    """
    index, lengths = view_index(ragged.offsets, step, keys, seed=seed, view=view)
    values = ragged.values[index]
    if step["name"] == "reverse_complement":
        turned = np.repeat(mirrored_rows(step, keys, seed=seed, view=view), lengths)
        complement = np.asarray(step["complement"], dtype=ragged.values.dtype)
        values = np.where(turned, complement[values], values)
    return Ragged(values, to_offsets(lengths))


def keep_index(offsets: Ints, keep: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Flat index of the marked steps of each row, and the new lengths.

    >>> index, lengths = keep_index(np.array([0, 2, 4]), np.array([True, False, True, True]))
    >>> index.tolist(), lengths.tolist()
    ([0, 2, 3], [1, 2])
    """
    index = np.flatnonzero(keep)
    return index, np.diff(np.searchsorted(index, offsets))


def first_occurrences(ragged: Ragged) -> npt.NDArray[np.bool_]:
    """Marks the first step of each value in each row of tokens, `(N,)`."""
    row = np.repeat(np.arange(len(ragged)), ragged.lengths)
    order = np.lexsort((ragged.values, row))
    row_sorted, value_sorted = row[order], ragged.values[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (row_sorted[1:] != row_sorted[:-1]) | (value_sorted[1:] != value_sorted[:-1])
    marks = np.zeros(len(order), dtype=bool)
    marks[order[first]] = True
    return marks


def concat(parts: list[Ragged]) -> Ragged:
    """The rows of several ragged arrays, one after the other.

    >>> to_lists(concat([from_lists([[1, 2]]), from_lists([[], [3]])]))
    [[1, 2], [], [3]]
    """
    lengths = np.concatenate([part.lengths for part in parts])
    values = [part.values[int(part.offsets[0]) : int(part.offsets[-1])] for part in parts]
    return Ragged(np.concatenate(values), to_offsets(lengths))


def fill_empty(ragged: Ragged, value: float) -> Ragged:
    """Rows without steps get one step of `value`.

    >>> to_lists(fill_empty(from_lists([[], [2, 3], []]), 1))
    [[1], [2, 3], [1]]
    """
    lengths = ragged.lengths
    offsets = to_offsets(np.maximum(lengths, 1))
    values = np.full((int(offsets[-1]), *ragged.values.shape[1:]), value, ragged.values.dtype)
    source = ranges(ragged.offsets[:-1], lengths)
    values[ranges(offsets[:-1], lengths)] = ragged.values[source]
    return Ragged(values, offsets)
