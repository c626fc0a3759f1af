"""The updates of an epoch in lanes, with the steps that they read.

A round is one update. Its pieces are read in at most two passes: one without gradient, of pieces
that have no loss yet, and one with it. Lanes live inside a window of shards: at its end they run
empty, and the next begins afresh. Needs only numpy and pyarrow.

Legend: P pieces, N blocks, R records of the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.segments.lanes import Lanes, Queue, advance
from models.segments.reading import Cut, Reading, computed_steps
from seqprep.batches import BatchSource
from seqprep.examples import Array, Examples
from seqprep.ragged import Ints, Ragged, copy_spans, to_offsets, uniform

_QUEUE = 5
"""Salt of the queue's order; those of batches are lower."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where an epoch stands between two rounds: what a checkpoint keeps.

    Args:
        window: number of the window of shards.
        lanes: in it.
    """

    window: int
    lanes: Lanes

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Position:
        """What `to_json` gave."""
        return cls(int(fields["window"]), Lanes.from_json(fields["lanes"]))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"window": self.window, "lanes": self.lanes.to_json()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """Pieces that are read together, the longest first.

    Args:
        lanes: `(P,)`. fresh: `(P,)` whether each is read from its record's start.
        sizes: `(P,)` steps that are read. context: `(P,)` the first of them, without a loss.
        marks: `(P,)` steps after which the state is kept, -1 for never.
        edges: `(N + 1,)` blocks of steps.
        inputs: the steps, P rows. targets: P rows from the context's end on.
        labels: `(P,)`. weights: `(P,)` of the label's loss; None: all 1.
        has_loss: whether they have one.
    """

    lanes: Ints
    fresh: npt.NDArray[np.bool_]
    sizes: Ints
    context: Ints
    marks: Ints
    edges: Ints
    inputs: Ragged
    targets: Ragged | None
    labels: Array | None
    weights: npt.NDArray[np.float64] | None
    has_loss: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One update of all processes, with the pieces of this one.

    Args:
        held: ids of all records at hand. places: which of them all processes read.
        passes: of this process.
        has_loss: whether any piece of any process has a loss.
        handing_out: whether records were left in the queue when it began.
        total_steps: steps that all processes read for the first time. context_steps: those that
            they read again, for the gradient to reach back. computed: both, with padding.
        consumed: steps that the lanes went on; the sum over an epoch is that of `total_steps`.
        divisor: of the sum of its losses; None: their own count. Where every piece of a record has
            its label's loss, by the share of its steps, it is the weight that full lanes read on
            average, the same in all rounds of an epoch, so that each record weighs as much as any
            other, however many lanes still read when it ends.
        after: where the epoch stands then.
    """

    held: pa.Array
    places: Ints
    passes: tuple[Pass, ...]
    has_loss: bool
    handing_out: bool
    total_steps: int
    context_steps: int
    computed: int
    consumed: int
    divisor: float | None
    after: Position

    @property
    def ids(self) -> pa.Array:
        """Of the records that all processes read; taken when asked for."""
        return self.held.take(pa.array(self.places))


