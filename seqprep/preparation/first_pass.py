"""The first pass over the content: every chunk is counted and spilled for the second one.

Content is read and tokenised once (see `read_parts`). What is spilled has local ids and is after
the steps that do not depend on other rows, so what truncation throws away is never written.

Legend: R rows of all chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.chunk_ranks import ChunkRanks
from seqprep.fitted import Fitted
from seqprep.frequency import Frequency
from seqprep.frequency_counter import FrequencyCounter
from seqprep.parallel import Progress
from seqprep.preparation.job import Job
from seqprep.preparation.lists import list_array
from seqprep.preparation.read_parts import Part
from seqprep.preparation.roster import Roster
from seqprep.preparation.scaling import Moments
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.spilled_maps import SpilledMaps
from seqprep.ragged import Ints
from seqprep.schema import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """What the first pass found.

    Args:
        frequency: of the tokens in training rows; None for values. ranks: by chunk of each local
            id, in this table or in that of the state that is kept.
            target_frequency, target_ranks: likewise for target text.
        moments: of the values in training rows after the early steps; None for tokens.
        step_labels: codes of labelled steps that occur in training rows.
        before: `(3,)` steps by split before any technique.
        pieces: of each chunk, in which it was spilled. size_bytes: of the rows, as spilled or as
            late steps widen them.
        steps: `(R,)` of each record before any technique; 0 for those that were not read.
    """

    frequency: Frequency | None
    ranks: ChunkRanks | None
    target_frequency: Frequency | None
    target_ranks: ChunkRanks | None
    moments: Moments | None
    step_labels: tuple[int, ...]
    before: Ints
    pieces: dict[int, int]
    size_bytes: int
    steps: npt.NDArray[np.int32]


def first_pass(
    job: Job,
    roster: Roster,
    folder: SpillFolder,
    *,
    parts: Iterable[Part],
    known: Fitted | None = None,
    progress: Progress | None,
) -> Encoding:
    """Count and spill every chunk with a record to read, in order.

    Args:
        job: what is prepared.
        roster: its records.
        folder: for the chunks.
        parts: of `read_parts`, here or elsewhere.
        known: state that is kept: the maps lead to its ranks, not to those found now.
        progress: see `parallel.Progress`.
    """
    tokens, targets = (
        FrequencyCounter(SpilledMaps(folder, f"map-{n}"), memory_bytes=job.memory_bytes)
        for n in range(2)
    )
    moments: Moments | None = None
    step_labels: set[int] = set()
    before, size_bytes = np.zeros(len(SPLITS), np.int64), 0
    counts: dict[int, int] = {}
    steps = np.zeros(len(roster.splits), dtype=np.int32)
    for part in parts:
        size_bytes += spill_part(part, folder)
        counts[part.number] = part.piece + 1
        if part.counted is not None:
            tokens.add(part.counted, chunk=part.number)
        if part.target_counts is not None:
            targets.add(part.target_counts, chunk=part.number)
        if part.moments is not None:
            moments = part.moments if moments is None else moments.merge(part.moments)
        step_labels.update(part.step_labels.tolist())
        before += part.before
        steps[roster.rows(part.number)][part.rows] = part.steps
        if progress is not None and part.piece == 0:
            progress("read records", len(counts), len(roster.active))
    inputs = outputs = None
    if known is not None:
        inputs = known.frequency and known.frequency.tokens
        outputs = pa.array(known.target_vocabulary, pa.large_string())
    frequency, ranks = tokens.finish(inputs) if job.counts_tokens else (None, None)
    target_frequency, target_ranks = (
        targets.finish(outputs) if job.task == "translate" else (None, None)
    )
    return Encoding(
        frequency=frequency,
        ranks=ranks,
        target_frequency=target_frequency,
        target_ranks=target_ranks,
        moments=moments,
        step_labels=tuple(sorted(step_labels)),
        before=before,
        pieces=counts,
        size_bytes=size_bytes,
        steps=steps,
    )


def spill_part(part: Part, folder: SpillFolder) -> int:
    """Put what the second pass reads into the folder, unless it lies there; its bytes."""
    if part.chunk is None:
        return part.size_bytes
    if part.target_ids is not None:
        folder.write(f"target-{part.number}", pa.table({"ids": list_array(part.target_ids)}))
    return max(folder.put(f"chunk-{part.number}-{part.piece}", part.chunk), part.size_bytes)
