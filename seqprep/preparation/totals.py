"""What preparation counts while rows pass: steps, rows, unknown tokens, lengths.

Legend: R rows of a chunk; arrays `(3,)` are by split.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqprep.kernels import find_number
from seqprep.length_counts import LengthCounts, sum_lengths
from seqprep.preparation.chunk import Chunk
from seqprep.ragged import Ints
from seqprep.schema import OOV, SPLITS

_SUMS = ("rows", "records", "steps", "unknown", "whole")


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Numbers of one chunk or of all.

    Args:
        rows: `(3,)` stored rows. records: `(3,)` that they come from.
        steps: `(3,)` stored. unknown: `(3,)` OOV among them.
        whole: `(3,)` steps of view 0, those in two windows once, for the share that the chain
            keeps.
        lengths: of the rows. units: those that decide the bucket.
    """

    rows: Ints
    records: Ints
    steps: Ints
    unknown: Ints
    whole: Ints
    lengths: LengthCounts
    units: LengthCounts

    def plus(self, other: Totals, *, sign: int = 1) -> Totals:
        """Both together; `sign=-1` takes the other off."""
        return Totals(
            **_sums(lambda name: getattr(self, name) + sign * getattr(other, name)),
            lengths=self.lengths.plus(other.lengths, sign=sign),
            units=self.units.plus(other.units, sign=sign),
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        body = {
            **{name: getattr(self, name).tolist() for name in _SUMS},
            "lengths": self.lengths.to_json(),
            "units": self.units.to_json(),
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Totals:
        """Read what `to_bytes` wrote."""
        body = json.loads(data)
        return cls(
            **_sums(lambda name: np.asarray(body[name], np.int64)),
            lengths=LengthCounts.from_json(body["lengths"]),
            units=LengthCounts.from_json(body["units"]),
        )


def _sums(number: Callable[[str], Any]) -> dict[str, Any]:
    return {name: number(name) for name in _SUMS}


def count_chunk(chunk: Chunk, units: Ints, *, tokens: bool, stride: int) -> Totals:
    """Numbers of one finished chunk.

    Args:
        chunk: R finished rows.
        units: `(R,)` the lengths that decide the buckets.
        tokens: whether steps are tokens.
        stride: steps from one window to the next; 0 where rows are not windows.
    """
    lowest = chunk.views == chunk.first_views
    first = (chunk.windows == 0) & lowest
    whole = np.where(lowest, _own_steps(chunk, stride), 0)
    unknown = np.zeros(len(chunk), dtype=np.int64)
    if tokens:
        places = find_number(chunk.steps.values, OOV)
        unknown = np.diff(np.searchsorted(places, chunk.steps.offsets))
    return Totals(
        rows=chunk.by_split(np.ones(len(chunk))),
        records=chunk.by_split(first),
        steps=chunk.by_split(chunk.lengths),
        unknown=chunk.by_split(unknown),
        whole=chunk.by_split(whole),
        lengths=LengthCounts.of(chunk.lengths, chunk.splits),
        units=LengthCounts.of(units, chunk.splits),
    )


def merge_totals(parts: Sequence[Totals]) -> Totals:
    """Numbers of all chunks."""
    nothing = np.zeros(len(SPLITS), dtype=np.int64)
    return Totals(
        **_sums(lambda name: sum((getattr(part, name) for part in parts), nothing)),
        lengths=sum_lengths([part.lengths for part in parts]),
        units=sum_lengths([part.units for part in parts]),
    )


def named(numbers: Ints) -> dict[str, int]:
    """Numbers `(3,)` by the name of the split."""
    return dict(zip(SPLITS, (int(number) for number in numbers), strict=True))


def _own_steps(chunk: Chunk, stride: int) -> Ints:
    """Steps of each row that the next window of its record does not hold, too, `(R,)`."""
    if not stride or not len(chunk):
        return chunk.lengths
    order = np.lexsort((chunk.windows, chunk.views, chunk.splits, chunk.rows))
    follows = np.append(chunk.windows[order][1:] > 0, False)
    result = chunk.lengths.copy()
    result[order[follows]] = np.minimum(result[order[follows]], stride)
    return result