class Rounds:
    """The rounds of one epoch of a split: a pure function of snapshot, seed, epoch and settings.

    Args:
        source: of the split.
        epoch: from 0.
        cut: how records are cut.
        lanes: how many.
    """

    def __init__(self, source: BatchSource, epoch: int, *, cut: Cut, lanes: int) -> None:
        self.source, self.epoch, self.cut, self.lanes = source, epoch, cut, lanes
        self.lengths = source.lengths_of(epoch)
        self.windows = source.windows(epoch)

    def __len__(self) -> int:
        """How many rounds there are."""
        return self._counts[0]

    @property
    def learning(self) -> int:
        """How many of them have a loss."""
        return self._counts[1]

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """Rounds, and those with a loss: the lanes of all windows run through on lengths alone."""
        plan, rounds, learning = self.source.plan(self.epoch), 0, 0
        of_rows = np.repeat(plan.window, np.diff(plan.edges))
        for window in range(len(self.windows)):
            queue = self._queue(np.sort(plan.order[of_rows == window]))
            lanes = Lanes.empty(self.lanes)
            while True:
                pieces, lanes = advance(lanes, queue, lengths=self.lengths, steps=self.cut.steps)
                if not len(pieces):
                    break
                rounds += 1
                learning += self.cut.every or bool(pieces.ends.any())
        return rounds, learning

    @property
    def full_weight(self) -> float:
        """The weight of what full lanes read, on average: records over rounds without a drain."""
        room = self.cut.steps * self.lanes
        return len(self.lengths) / max(1.0, int(self.lengths.sum()) / room)

    def start(self) -> Position:
        """Where the epoch begins."""
        return Position(0, Lanes.empty(self.lanes))

    def read(self, position: Position, *, rank: int = 0, world: int = 1) -> Iterator[Round]:
        """The rounds from a position on; going on reads one window, wherever it stands.

        Args:
            position: `start`, or `after` of a round.
            rank: this process; it reads every world-th lane.
            world: number of processes.
        """
        while position.window < len(self.windows):
            examples, rows = self.source.window(self.windows[position.window], self.epoch)
            queue = self._queue(rows)
            while True:
                pieces, lanes = advance(
                    position.lanes, queue, lengths=self.lengths, steps=self.cut.steps
                )
                if not len(pieces):
                    break
                handing_out = position.lanes.handed_out < len(rows)
                position = Position(position.window, lanes)
                place = np.searchsorted(rows, pieces.rows)  # the rows of a window rise
                readings = [
                    Reading.of(pieces.take(np.flatnonzero(pieces.lanes % world == r)), self.cut)
                    for r in range(world)
                ]
                again = sum(int(reading.read_again.sum()) for reading in readings)
                yield Round(
                    held=examples.ids,
                    places=place,
                    passes=self._passes(readings[rank], examples, rows),
                    has_loss=any(bool(reading.has_loss.any()) for reading in readings),
                    handing_out=handing_out,
                    total_steps=sum(int(reading.sizes.sum()) for reading in readings) - again,
                    context_steps=again,
                    computed=sum(map(computed_steps, readings)),
                    consumed=int(pieces.sizes.sum()),
                    divisor=self.full_weight if self._weighs(examples) else None,
                    after=position,
                )
            position = Position(position.window + 1, self.start().lanes)

    def _queue(self, rows: Ints) -> Queue:
        source = self.source
        keys = rows.astype(np.uint64)
        draws = uniform(keys, source.salt, source.settings.seed, self.epoch, _QUEUE)
        return Queue.of(rows, self.lengths[rows], draws)

    def _weighs(self, examples: Examples) -> bool:
        """Whether each piece has the loss of its record's label, by its share of the record."""
        return self.cut.every and examples.labels is not None

    def _passes(self, reading: Reading, examples: Examples, rows: Ints) -> tuple[Pass, ...]:
        """The steps of the pieces of one process, gathered from a window."""
        found = []
        for which, edges in reading.passes():
            pieces, sizes = reading.pieces.take(which), reading.sizes[which]
            place = np.searchsorted(rows, pieces.rows)
            has_loss = bool(reading.has_loss[which[0]])
            weights = targets = None
            if self._weighs(examples):
                weights = pieces.sizes / self.lengths[pieces.rows]
            if examples.targets is not None:
                targets = _spans(examples.targets, place, pieces.starts, pieces.sizes)
            found.append(
                Pass(
                    lanes=pieces.lanes,
                    fresh=reading.anchors[which] == 0,
                    sizes=sizes,
                    context=reading.context[which],
                    marks=reading.marks[which],
                    edges=edges,
                    inputs=_spans(examples.inputs, place, reading.anchors[which], sizes),
                    targets=targets,
                    labels=None if examples.labels is None else examples.labels[place],
                    weights=weights,
                    has_loss=has_loss,
                )
            )
        return tuple(found)


def _spans(rows: Ragged, which: Ints, starts: Ints, sizes: Ints) -> Ragged:
    """Some steps of some rows."""
    flat = rows.offsets[which] + starts
    return Ragged(copy_spans(rows.values, flat, sizes), to_offsets(sizes))
