"""What a recipe would do, before anything of it is written: steps, tokens, lengths, some records.

The very passes of a preparation run, into a temporary folder, over all records up to a limit and
over whole chunks taken evenly beyond it; what is said of a sample is fitted on the sample. Use it
while a recipe is being made. Not to compare recipes: only a trained model tells which is better.

Legend: R records of the version.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.fitted import Fitted
from seqprep.frequency_table import Cut, find_cuts
from seqprep.parallel import Progress
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.first_pass import Encoding, first_pass
from seqprep.preparation.fitting import fit
from seqprep.preparation.job import Job
from seqprep.preparation.read_parts import read_parts
from seqprep.preparation.roster import Roster
from seqprep.preparation.second_pass import finish_chunks
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.totals import Totals, merge_totals
from seqprep.ragged import Ints, Ragged, mix
from seqprep.row_index import RowIndex
from seqprep.schema import SPLITS
from seqprep.splits import LEFT_OUT, TRAIN
from seqprep.step_effects import EffectWatch, StepEffect
from seqprep.views import apply_view, view_lengths

MOST_STEPS = 2**24
"""Numbers (steps x channels) that are previewed; beyond, a sample of whole chunks."""
_SALT = 401


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a recipe would do.

    Args:
        chunks: previewed, of `all_chunks`. roster: the records, those not previewed left out.
        effects: of the steps, in order. cuts: of the rules by token. encoding: of the first pass.
        totals: of the rows. emptied: records left without steps.
        before: `(n,)` steps of the records before any technique. after: of the rows.
        rows: of the records of `chosen`, one table a chunk, as they would be stored.
        chosen: numbers of the records that are shown. fitted: the state.
        on_the_fly: the steps that run when batches are made, as `views.apply_view` takes them.
    """

    chunks: int
    all_chunks: int
    roster: Roster
    effects: list[StepEffect]
    cuts: list[Cut]
    encoding: Encoding
    totals: Totals
    emptied: int
    before: Ints
    after: Ints
    rows: list[tuple[int, pa.Table]]
    chosen: Ints
    fitted: Fitted
    on_the_fly: tuple[dict[str, Any], ...]


def make_preview(
    job: Job,
    roster: Roster,
    *,
    folder: Path,
    records: int,
    train_seed: int,
    workers: int,
    progress: Progress | None = None,
    most_steps: int = MOST_STEPS,
) -> Preview:
    """Run both passes over the records, or a sample of them, and keep what is worth showing.

    Args:
        job: what would be prepared, opened.
        roster: its records.
        folder: for what lies on disk between the passes.
        records: how many to show side by side.
        train_seed: of views that are drawn in every epoch.
        workers: threads.
        progress: see `parallel.Progress`.
        most_steps: numbers beyond which a sample of the chunks is previewed.

    Raises:
        ConfigError: as a preparation would.
    """
    chunks = _sampled(job, roster, most_steps)
    if len(chunks) < len(roster.chunks):
        roster = roster.only(np.isin(_chunk_of(roster), chunks))
    watch = EffectWatch.of(job.chain)
    effects = watch.effects
    job = replace(job, chain=replace(job.chain, watch=watch.seen))
    chosen = choose(roster, records)
    parts = read_parts(job, roster, workers=workers)
    with SpillFolder(folder) as spill:
        encoding = first_pass(job, roster, spill, parts=parts, progress=progress)
        fitted = fit(job, roster, encoding)
        finisher = Finisher.of(
            job.chain,
            fitted,
            task=job.task,
            scale=job.recipe.scale,
            max_vocab=job.tokens.max_vocab,
        )
        on_the_fly = finisher.steps_on_the_fly()
        totals, after, rows, emptied = [], [], [], 0
        for number, table, numbers, empty in finish_chunks(
            job, roster, encoding, finisher, spill, workers=workers
        ):
            totals.append(numbers)
            after.append(table["length"].to_numpy().astype(np.int64))
            emptied += len(empty)
            rows.append((number, _only(table, roster, number, chosen)))
            _draw(on_the_fly, table, effects, seed=train_seed)
    frequency = encoding.frequency
    return Preview(
        chunks=len(chunks),
        all_chunks=len(roster.chunks),
        roster=roster,
        effects=effects,
        cuts=[] if frequency is None else find_cuts(frequency, job.chain.steps, job.tables),
        encoding=encoding,
        totals=merge_totals(totals),
        emptied=emptied,
        before=encoding.steps[roster.splits != LEFT_OUT].astype(np.int64),
        after=np.concatenate(after),
        rows=rows,
        chosen=chosen,
        fitted=fitted,
        on_the_fly=on_the_fly,
    )


