"""What an update reads of its pieces, and in which blocks of steps.

With more steps of gradient than between updates, k2 > k1, a piece is read from its anchor, k2 - k1
steps before it begins, where the state was kept. A piece without a loss needs no gradient and is
read up to the next anchor only. Pieces that are read together start together and leave where they
end; time is cut into blocks whose rows are nearly all real. Needs only numpy.

Legend: P pieces, N blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.segments.lanes import Pieces
from seqprep.ragged import Ints

PADDING = 0.02
"""Share of the computed steps that may be padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """How records are cut.

    Args:
        steps: between updates, k1.
        gradient: steps of gradient, k2 >= k1.
        every: whether every piece has a loss, or only the one that ends its record.
    """

    steps: int
    gradient: int
    every: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is read of each piece.

    Args:
        pieces: P of them.
        anchors: `(P,)` the step of its record from which each is read.
        sizes: `(P,)` steps that are read; 0: nothing, its steps are read as context of a later one.
        context: `(P,)` the first of them that belong to earlier pieces: no loss is theirs.
        marks: `(P,)` steps after which the state is kept for the next update; -1: never; 0: it is
            that of the record's start.
        read_again: `(P,)` those of them that were read before: the context, where every piece has
            a loss; else nothing is read twice.
        has_loss: `(P,)`.
    """

    pieces: Pieces
    anchors: Ints
    sizes: Ints
    context: Ints
    read_again: Ints
    marks: Ints
    has_loss: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, pieces: Pieces, cut: Cut) -> Reading:
        """What these pieces need.

        >>> from models.segments.lanes import Pieces
        >>> one = Pieces(*(np.array([n]) for n in (0, 7, 40, 50)), np.array([False]))
        >>> whole = Reading.of(one, Cut(steps=10, gradient=30, every=True))
        >>> [int(x[0]) for x in (whole.anchors, whole.sizes, whole.context, whole.marks)]
        [20, 30, 20, 10]
        >>> part = Reading.of(one, Cut(steps=10, gradient=30, every=False))
        >>> [int(x[0]) for x in (part.anchors, part.sizes, part.context, part.marks)]
        [20, 10, 20, 10]
        """
        back = cut.gradient - cut.steps
        anchors = np.maximum(pieces.starts - back, 0)
        following = np.maximum(pieces.stops - back, 0)
        has_loss = pieces.ends | cut.every
        return cls(
            pieces=pieces,
            anchors=anchors,
            sizes=np.where(has_loss, pieces.stops, following) - anchors,
            context=pieces.starts - anchors,
            read_again=(pieces.starts - anchors) * cut.every,
            marks=np.where(pieces.ends, -1, following - anchors),
            has_loss=has_loss,
        )

    def passes(self) -> list[tuple[Ints, Ints]]:
        """The pieces without a loss, then those with one: which, longest first, and block edges."""
        found = []
        for wanted in (False, True):
            which = np.flatnonzero((self.has_loss == wanted) & (self.sizes > 0))
            if len(which):
                which = which[np.argsort(-self.sizes[which], kind="stable")]
                found.append((which, block_edges(self.sizes[which], self.marks[which])))
        return found


def block_edges(lengths: Ints, marks: Ints, *, padding: float = PADDING) -> Ints:
    """Where rows that are read together are cut into blocks of steps, so that few are padding.

    Rows start together and leave at the end of the block in which they end. Each cut costs a call
    and saves padding; the cheapest are left out until the padding is used up.

    Args:
        lengths: `(P,)` steps to read of each row, each >= 1.
        marks: `(P,)` a step of each row, in 0..length, at which its state is wanted: a cut, unless
            it is 0 or the row's end.
        padding: share of the computed steps that may be padding.

    Returns:
        Edges `(N + 1,)` from 0 to the longest.

    >>> block_edges(np.array([100, 100, 99, 50]), np.array([100, 100, 99, 50])).tolist()
    [0, 50, 100]
    """
    inside = marks[(marks > 0) & (marks < lengths)]
    edges, where = np.unique(np.concatenate([lengths, inside]), return_inverse=True)
    waiting = np.bincount(where[: len(lengths)], minlength=len(edges))
    fixed = np.zeros(len(edges), dtype=bool)
    fixed[where[len(lengths) :]] = fixed[-1] = True
    left = padding / (1 - padding) * int(lengths.sum())
    while not fixed.all():
        costs = np.where(fixed[:-1], np.inf, waiting[:-1] * np.diff(edges))
        cheapest = int(costs.argmin())
        left -= float(costs[cheapest])
        if left < 0:
            break
        waiting[cheapest + 1] += waiting[cheapest]
        edges, waiting, fixed = (np.delete(x, cheapest) for x in (edges, waiting, fixed))
    return np.concatenate([np.zeros(1, np.int64), edges])


def computed_steps(reading: Reading) -> int:
    """Steps that all passes compute, padding included."""
    total = 0
    for which, edges in reading.passes():
        rising = reading.sizes[which][::-1]
        rows = len(rising) - np.searchsorted(rising, edges[:-1], side="right")
        total += int((rows * np.diff(edges)).sum())
    return total
