"""The longest open reading frame of each row of bases, on flat arrays.

A frame begins with ATG and ends before the next stop codon in phase, or where the row ends. Use it
on DNA whose protein may tell the class. Not for bacteria alone, which also begin with GTG and TTG:
these do not count here.

Source: standard genetic code, https://www.ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi (table 1)
Legend: R rows, N bases of all rows, M lanes (three phases of each row), K codons of all lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep import ragged
from seqprep.ragged import Ints, Ragged, ranges, to_offsets

UNKNOWN = 4
"""A base that is not known; the others are 0 A, 1 C, 2 G and 3 T."""
CODONS = 64
"""Codons, numbered in base 4; this number is one that holds an unknown base."""
_START, _STOPS = 14, (48, 50, 56)
"""ATG; TAA, TAG and TGA."""


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """The longest frame of each row; of equally long ones that of the first phase, then place.

    Args:
        starts: `(R,)` the base at which it begins; 0 where there is none.
        codons: R rows of its codons, without the stop.
        runs: `(R,)` codons of the longest stretch without a stop codon, begun anywhere in phase.
    """

    starts: Ints
    codons: Ragged
    runs: Ints

    def longer(self, other: OpenFrames) -> OpenFrames:
        """Row by row the longer of two frames; this one's where they are equal."""
        count = len(self.codons)
        theirs = other.codons.lengths > self.codons.lengths
        both = ragged.concat([self.codons, other.codons])
        return OpenFrames(
            np.where(theirs, other.starts, self.starts),
            ragged.take(both, np.arange(count) + count * theirs),
            np.maximum(self.runs, other.runs),
        )


def longest_frames(bases: Ragged) -> OpenFrames:
    """The longest open reading frame of each row, on the strand that is given.

    Args:
        bases: R rows of 0 to 3, or UNKNOWN.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> rows = from_lists([["ACGT".index(base) for base in "CATGCCCTAGATG"]])
    >>> found = longest_frames(rows)
    >>> found.starts.tolist(), to_lists(found.codons), found.runs.tolist()
    ([1], [[14, 21]], [4])
    """
    lanes, codes = _lanes(bases)
    stops = np.flatnonzero(np.isin(codes, _STOPS))
    begins, sizes = _frames(lanes, codes, stops)
    lane = _lane_of(begins, lanes)
    order = np.lexsort((begins, -sizes, lane // 3))
    best = order[np.flatnonzero(np.diff(lane[order] // 3, prepend=-1))]
    rows, begins, lane = lane[best] // 3, begins[best], lane[best]
    starts, lengths = np.zeros((2, len(bases)), np.int64)
    starts[rows] = lane % 3 + 3 * (begins - lanes[lane])
    lengths[rows] = sizes[best]
    codons = codes[ranges(begins, sizes[best])]
    return OpenFrames(starts, Ragged(codons, to_offsets(lengths)), _runs(lanes, stops))


def other_strand(bases: Ragged) -> Ragged:
    """Each row's reverse complement.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> to_lists(other_strand(from_lists([[0, 0, 1, 4], [2]])))
    [[4, 2, 3, 3], [1]]
    """
    values = bases.values
    turned = np.where(values == UNKNOWN, UNKNOWN, 3 - values).astype(values.dtype)
    every = np.ones(len(bases), dtype=bool)
    return Ragged(ragged.turn_rows(turned, bases.offsets, every), bases.offsets)


def _lanes(bases: Ragged) -> tuple[Ints, npt.NDArray[Any]]:
    """Codons of the three phases of each row, lane after lane: offsets `(M + 1,)`, codes `(K,)`."""
    phases = np.arange(3)
    counts = np.maximum(bases.lengths[:, None] - phases, 0).ravel() // 3
    lanes = to_offsets(counts)
    first = (bases.offsets[:-1, None] + phases).ravel() - 3 * lanes[:-1]
    place = np.repeat(first, counts) + 3 * np.arange(lanes[-1])
    values = bases.values.astype(np.uint8)
    code = np.zeros(len(values), np.uint8)
    end = max(len(values) - 2, 0)
    code[:end] = values[:end] * 16 + values[1 : end + 1] * 4 + values[2:]
    unknown = np.flatnonzero(values == UNKNOWN)
    for back in range(3):
        code[np.maximum(unknown - back, 0)] = CODONS
    return lanes, code[place]


def _frames(lanes: Ints, codes: npt.NDArray[Any], stops: Ints) -> tuple[Ints, Ints]:
    """All frames that begin with the first ATG after a stop: begin and codons of each."""
    ends = np.sort(np.concatenate([stops, lanes[1:]]))
    starts = np.flatnonzero(codes == _START)
    # A lane's end is the next one's beginning, and no start is a stop: those to the right count.
    end = np.searchsorted(ends, starts, side="right")
    first = np.flatnonzero(np.diff(end, prepend=-1))
    return starts[first], ends[end[first]] - starts[first]


def _runs(lanes: Ints, stops: Ints) -> Ints:
    """Codons of the longest stretch without a stop in each row, `(R,)`."""
    begins = np.sort(np.concatenate([stops + 1, lanes[:-1]]))
    ends = np.sort(np.concatenate([stops, lanes[1:]]))
    longest = np.zeros(len(lanes) // 3, np.int64)
    # As many ends as beginnings, in turn: a stop at a lane's end begins an empty stretch there.
    np.maximum.at(
        longest, np.minimum(_lane_of(begins, lanes) // 3, len(longest) - 1), ends - begins
    )
    return longest


def _lane_of(places: Ints, lanes: Ints) -> Ints:
    return np.searchsorted(lanes, places, side="right") - 1
