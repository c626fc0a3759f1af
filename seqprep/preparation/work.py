"""The passes of one preparation: over every record, or over what is new since the version before.

Memory does not grow with the data: between the passes content lies on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqprep.checks import parse_bytes
from seqprep.fitted import Fitted
from seqprep.length_counts import LengthCounts
from seqprep.parallel import Progress
from seqprep.preparation.append import Previous, compare
from seqprep.preparation.drift import Since
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding, first_pass
from seqprep.preparation.fitting import bucket_limits, fit
from seqprep.preparation.frozen import Frozen, Identity
from seqprep.preparation.job import Job
from seqprep.preparation.made import Made
from seqprep.preparation.records import verify_chunks
from seqprep.preparation.removal import Removal, remove_rows
from seqprep.preparation.roster import Roster
from seqprep.preparation.rows import slot_schema
from seqprep.preparation.second_pass import second_pass
from seqprep.preparation.shards import write_shards
from seqprep.preparation.slots import DiskSlots, HeldSlots, Slots
from seqprep.preparation.spill import SpillFolder, release_memory
from seqprep.preparation.totals import Totals
from seqprep.ragged import Ints
from seqprep.schema import SPLITS
from seqprep.splits import LEFT_OUT, TRAIN
from seqprep.staging import StagedFile
from seqprep.table import Table

MAX_SLOTS = 500
"""Files that may be open at a time. Past it slots grow beyond their eighth of the memory."""
HELD_SHARE = 3
"""The part of the memory, one in so many, that rows may take between the passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One preparation.

    Args:
        job: what is prepared. examples: where it goes. identity: of both. name: of the dataset.
        frozen: state that is kept; None: fit anew.
        base: folder of `split.table`. threads: to use. progress: see `parallel.Progress`.
    """

    job: Job
    examples: Table
    identity: Identity
    frozen: Frozen | None
    base: Path
    threads: int
    progress: Progress | None
    name: str

    @property
    def held_bytes(self) -> int:
        """Rows lie in memory between the passes while they take no more, else on disk."""
        return self.job.memory_bytes // HELD_SHARE


def make_everything(work: Work, folder: SpillFolder, roster: Roster, kept: Fitted | None) -> Made:
    """Make the rows of every record."""
    job = work.job
    encoding = _first(work, folder, roster, kept)
    fitted = fit(job, roster, encoding) if kept is None else kept
    finisher = _finisher(job, fitted)
    files, totals, emptied, fitted = _write(
        work, folder, roster, encoding, finisher, refit=kept is None
    )
    lengths = _training_lengths(encoding.steps, roster)
    count = 0 if fitted.frequency is None else len(fitted.frequency)
    since = Since.nothing(lengths, num_tokens=count)
    if work.frozen is not None:
        since = replace(_fitted_since(work, since), whole=True)
        since = _joining(encoding, totals, fitted, lengths)(since)
    return Made(
        files=files,
        remove="all",
        totals=totals,
        fitted=fitted,
        finisher=finisher,
        steps=encoding.steps,
        emptied=emptied,
        before=encoding.before,
        since=since,
        now=since,
        added=int((roster.splits != LEFT_OUT).sum()),
        removed=0,
    )


def make_what_is_new(work: Work, folder: SpillFolder, roster: Roster, previous: Previous) -> Made:
    """Make the rows of records that are new, and take out those of records that are gone."""
    job = work.job
    assert work.frozen is not None
    fitted = work.frozen.fitted
    change = compare(roster, previous)
    fresh = roster.only(change.added)
    verify_chunks(job.table, [roster.chunks[number] for number in fresh.active])
    encoding = _first(work, folder, fresh, fitted)
    finisher = _finisher(job, fitted)
    files, totals, emptied, fitted = _write(work, folder, fresh, encoding, finisher, refit=False)
    removal = remove_rows(work.examples, previous, change.removed, stride=job.chain.window_stride)
    steps = change.steps + encoding.steps
    lengths = _training_lengths(encoding.steps, fresh)
    since = Since.from_bytes(work.examples.state.get(previous.info.state["since"]))
    joined = _joining(encoding, totals, fitted, lengths)
    return Made(
        files=[*files, *removal.files],
        remove=list(removal.replaced),
        totals=_sum(previous, totals, removal),
        fitted=fitted,
        finisher=finisher,
        steps=steps,
        emptied=change.emptied | emptied,
        before=_by_split(steps, roster),
        since=joined(since),
        now=joined(since.start),
        added=int(change.added.sum()),
        removed=int(change.removed.sum()),
    )


def _sum(previous: Previous, totals: Totals, removal: Removal) -> Totals:
    return previous.totals.plus(totals).plus(removal.totals, sign=-1)


def _by_split(steps: npt.NDArray[np.int32], roster: Roster) -> Ints:
    sums = [
        np.sum(steps, where=roster.splits == code, dtype=np.int64) for code in range(len(SPLITS))
    ]
    return np.array(sums)


def _training_lengths(steps: npt.NDArray[np.int32], roster: Roster) -> LengthCounts:
    training = roster.splits == TRAIN
    return LengthCounts.of(steps, np.where(training, np.int8(TRAIN), np.int8(LEFT_OUT)))


def _first(work: Work, folder: SpillFolder, roster: Roster, kept: Fitted | None) -> Encoding:
    return first_pass(
        work.job, roster, folder, known=kept, workers=work.threads, progress=work.progress
    )


def _finisher(job: Job, fitted: Fitted) -> Finisher:
    return Finisher.of(
        job.chain,
        fitted,
        task=job.task,
        scale=job.recipe.scale,
        max_vocab=job.tokens.max_vocab,
    )


def _fitted_since(work: Work, otherwise: Since) -> Since:
    """The training rows that the state was fitted on, without what joined since."""
    assert work.frozen is not None
    name = work.examples.info(work.frozen.version).state.get("since")
    if name is None:  # a version of before this was kept
        return otherwise
    found = Since.from_bytes(work.examples.state.get(name))
    return replace(otherwise, fitted_lengths=found.fitted_lengths)


def _joining(
    encoding: Encoding, totals: Totals, fitted: Fitted, lengths: LengthCounts
) -> Callable[[Since], Since]:
    """What adds the training rows that were read now to what joined since the fit."""
    tokens = None
    if encoding.frequency is not None and fitted.frequency is not None:
        ranks = fitted.frequency.ranks(encoding.frequency.tokens)
        tokens = np.zeros(len(fitted.frequency) + 1, dtype=np.int64)
        np.add.at(tokens, ranks, encoding.frequency.counts)
    units, rows = totals.units.of_split(TRAIN).present
    return partial(
        Since.plus,
        lengths=lengths,
        tokens=tokens,
        moments=encoding.moments,
        rows=int(rows.sum()),
        over=int(rows[units > max(fitted.limits)].sum()),
        step_codes=encoding.step_labels,
    )


def _write(
    work: Work,
    folder: SpillFolder,
    roster: Roster,
    encoding: Encoding,
    finisher: Finisher,
    *,
    refit: bool,
) -> tuple[list[StagedFile], Totals, npt.NDArray[np.bool_], Fitted]:
    """The second pass and the shards; their files, the numbers, and the state with its limits."""
    job, fitted = work.job, finisher.fitted
    with _slots(work, encoding, finisher, folder) as slots:
        totals, emptied = second_pass(
            job,
            roster,
            encoding,
            finisher,
            folder,
            slots,
            workers=work.threads,
            progress=work.progress,
        )
    if isinstance(slots, DiskSlots):
        release_memory()
    if refit:
        fitted = replace(fitted, limits=bucket_limits(job, totals))
    files = write_shards(
        slots,
        work.examples.path,
        finisher.schema,
        limits=fitted.limits,
        shard_bytes=parse_bytes(job.recipe.shard_bytes, key="shard_bytes"),
        workers=work.threads,
        progress=work.progress,
    )
    return files, totals, emptied, fitted


def _slots(work: Work, encoding: Encoding, finisher: Finisher, folder: SpillFolder) -> Slots:
    """Rows stay in memory where they fit, else each slot with its copies does."""
    chain = work.job.chain
    late_views = any(step.views for _, step in chain.late)
    size_bytes = encoding.size_bytes * (1 + chain.views if late_views else 1)
    if size_bytes <= work.held_bytes:
        return HeldSlots()
    count = min(MAX_SLOTS, -(-size_bytes // (work.job.memory_bytes // 8)))
    return DiskSlots(folder, count, slot_schema(finisher.schema))
