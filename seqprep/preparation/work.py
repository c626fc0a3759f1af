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

from seqprep.fitted import Fitted
from seqprep.length_counts import LengthCounts
from seqprep.parallel import Progress, Runner
from seqprep.preparation.append import Previous, compare
from seqprep.preparation.drift import Since
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding
from seqprep.preparation.fitting import bucket_limits, fit
from seqprep.preparation.frozen import Frozen, Identity
from seqprep.preparation.job import Job
from seqprep.preparation.made import Made
from seqprep.preparation.passes import HELD_SHARE, Passes, ThreadPasses
from seqprep.preparation.records import verify_chunks
from seqprep.preparation.removal import Removal, remove_rows
from seqprep.preparation.roster import Roster
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.spread import SpreadPasses
from seqprep.preparation.totals import Totals
from seqprep.ragged import Ints
from seqprep.schema import SPLITS
from seqprep.splits import LEFT_OUT, TRAIN
from seqprep.staging import StagedFile
from seqprep.table import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One preparation.

    Args:
        job: what is prepared. examples: where it goes. identity: of both. name: of the dataset.
        frozen: state that is kept; None: fit anew.
        base: folder of `split.table`. threads: to use. progress: see `parallel.Progress`.
        runner: what the passes are spread over; None: threads of this process.
    """

    job: Job
    examples: Table
    identity: Identity
    frozen: Frozen | None
    base: Path
    threads: int
    progress: Progress | None
    name: str
    runner: Runner | None = None

    @property
    def held_bytes(self) -> int:
        """Rows lie in memory between the passes while they take no more, else on disk."""
        return 0 if self.runner is not None else self.job.memory_bytes // HELD_SHARE

    def passes(self, folder: SpillFolder) -> Passes:
        """The passes over content, with what lies on disk meanwhile in `folder`."""
        if self.runner is not None:
            return SpreadPasses(
                self.job, self.examples, folder=folder, runner=self.runner, progress=self.progress
            )
        return ThreadPasses(
            self.job,
            self.examples,
            folder=folder,
            held_bytes=self.held_bytes,
            threads=self.threads,
            progress=self.progress,
        )


def make_everything(work: Work, folder: SpillFolder, roster: Roster, kept: Fitted | None) -> Made:
    """Make the rows of every record."""
    job, passes = work.job, work.passes(folder)
    encoding = passes.first(roster, kept)
    fitted = fit(job, roster, encoding) if kept is None else kept
    finisher = _finisher(job, fitted)
    files, totals, emptied, fitted = _write(
        passes, roster, encoding, finisher, job=job if kept is None else None
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
    job, passes = work.job, work.passes(folder)
    assert work.frozen is not None
    fitted = work.frozen.fitted
    change = compare(roster, previous)
    fresh = roster.only(change.added)
    verify_chunks(job.table, [roster.chunks[number] for number in fresh.active])
    encoding = passes.first(fresh, fitted)
    finisher = _finisher(job, fitted)
    files, totals, emptied, fitted = _write(passes, fresh, encoding, finisher, job=None)
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
    passes: Passes, roster: Roster, encoding: Encoding, finisher: Finisher, *, job: Job | None
) -> tuple[list[StagedFile], Totals, npt.NDArray[np.bool_], Fitted]:
    """The second pass and the shards; their files, the numbers, and the state with its limits.

    Args:
        passes: of the preparation.
        roster: of the records that were read.
        encoding: of the first pass.
        finisher: with the fitted state.
        job: whose rows decide the bucket limits; None where they are kept.
    """
    totals, emptied = passes.second(roster, encoding, finisher)
    fitted = finisher.fitted
    if job is not None:
        fitted = replace(fitted, limits=bucket_limits(job, totals))
    return passes.shards(finisher, totals, fitted.limits), totals, emptied, fitted
