"""The tasks of a preparation that is spread over a runner: what each is given, does and leaves.

Each attempt at a task writes to a folder of its own, and its small answer names that folder. So a
task may run twice, or twice at once, and one that dies leaves nothing that anybody reads.

Legend: R records of the version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqprep.buckets import bucket_of
from seqprep.chunk_ranks import ChunkRanks
from seqprep.fitted import Fitted
from seqprep.parallel import Json
from seqprep.preparation.chunk_rows import ChunkRows
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.job import Job
from seqprep.preparation.lists import take_rows
from seqprep.preparation.opened import open_encoder
from seqprep.preparation.read_parts import chunk_parts
from seqprep.preparation.rows import slot_schema
from seqprep.preparation.second_pass import finish_piece
from seqprep.preparation.shards import write_shards
from seqprep.preparation.slots import DiskSlots, joined
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.spilled_maps import SpilledMaps
from seqprep.preparation.spread_parts import write_part
from seqprep.preparation.totals import Totals, merge_totals
from seqprep.schema import SPLITS
from seqprep.staging import StagedFile

SPLIT_CODES, LABELS, BYTE_PAIRS, FITTED = "splits.npy", "labels.npy", "byte-pairs", "fitted.json"
"""Files in the run's folder that all tasks read."""
MAPS = ("map-0", "map-1")
RANKS = ("ranks-0.npy", "ranks-1.npy")
"""Of input and target tokens."""
NUMBERS, EMPTIED = "numbers.json", "emptied.npz"

Cell = tuple[int, int]
"""A split's code and a bucket's limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One chunk, by where it lies.

    Args:
        number: of the chunk. file, group: that hold it. start, stop: its records among all.
    """

    number: int
    file: StagedFile
    group: int
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """What every task of a preparation is given.

    Args:
        folder: of the run, which every machine sees. job: without its tables, encoder and byte
            pairs. num_labels: classes of all records.
    """

    folder: Path
    job: Job
    num_labels: int

    def rows(self, span: Span) -> ChunkRows:
        """The records of a chunk."""
        labels = self.folder / LABELS
        return ChunkRows(
            number=span.number,
            place=(span.file, span.group),
            splits=_some(self.folder / SPLIT_CODES, span),
            labels=_some(labels, span) if labels.exists() else None,
            num_labels=self.num_labels,
        )

    def byte_pairs(self) -> str | None:
        """What the encoder was fitted with, if it was."""
        path = self.folder / BYTE_PAIRS
        return path.read_text() if path.exists() else None


