"""What is known of the rows of a split without reading their steps: lengths, keys, views, windows.

Needs only numpy and pyarrow.

Legend: R rows of a split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Keys

COLUMNS = ["length", "key", "view", "window"]
_VIEW_BITS = 24  # epochs count below, stored views above


@dataclass(frozen=True, kw_only=True, slots=True)
class RowIndex:
    """One entry a row, in stored order.

    Args:
        lengths: `(R,)` steps that are stored.
        records: `(R,)` what tells one record from another.
        windows: `(R,)` number of the window of its record, from 0.
        views: `(R,)` number of the stored view, 0 for the record as it is.
    """

    lengths: Ints
    records: Keys
    windows: Ints
    views: Ints

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, tables: list[pa.Table]) -> RowIndex:
        """The columns `COLUMNS` of some tables, one after the other."""
        column = {
            name: np.concatenate(
                [np.zeros(0, np.int64), *(table[name].to_numpy() for table in tables)],
                dtype=np.int64,
            )
            for name in COLUMNS
        }
        return cls(
            lengths=column["length"],
            records=column["key"].view(np.uint64),
            windows=column["window"],
            views=column["view"],
        )

    def drawn(self, rows: Ints | slice, *, seed: int, epoch: int) -> dict[str, Any]:
        """What on-the-fly steps draw from: stored views of a record draw apart in every epoch."""
        return {
            "keys": ragged.draw_keys(self.records[rows], self.windows[rows]),
            "seed": seed,
            "view": (self.views[rows] << _VIEW_BITS) + epoch + 1,
        }
