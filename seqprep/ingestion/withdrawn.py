"""What was withdrawn from a dataset and must never come back (CONTRACT 11).

The list belongs to each version's state: the commit that drops the rows also names the list, and
every later ingest carries it on, also one that reads everything anew. A record is refused by its
id, by its content wherever it stands, and by its group: whoever withdrew also withdrew what is
still to come. Use `seqprep.upkeep.withdrawal` to add to it. Predictions do not look at it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.errors import CorruptError, Rejection
from seqprep.ingestion.records import Batch
from seqprep.table import CommitInfo, Table

REASON = "withdrawn"
STATE = "withdrawn"
"""The name of the list among the state files of a version."""
DETAILS = ("this id was withdrawn", "this group was withdrawn", "this content was withdrawn")
LISTED = 1000
"""Rejections of one file whose details are stored; all are counted."""
COLUMNS = ("id", "group", "content_hash")


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawn:
    """What was withdrawn.

    Args:
        ids: of records. groups: names, so that later records of them are refused, too.
        hashes: SHA-256 of the contents, in hex.
    """

    ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was withdrawn at all."""
        return bool(self.ids or self.groups or self.hashes)

    def with_more(
        self, *, ids: Iterable[str] = (), groups: Iterable[str] = (), hashes: Iterable[str] = ()
    ) -> Withdrawn:
        """The list with more on it, sorted.

        >>> Withdrawn(ids=("b",)).with_more(ids=["a", "b"]).ids
        ('a', 'b')
        """
        return Withdrawn(
            ids=tuple(sorted({*self.ids, *ids})),
            groups=tuple(sorted({*self.groups, *groups})),
            hashes=tuple(sorted({*self.hashes, *hashes})),
        )

    def to_bytes(self) -> bytes:
        """JSON, the same bytes for the same list."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Withdrawn:
        """Undo `to_bytes`."""
        return cls(**{key: tuple(value) for key, value in json.loads(data).items()})

    def find(self, rows: pa.RecordBatch | pa.Table) -> npt.NDArray[np.int8]:
        """For each row the place in DETAILS of why it is refused, `(R,)`; -1 where it is not.

        Args:
            rows: with the columns COLUMNS.
        """
        found = np.full(rows.num_rows, -1, np.int8)
        values = (self.ids, self.groups, tuple(bytes.fromhex(one) for one in self.hashes))
        for place in reversed(range(len(COLUMNS))):
            if values[place]:
                column = rows.column(COLUMNS[place])
                listed = pa.array(values[place], column.type)
                hit = pc.is_in(column, value_set=listed)
                found[hit.to_numpy(zero_copy_only=False).astype(bool)] = place
        return found


NOTHING = Withdrawn()
"""Nothing was withdrawn."""


def read_withdrawn(table: Table, info: CommitInfo | None) -> Withdrawn:
    """The list that holds for all versions after the one that says `info`.

    Raises:
        CorruptError: if it is missing or altered; nothing is ingested without it.
    """
    if info is None or STATE not in info.state:
        return NOTHING
    try:
        return Withdrawn.from_bytes(table.state.get(info.state[STATE]))
    except CorruptError as error:
        raise CorruptError(
            f"{table.state.path / info.state[STATE]}: the list of withdrawn records is missing or "
            "altered, and records on it must not come back; restore the file from a copy"
        ) from error


def leave_out(batch: Batch, withdrawn: Withdrawn) -> Batch:
    """The batch without the records that were withdrawn, each of them a rejection."""
    if not withdrawn or not batch.rows.num_rows:
        return batch
    why = withdrawn.find(batch.rows)
    if (why < 0).all():
        return batch
    gone = batch.rows.filter(pa.array(why >= 0))
    rejections, unlisted = rejections_of(gone, why[why >= 0])
    return replace(
        batch,
        rows=batch.rows.filter(pa.array(why < 0)),
        rejections=(*batch.rejections, *rejections),
        unlisted={**batch.unlisted, **unlisted},
    )


def rejections_of(
    rows: pa.RecordBatch | pa.Table, why: npt.NDArray[np.int8]
) -> tuple[list[Rejection], dict[tuple[str, str], int]]:
    """The rejections of rows that were withdrawn, and how many more are only counted.

    Args:
        rows: with the columns `source` and `record`.
        why: `(R,)` place in DETAILS of each.
    """
    listed: list[Rejection] = []
    counts: Counter[str] = Counter()
    columns = (rows.column(name).to_pylist() for name in ("source", "record"))
    for source, record, place in zip(*columns, why.tolist(), strict=True):
        counts[source] += 1
        if counts[source] <= LISTED:
            listed.append(
                Rejection(
                    source=source, record=record, line=None, reason=REASON, detail=DETAILS[place]
                )
            )
    more = {(source, REASON): count - LISTED for source, count in counts.items() if count > LISTED}
    return listed, more
