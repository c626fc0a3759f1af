"""The passes of a preparation as tasks of a runner, on machines that share the store.

Tasks read, tokenise and count chunks, make rows of them, and write the shards. What is large lies
in the run's folder in the store; a task's answer names files. This process merges what was counted
in the order of the chunks, so the table has the same files as one made by `passes.ThreadPasses`.

Use it when one machine is not enough. Not for little data: a task costs a scheduler's round trip,
and rows lie on disk between the passes. In this process stay, with their share of the processor
time of preparing 60 MB of documents by threads: the roster, columns of records and hashes of the
table's files (3 %), merging the vocabulary (3 %), what is fitted on it and the state of the commit
(3 %); and byte pairs, which are fitted in one go. Shards are written by at most one task for each
split and bucket.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from seqprep.buckets import bucket_of
from seqprep.checks import parse_bytes
from seqprep.chunk_ranks import ChunkRanks
from seqprep.fitted import Fitted
from seqprep.parallel import Json, Progress, Runner, cut_tasks
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding, first_pass
from seqprep.preparation.job import Job
from seqprep.preparation.passes import Marks, count_slots
from seqprep.preparation.read_parts import Part
from seqprep.preparation.roster import Roster
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.spread_parts import read_parts_of
from seqprep.preparation.spread_tasks import (
    BYTE_PAIRS,
    FITTED,
    LABELS,
    RANKS,
    SPLIT_CODES,
    Cell,
    Finishing,
    Reading,
    Sharding,
    Shared,
    Span,
    finish_chunks,
    read_chunks,
    read_numbers,
    staged_files,
    write_cells,
)
from seqprep.preparation.totals import Totals, merge_totals
from seqprep.schema import SPLITS
from seqprep.staging import StagedFile
from seqprep.table import Table


class SpreadPasses:
    """`passes.Passes` by tasks.

    Args:
        job: what is prepared. examples: where it goes.
        folder: of the run, in the store. runner: of the tasks. progress: see `parallel.Progress`.
    """

    def __init__(
        self,
        job: Job,
        examples: Table,
        *,
        folder: SpillFolder,
        runner: Runner,
        progress: Progress | None,
    ) -> None:
        self._job, self._examples, self._folder = job, examples, folder
        self._runner, self._progress = runner, progress
        self._slots = 1
        self._tasks: list[tuple[Span, ...]] = []
        self._read: list[Json] = []
        self._finished: list[str] = []

    def first(self, roster: Roster, kept: Fitted | None) -> Encoding:
        """See `passes.Passes`."""
        self._tasks = _tasks(roster, workers=self._runner.workers)
        self._leave(roster)
        return first_pass(
            self._job,
            roster,
            self._folder,
            parts=self._parts(roster),
            known=kept,
            progress=self._progress,
        )

    def _leave(self, roster: Roster) -> None:
        """Put what every task reads into the folder."""
        path = self._folder.path
        np.save(path / SPLIT_CODES, roster.splits, allow_pickle=False)
        if roster.labels is not None:
            np.save(path / LABELS, roster.labels, allow_pickle=False)
        if self._job.byte_pairs is not None:
            (path / BYTE_PAIRS).write_text(self._job.byte_pairs)

    def _shared(self, roster: Roster) -> Shared:
        job = replace(self._job, tables={}, encoder=None, byte_pairs=None)
        return Shared(folder=self._folder.path, job=job, num_labels=len(roster.names))

    def _parts(self, roster: Roster) -> Iterator[Part]:
        shared = self._shared(roster)
        tasks = [Reading(shared=shared, spans=spans) for spans in self._tasks]
        for answer in self._runner.ordered(read_chunks, tasks, what="read records"):
            self._read.append(answer)
            yield from read_parts_of(self._folder.path / answer["folder"], answer["pieces"])

    def second(
        self, roster: Roster, encoding: Encoding, finisher: Finisher
    ) -> tuple[Totals, Marks]:
        """See `passes.Passes`."""
        path, shared = self._folder.path, self._shared(roster)
        (path / FITTED).write_bytes(finisher.fitted.to_bytes())
        for name, ranks in zip(RANKS, (encoding.ranks, encoding.target_ranks), strict=True):
            if isinstance(ranks, ChunkRanks):
                np.save(path / name, ranks.ranks, allow_pickle=False)
        self._slots = count_slots(self._job, encoding)
        tasks = [
            Finishing(
                shared=shared,
                spans=spans,
                read=answer["folder"],
                pieces=tuple(count for _, count in answer["pieces"]),
                slots=self._slots,
            )
            for spans, answer in zip(self._tasks, self._read, strict=True)
        ]
        totals: list[Totals] = []
        emptied = np.zeros(len(roster.splits), dtype=bool)
        answers = self._runner.ordered(finish_chunks, tasks, what="shorten and encode")
        for task, answer in zip(tasks, answers, strict=True):
            numbers, empty = read_numbers(path / answer["folder"])
            totals.append(numbers)
            emptied[empty] = True
            self._finished.append(answer["folder"])
            shutil.rmtree(path / task.read, ignore_errors=True)  # nobody asks for it again
            self._tell("shorten and encode", len(totals), len(tasks))
        return merge_totals(totals), emptied

    def shards(
        self, finisher: Finisher, totals: Totals, limits: tuple[int, ...]
    ) -> list[StagedFile]:
        """See `passes.Passes`."""
        cells, weights = _cells(totals, limits)
        shared = Shared(
            folder=self._folder.path,
            job=replace(self._job, tables={}, encoder=None, byte_pairs=None),
            num_labels=0,
        )
        tasks = [
            Sharding(
                shared=shared,
                root=self._examples.path,
                slots=self._slots,
                folders=tuple(self._finished),
                cells=some,
                limits=limits,
                shard_bytes=parse_bytes(self._job.recipe.shard_bytes, key="shard_bytes"),
            )
            for some in _shared_out(cells, weights, workers=self._runner.workers)
        ]
        files: list[StagedFile] = []
        for done, answer in enumerate(
            self._runner.ordered(write_cells, tasks, what="write shards"), start=1
        ):
            files += staged_files(answer)
            self._tell("write shards", done, len(tasks))
        return sorted(files, key=_place)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)


def _place(file: StagedFile) -> tuple[int, int, str]:
    """Where a shard stands among all: by split, bucket and number."""
    split, bucket = file.partition["split"], file.partition["bucket"]
    return SPLITS.index(split), int(bucket), file.path


def _tasks(roster: Roster, *, workers: int) -> list[tuple[Span, ...]]:
    """The chunks with a record to read, some of them to a task."""
    spans, weights = [], []
    for number in roster.active:
        (file, group), rows = roster.chunks[number], roster.rows(number)
        file = replace(file, sources=())  # perhaps thousands of names that no task asks for
        spans.append(Span(number=number, file=file, group=group, start=rows.start, stop=rows.stop))
        weights.append(file.size_bytes * (rows.stop - rows.start) // max(file.rows, 1))
    return [tuple(spans[n] for n in task) for task in cut_tasks(weights, workers=workers)]


def _cells(totals: Totals, limits: tuple[int, ...]) -> tuple[list[Cell], list[int]]:
    """The splits and buckets that have rows, and the steps of each, about."""
    units = totals.units
    steps: dict[Cell, int] = {}
    for unit, bucket, counts in zip(
        units.values.tolist(),
        bucket_of(units.values, limits).tolist(),
        units.counts.tolist(),
        strict=True,
    ):
        for split, count in enumerate(counts):
            if count:
                steps[split, bucket] = steps.get((split, bucket), 0) + unit * count
    return list(steps), list(steps.values())


def _shared_out(
    cells: Sequence[Cell], weights: Sequence[int], *, workers: int
) -> list[tuple[Cell, ...]]:
    """Cells as a task for each worker, the heaviest first to whoever has least so far.

    >>> _shared_out([(0, 4), (0, 9), (1, 4)], [5, 9, 3], workers=2)
    [((0, 9),), ((0, 4), (1, 4))]
    """
    tasks: list[list[Cell]] = [[] for _ in range(min(workers, len(cells)))]
    loads = [0] * len(tasks)
    for place in sorted(range(len(cells)), key=lambda place: -weights[place]):
        least = loads.index(min(loads))
        tasks[least].append(cells[place])
        loads[least] += weights[place]
    return [tuple(task) for task in tasks]
