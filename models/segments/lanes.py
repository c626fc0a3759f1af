"""Lanes: which steps of which records each update of truncated backpropagation reads.

A lane reads one record after the other and consumes the same number of steps in every update. A
record that ends leaves its lane alone: the rest of the update's steps go to the records that are
next in the queue, however many fit. What a lane reads of one record in one update is a piece, and
pieces are rows of their own, so no state crosses from a record to the next. All of it follows from
numbers: lengths, the order of the queue, and where the lanes stand. Needs only numpy.

Legend: R records, B lanes, P pieces.
Source: Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490, for truncation with k1 and k2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.ragged import Ints, to_offsets

_NONE = -1


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where the lanes stand between two updates.

    Args:
        rows: `(B,)` the record of each lane, -1 for none.
        offsets: `(B,)` its steps that were read.
        handed_out: records of the queue that were begun.
    """

    rows: Ints
    offsets: Ints
    handed_out: int = 0

    @classmethod
    def empty(cls, count: int) -> Lanes:
        """So many lanes before the first update."""
        return cls(np.full(count, _NONE, np.int64), np.zeros(count, np.int64))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Lanes:
        """What `to_json` gave."""
        rows, offsets = (np.asarray(fields[name], np.int64) for name in ("rows", "offsets"))
        return cls(rows, offsets, int(fields["handed_out"]))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rows": self.rows.tolist(),
            "offsets": self.offsets.tolist(),
            "handed_out": self.handed_out,
        }


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the lanes read in one update: steps `start` up to `stop` of records.

    Args:
        lanes: `(P,)` the lane of each piece; at most one of a lane goes on from the last update,
            and at most one goes on in the next.
        rows: `(P,)` its record. starts, stops: `(P,)` in steps of the record.
        ends: `(P,)` whether it holds the record's last step.
    """

    lanes: Ints
    rows: Ints
    starts: Ints
    stops: Ints
    ends: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> Ints:
        """Steps of each piece, `(P,)`."""
        return self.stops - self.starts

    def take(self, which: Ints) -> Pieces:
        """The named pieces, in that order."""
        return Pieces(
            self.lanes[which],
            self.rows[which],
            self.starts[which],
            self.stops[which],
            self.ends[which],
        )


@dataclass(frozen=True, slots=True)
class Queue:
    """Records in the order in which they are handed out.

    Args:
        rows: `(R,)`. offsets: `(R + 1,)` of their steps, one record after the other.
    """

    rows: Ints
    offsets: Ints

    @classmethod
    def of(cls, rows: Ints, lengths: Ints, draws: npt.NDArray[np.float64]) -> Queue:
        """In the order of random numbers, but the longest tenth before the others.

        A long record that is begun last would be read alone at the end, by one lane.

        Args:
            rows: `(R,)` numbers of the records.
            lengths: `(R,)` steps of each, >= 1.
            draws: `(R,)`, one number a record.

        >>> Queue.of(np.arange(3), np.array([5, 9, 2]), np.array([0.3, 0.2, 0.1])).rows.tolist()
        [1, 2, 0]
        """
        later = np.ones(len(rows), dtype=bool)
        later[np.lexsort((draws, -lengths))[: -(-len(rows) // 10)]] = False
        order = np.lexsort((draws, later))
        return cls(rows[order], to_offsets(lengths[order]))


def count_lanes(steps: int, *, batch_tokens: int, max_rows: int | None, rows: int) -> int:
    """The number of lanes, at least 1.

    Args:
        steps: that a lane consumes in an update.
        batch_tokens: that all of them may consume.
        max_rows: most lanes; None for no such limit.
        rows: records; more lanes would stand still.
    """
    return max(1, min(batch_tokens // steps, rows, rows if max_rows is None else max_rows))


def advance(lanes: Lanes, queue: Queue, *, lengths: Ints, steps: int) -> tuple[Pieces, Lanes]:
    """One update.

    Args:
        lanes: where they stand.
        queue: what is handed out.
        lengths: of each record, by its number.
        steps: that each lane consumes, as long as the queue lasts.

    Returns:
        The pieces, and where the lanes stand afterwards. No pieces: nothing is left.

    >>> lengths = np.array([5, 2, 3])
    >>> queue = Queue(np.array([0, 1, 2]), np.array([0, 5, 7, 10]))
    >>> pieces, lanes = advance(Lanes.empty(1), queue, lengths=lengths, steps=6)
    >>> pieces.rows.tolist(), pieces.starts.tolist(), pieces.stops.tolist(), lanes.offsets.tolist()
    ([0, 1], [0, 0], [5, 1], [1])
    """
    rows, offsets, place = lanes.rows.copy(), lanes.offsets.copy(), lanes.handed_out
    busy = np.flatnonzero(rows != _NONE)
    taken = np.minimum(lengths[rows[busy]] - offsets[busy], steps)
    parts = [(busy, rows[busy], offsets[busy], offsets[busy] + taken)]
    room = np.full(len(rows), steps, np.int64)
    room[busy] -= taken
    offsets[busy] += taken
    for lane in np.flatnonzero(room).tolist():
        first, start = place, queue.offsets[place]
        place = int(np.searchsorted(queue.offsets[:-1], start + room[lane], side="left"))
        begun = queue.rows[first:place]
        if not len(begun):
            continue
        sizes = np.minimum(lengths[begun], start + room[lane] - queue.offsets[first:place])
        parts.append((np.full(len(begun), lane), begun, np.zeros_like(begun), sizes))
        rows[lane], offsets[lane] = begun[-1], sizes[-1]
    of_lanes, of_rows, starts, stops = (np.concatenate(part) for part in zip(*parts, strict=True))
    pieces = Pieces(of_lanes, of_rows, starts, stops, stops == lengths[of_rows])
    rows[(rows != _NONE) & (offsets == lengths[rows])] = _NONE
    offsets[rows == _NONE] = 0
    return pieces, Lanes(rows, offsets, place)
