"""The second pass: spilled chunks to rows of examples, with final ids, scaled, routed to slots.

Also the way by which prediction makes examples, so that both do the same.

Legend: R rows of a chunk, V tokens, K target channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.chunk_ranks import Ranks
from seqprep.parallel import Progress, ordered
from seqprep.preparation.chunk_rows import ChunkRows
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding
from seqprep.preparation.job import Job
from seqprep.preparation.lists import list_rows
from seqprep.preparation.roster import Roster
from seqprep.preparation.rows import example_table, target_table, units
from seqprep.preparation.slots import Slots
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.totals import Totals, count_chunk, merge_totals
from seqprep.ragged import Ints, Ragged


def second_pass(
    job: Job,
    roster: Roster,
    encoding: Encoding,
    finisher: Finisher,
    folder: SpillFolder,
    slots: Slots,
    *,
    workers: int,
    progress: Progress | None,
) -> tuple[Totals, npt.NDArray[np.bool_]]:
    """Finish the chunks of the first pass in order and route their rows to the slots.

    Returns:
        Numbers of the rows, and the records that the steps left empty, `(R,)`.
    """
    totals: list[Totals] = []
    emptied = np.zeros(len(roster.splits), dtype=bool)
    work = finish_chunks(job, roster, encoding, finisher, folder, workers=workers)
    for done, (number, table, numbers, empty) in enumerate(work):
        slots.add(table)
        totals.append(numbers)
        emptied[roster.rows(number)][empty] = True
        if progress is not None:
            progress("shorten and encode", done + 1, sum(encoding.pieces.values()))
    return merge_totals(totals), emptied


def finish_chunks(
    job: Job,
    roster: Roster,
    encoding: Encoding,
    finisher: Finisher,
    folder: SpillFolder,
    *,
    workers: int,
) -> Iterator[tuple[int, pa.Table, Totals, Ints]]:
    """The chunks of the first pass as rows of examples, in order.

    Yields:
        Number of the chunk, its rows with the columns that route them, what is counted of them, and
        the records left without steps, by their place in the chunk.
    """

    def one(place: tuple[int, int]) -> tuple[int, pa.Table, Totals, Ints]:
        number, piece = place
        table, numbers, emptied = finish_piece(
            job,
            ChunkRows.of(roster, number),
            piece,
            finisher,
            folder,
            ranks=None if encoding.ranks is None else encoding.ranks[number],
            target_ranks=None if encoding.target_ranks is None else encoding.target_ranks[number],
        )
        return number, table, numbers, emptied

    places = [(number, n) for number in roster.active for n in range(encoding.pieces[number])]
    yield from ordered(one, places, workers=workers)


def finish_piece(
    job: Job,
    records: ChunkRows,
    piece: int,
    finisher: Finisher,
    folder: SpillFolder,
    *,
    ranks: Ranks | None,
    target_ranks: Ranks | None,
    keep: bool = False,
) -> tuple[pa.Table, Totals, Ints]:
    """One piece of a chunk as rows of examples.

    Args:
        job: what is prepared.
        records: of the chunk.
        piece: of it.
        finisher: with the fitted state.
        folder: that it was spilled to.
        ranks: of the chunk's local ids; None for values.
        target_ranks: of those of its target text, likewise.
        keep: whether it stays there, for another attempt.

    Returns:
        Its rows with the columns that route them, what is counted of them, and the records left
        without steps, by their place in the chunk.
    """
    number = records.number
    chunk = folder.take(
        f"chunk-{number}-{piece}",
        width=job.chain.spilled.width,
        target_width=job.target_width,
        keep=keep,
    )
    chunk, emptied = finisher.finish(chunk, ranks=ranks, overwrite=True)
    chunk = finisher.step_labels(chunk)
    names = job.table.read_group(*records.place, ["id", "length"])
    target = None
    if target_ranks is not None:
        ids = _target_ids(folder, finisher, number, target_ranks)
        kept = np.flatnonzero(records.splits >= 0)
        order = np.zeros(len(names), dtype=np.int64)
        order[kept] = np.arange(len(kept))
        target = ragged.take(ids, order[chunk.rows])
    table = example_table(
        chunk,
        names,
        finisher.schema,
        labels=records.labels,
        target=target,
        seed=job.recipe.seed,
    )
    tokens = finisher.vocab_size is not None
    numbers = count_chunk(chunk, units(chunk), tokens=tokens, stride=job.chain.window_stride)
    return table, numbers, emptied


def _target_ids(folder: SpillFolder, finisher: Finisher, number: int, ranks: Ranks) -> Ragged:
    ids = list_rows(folder.read(f"target-{number}", keep=True)["ids"])
    known = len(finisher.fitted.target_vocabulary)
    ranks = np.minimum(ranks, known)  # beyond `max_vocab` is OOV
    return Ragged(target_table(known)[ranks][ids.values], ids.offsets)
