"""The passes of a preparation over content, in threads of this process.

`spread` does the same by tasks of a runner. What comes out is equal, file by file.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqprep.checks import parse_bytes
from seqprep.fitted import Fitted
from seqprep.parallel import Progress
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding, first_pass
from seqprep.preparation.job import Job
from seqprep.preparation.read_parts import read_parts
from seqprep.preparation.roster import Roster
from seqprep.preparation.rows import slot_schema
from seqprep.preparation.second_pass import second_pass
from seqprep.preparation.shards import write_shards
from seqprep.preparation.slots import DiskSlots, HeldSlots, Slots
from seqprep.preparation.spill import SpillFolder, release_memory
from seqprep.preparation.totals import Totals
from seqprep.staging import StagedFile
from seqprep.table import Table

MAX_SLOTS = 500
"""Files that may be open at a time. Past it slots grow beyond their eighth of the memory."""
HELD_SHARE = 3
"""The part of the memory, one in so many, that rows may take between the passes."""

Marks = npt.NDArray[np.bool_]


class Passes(Protocol):
    """What a preparation does to content, in this order."""

    def first(self, roster: Roster, kept: Fitted | None) -> Encoding:
        """Read, tokenise, count and spill the records of a roster; see `first_pass`."""

    def second(
        self, roster: Roster, encoding: Encoding, finisher: Finisher
    ) -> tuple[Totals, Marks]:
        """Make rows of what was spilled; their numbers, and the records left empty, `(R,)`."""

    def shards(
        self, finisher: Finisher, totals: Totals, limits: tuple[int, ...]
    ) -> list[StagedFile]:
        """Write those rows to the shards of their split and bucket."""


class ThreadPasses:
    """The passes in this process.

    Args:
        job: what is prepared. examples: where it goes.
        folder: for what lies on disk meanwhile. held_bytes: that rows may take in memory.
        threads: to use. progress: see `parallel.Progress`.
    """

    def __init__(
        self,
        job: Job,
        examples: Table,
        *,
        folder: SpillFolder,
        held_bytes: int,
        threads: int,
        progress: Progress | None,
    ) -> None:
        self._job, self._examples, self._folder = job, examples, folder
        self._held_bytes, self._threads, self._progress = held_bytes, threads, progress
        self._slots: Slots = HeldSlots()

    def first(self, roster: Roster, kept: Fitted | None) -> Encoding:
        """See `Passes`."""
        parts = read_parts(self._job, roster, workers=self._threads)
        return first_pass(
            self._job, roster, self._folder, parts=parts, known=kept, progress=self._progress
        )

    def second(
        self, roster: Roster, encoding: Encoding, finisher: Finisher
    ) -> tuple[Totals, Marks]:
        """See `Passes`."""
        with self._fitting_slots(encoding, finisher) as self._slots:
            totals, emptied = second_pass(
                self._job,
                roster,
                encoding,
                finisher,
                self._folder,
                self._slots,
                workers=self._threads,
                progress=self._progress,
            )
        if isinstance(self._slots, DiskSlots):
            release_memory()
        return totals, emptied

    def shards(
        self, finisher: Finisher, totals: Totals, limits: tuple[int, ...]
    ) -> list[StagedFile]:
        """See `Passes`."""
        return write_shards(
            self._slots,
            self._examples.path,
            finisher.schema,
            limits=limits,
            shard_bytes=parse_bytes(self._job.recipe.shard_bytes, key="shard_bytes"),
            workers=self._threads,
            progress=self._progress,
        )

    def _fitting_slots(self, encoding: Encoding, finisher: Finisher) -> Slots:
        """Rows stay in memory where they fit, else each slot with its copies does."""
        if row_bytes(self._job, encoding) <= self._held_bytes:
            return HeldSlots()
        count = count_slots(self._job, encoding)
        return DiskSlots(self._folder, count, slot_schema(finisher.schema))


def row_bytes(job: Job, encoding: Encoding) -> int:
    """What the rows take after the second pass, about."""
    late_views = any(step.views for _, step in job.chain.late)
    return encoding.size_bytes * (1 + job.chain.views if late_views else 1)


def count_slots(job: Job, encoding: Encoding) -> int:
    """How many slots rows on disk are cut into, so that each fits in an eighth of the memory."""
    needed = -(-row_bytes(job, encoding) // (job.memory_bytes // 8))
    return min(MAX_SLOTS, max(needed, 1))