def _some(path: Path, span: Span) -> np.ndarray:
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.array(whole[span.start : span.stop])


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A task of the first pass: the chunks of some spans."""

    shared: Shared
    spans: tuple[Span, ...]


def read_chunks(task: Reading) -> Json:
    """Read, tokenise and count chunks; where the parts lie, and the pieces of each chunk."""
    shared = task.shared
    folder = SpillFolder.at(shared.folder).attempt("read")
    byte_pairs, pieces = shared.byte_pairs(), []
    with open_encoder(shared.job, byte_pairs, workers=1) as encoder:
        job = replace(shared.job, encoder=encoder, byte_pairs=byte_pairs)
        for span in task.spans:
            count = 0
            for part in chunk_parts(job, shared.rows(span)):
                write_part(part, folder)
                count += 1
            pieces.append([span.number, count])
    return {"folder": folder.path.name, "pieces": pieces}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finishing:
    """A task of the second pass: what a task of the first pass left.

    Args:
        shared: see there. spans: the chunks. read: the folder that they were left in. pieces: of
            each chunk. slots: into which rows are cut.
    """

    shared: Shared
    spans: tuple[Span, ...]
    read: str
    pieces: tuple[int, ...]
    slots: int


def finish_chunks(task: Finishing) -> Json:
    """Make rows of chunks and cut them into slots; where those and their numbers lie."""
    shared, job = task.shared, task.shared.job
    run = SpillFolder.at(shared.folder)
    spilled, folder = SpillFolder.at(run.path / task.read), run.attempt("slots")
    finisher = finisher_of(job, run.path)
    ranks, target_ranks = (_ranks(run, number) for number in range(2))
    totals: list[Totals] = []
    emptied: dict[str, np.ndarray] = {}
    with DiskSlots(folder, task.slots, slot_schema(finisher.schema)) as slots:
        for span, count in zip(task.spans, task.pieces, strict=True):
            for piece in range(count):
                table, numbers, empty = finish_piece(
                    job,
                    shared.rows(span),
                    piece,
                    finisher,
                    spilled,
                    ranks=None if ranks is None else ranks[span.number],
                    target_ranks=None if target_ranks is None else target_ranks[span.number],
                    keep=True,
                )
                slots.add(table)
                totals.append(numbers)
                emptied[f"{span.start}-{piece}"] = empty + span.start
    (folder.path / NUMBERS).write_bytes(merge_totals(totals).to_bytes())
    with (folder.path / EMPTIED).open("wb") as file:
        np.savez(file, **emptied)  # type: ignore[arg-type]
    return {"folder": folder.path.name}


def finisher_of(job: Job, folder: Path) -> Finisher:
    """What makes rows, with the state that the run has fitted."""
    return Finisher.of(
        job.chain,
        _fitted(folder / FITTED),
        task=job.task,
        scale=job.recipe.scale,
        max_vocab=job.tokens.max_vocab,
    )


@lru_cache(maxsize=1)
def _fitted(path: Path) -> Fitted:
    """The state in a file that is written once; several tasks of a process read the same."""
    return Fitted.from_bytes(path.read_bytes())


def _ranks(run: SpillFolder, number: int) -> ChunkRanks | None:
    path = run.path / RANKS[number]
    if not path.exists():
        return None
    ranks = np.load(path, allow_pickle=False)
    return ChunkRanks(ranks=ranks, maps=SpilledMaps(run, MAPS[number]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharding:
    """A task of writing shards: those of some splits and buckets.

    Args:
        shared: see there. root: of the table. slots: their number. folders: that hold them.
        cells: to write. limits: of all buckets. shard_bytes: content of a shard, about.
    """

    shared: Shared
    root: Path
    slots: int
    folders: tuple[str, ...]
    cells: tuple[Cell, ...]
    limits: tuple[int, ...]
    shard_bytes: int


def write_cells(task: Sharding) -> Json:
    """Write the shards of some splits and buckets; the files, by the place of each cell."""
    shared = task.shared
    folders = [shared.folder / name for name in task.folders]
    for folder in folders:
        SpillFolder.at(folder)
    files = write_shards(
        CellSlots(folders, task.slots, cells=task.cells, limits=task.limits),
        task.root,
        finisher_of(shared.job, shared.folder).schema,
        limits=task.limits,
        shard_bytes=task.shard_bytes,
        workers=1,
        progress=None,
    )
    return {"files": [asdict(file) for file in files]}


class CellSlots:
    """The rows of some splits and buckets in the slots that tasks left; `slots.Slots`.

    Files are mapped, so that of the rows of others little more than their routes is read.

    Args:
        folders: with the slots, in the order of the chunks. count: of slots.
        cells: wanted. limits: of all buckets.
    """

    def __init__(
        self, folders: list[Path], count: int, *, cells: tuple[Cell, ...], limits: tuple[int, ...]
    ) -> None:
        self._folders, self.count, self._limits = folders, count, limits
        self._cells = np.array([_cell_number(*cell) for cell in cells], dtype=np.int64)

    def add(self, table: pa.Table) -> None:
        """Nothing is added any more."""
        raise AssertionError("these slots are read only")

    def read(self, number: int) -> list[pa.Table]:
        """The wanted rows of one slot, in the order of the chunks."""
        return joined(self._wanted(number))

    def _wanted(self, number: int) -> Iterator[pa.Table]:
        for folder in self._folders:
            with pa.memory_map(str(folder / f"slot-{number}")) as source:
                for batch in pa.ipc.open_stream(source):
                    split, unit = batch["split"].to_numpy(), batch["unit"].to_numpy()
                    cell = _cell_number(split, bucket_of(unit, self._limits))
                    rows = np.flatnonzero(np.isin(cell, self._cells))
                    if len(rows):
                        yield take_rows(pa.Table.from_batches([batch]), rows)

    def __enter__(self) -> CellSlots:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _cell_number(split: np.ndarray | int, bucket: np.ndarray | int) -> np.ndarray:
    return np.asarray(bucket, np.int64) * len(SPLITS) + np.asarray(split, np.int64)


def staged_files(answer: Json) -> list[StagedFile]:
    """The files that a task of `write_cells` names."""
    return [StagedFile(**{**file, "sources": tuple(file["sources"])}) for file in answer["files"]]


def read_numbers(folder: Path) -> tuple[Totals, np.ndarray]:
    """What a task of `finish_chunks` counted, and the records left empty, by their place."""
    with np.load(folder / EMPTIED, allow_pickle=False) as file:
        emptied = [file[name] for name in file.files]
    nothing = np.zeros(0, np.int64)
    return Totals.from_bytes((folder / NUMBERS).read_bytes()), np.concatenate([nothing, *emptied])