def _sampled(job: Job, roster: Roster, most_steps: int) -> Ints:
    """Numbers of the chunks to preview: all, or evenly some with about so many numbers."""
    total = int(roster.lengths.astype(np.int64).sum()) * (job.width or 1)
    every = len(roster.chunks)
    if total <= most_steps:
        return np.arange(every)
    count = min(max(every * most_steps // total, 1), every)
    return np.unique(np.linspace(0, every - 1, count).round().astype(np.int64))


def _chunk_of(roster: Roster) -> Ints:
    """The chunk of each record, `(R,)`."""
    starts = roster.records.starts
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def choose(roster: Roster, count: int) -> Ints:
    """Records to show: drawn by the hash of their ids, from every split and class in turn.

    Args:
        roster: the records.
        count: how many.
    """
    there = np.flatnonzero(roster.splits != LEFT_OUT)
    labels = np.zeros(len(there), np.int64)
    if roster.labels is not None and roster.names:
        labels = roster.labels[there].astype(np.int64)
    cell = roster.splits[there].astype(np.int64) * (int(labels.max(initial=0)) + 1) + labels
    draw = mix(roster.records.keys[there], _SALT)
    order = np.lexsort((draw, cell))
    cells = cell[order]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1]))
    turn = np.arange(len(cells)) - np.repeat(first, np.diff(np.append(first, len(cells))))
    taken = order[np.lexsort((cells, turn))][:count]
    return there[taken[np.lexsort((draw[taken], cell[taken]))]]


def _only(table: pa.Table, roster: Roster, number: int, chosen: Ints) -> pa.Table:
    """The rows of the chosen records of a chunk, in memory of their own."""
    here = roster.rows(number)
    mine = chosen[(chosen >= here.start) & (chosen < here.stop)]
    wanted = pa.array(roster.records.keys[mine].view(np.int64))
    keys = table["key"].to_numpy()
    return table.take(pa.array(np.flatnonzero(np.isin(keys, wanted.to_numpy()))))


def first_epoch(found: Preview, table: pa.Table, steps: Ragged, *, seed: int) -> Ragged:
    """Rows as the first epoch reads them, after the steps that run when batches are made.

    Args:
        found: by `make_preview`.
        table: some of its rows.
        steps: theirs, as stored.
        seed: of the training.
    """
    drawn = RowIndex.of([table]).drawn(slice(None), seed=seed, epoch=0)
    for step in found.on_the_fly:
        steps = apply_view(steps, step, **drawn)
    return steps


def _draw(
    steps: tuple[dict[str, Any], ...], table: pa.Table, effects: list[StepEffect], *, seed: int
) -> None:
    """What the steps that run when batches are made would do in the first epoch."""
    index = RowIndex.of([table])
    training = np.flatnonzero(table["split"].to_numpy() == TRAIN)
    lengths = index.lengths[training]
    drawn = index.drawn(training, seed=seed, epoch=0)
    for step in steps:
        after = view_lengths(lengths, step, **drawn)
        effect = effects[step["position"]]
        effect.drawn = True
        effect.rows_before += len(lengths)
        effect.rows_after += len(lengths)
        effect.steps_before += int(lengths.sum())
        effect.steps_after += int(after.sum())
        lengths = after


def by_label(roster: Roster) -> dict[str, dict[str, int]]:
    """Previewed records by split and class."""
    if roster.labels is None or not roster.names:
        return {}
    found: dict[str, dict[str, int]] = {}
    for code, split in enumerate(SPLITS):
        counts = Counter(roster.labels[roster.splits == code].tolist())
        found[split] = {name: counts.get(number, 0) for number, name in enumerate(roster.names)}
    return found


def some_tokens(
    tokens: pa.Array, marked: npt.NDArray[np.bool_], counts: Ints, *, most: int
) -> dict[str, list[tuple[str, int]]]:
    """Of the marked tokens the most and the least frequent, with their counts.

    Args:
        tokens: `(V,)` by falling count.
        marked: `(V,)` which of them.
        counts: `(V,)`.
        most: at each end.
    """
    places = np.flatnonzero(marked)
    ends = {"most": places[:most], "least": places[most:][-most:]}
    return {
        end: list(zip(tokens.take(pa.array(some)).to_pylist(), counts[some].tolist(), strict=True))
        for end, some in ends.items()
    }
