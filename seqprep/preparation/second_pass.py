"""The second pass: spilled chunks to rows of examples, with final ids, scaled, routed to slots.

Also the way by which prediction makes examples, so that both do the same.

Legend: R rows of a chunk, V tokens, K target channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.fitted import Fitted
from seqprep.frequency import Ranks
from seqprep.parallel import Progress, ordered
from seqprep.preparation.chain import Chain, fill_empty
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.first_pass import Encoding, Job
from seqprep.preparation.roster import Roster
from seqprep.preparation.scaling import scale_records
from seqprep.preparation.shards import Slots, places
from seqprep.preparation.spill import SpillFolder, list_array, list_rows, table_chunk
from seqprep.preparation.totals import Totals, count_chunk, merge_totals
from seqprep.preparation.transform import Transform
from seqprep.ragged import Ints, Ragged
from seqprep.schema import IGNORED_LABEL, OOV, Task, examples_schema, token_type
from seqprep.vocabulary import Vocabulary, build_vocabulary, complement_ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class Finisher:
    """Turns rows of ranks or values into what is stored.

    Args:
        task: of the dataset. chain: the steps. fitted: the state.
        vocabulary: of the input; None for values. complement: ranks of reverse complements.
        scale: `channel`, `record` or `none`.
    """

    task: Task
    chain: Chain
    fitted: Fitted
    vocabulary: Vocabulary | None
    complement: Ints | None
    scale: str

    @classmethod
    def of(
        cls, chain: Chain, fitted: Fitted, *, task: Task, scale: str, max_vocab: int | None
    ) -> Finisher:
        """Work out the vocabulary from the fitted frequencies and the chain's rules."""
        vocabulary = complement = None
        if fitted.frequency is not None:
            vocabulary = build_vocabulary(
                fitted.frequency, chain.steps, decided=fitted.decided, max_vocab=max_vocab
            )
            if any(step.kind == "views" for step in chain.steps):
                complement = complement_ranks(fitted.frequency)
        return cls(
            task=task,
            chain=chain,
            fitted=fitted,
            vocabulary=vocabulary,
            complement=complement,
            scale=scale,
        )

    def finish(
        self, chunk: Chunk, *, ranks: Ranks | None, on_the_fly: bool = False
    ) -> tuple[Chunk, Ints]:
        """Run the late steps and give every row its final form; the records left empty, too.

        Args:
            chunk: R rows of local ids or values, after the early steps.
            ranks: `(V,)` the rank of each local id; None for values and where ids are ranks.
            on_the_fly: run the steps that training runs when batches are made, too.
        """
        if self.vocabulary is None:
            return self._finish_values(self.chain.run(chunk, self.chain.late), on_the_fly)
        table = self.vocabulary.ids.astype(np.int32)
        values = chunk.steps.values
        if self.chain.late or on_the_fly:
            if ranks is not None:
                values = np.take(ranks.astype(np.int32), values)
            chunk = replace(chunk, steps=Ragged(values, chunk.steps.offsets))
            chunk = self._run(chunk, self.chain.late)
            if on_the_fly:
                chunk = self._run(self.chain.expand(chunk), self.chain.on_the_fly)
            values = chunk.steps.values
            if self.chain.final.unit == "value":
                return self._fill_values(chunk)
        elif ranks is not None:
            table = table[ranks]  # two look-ups in one
        small = table.astype(token_type(self.vocabulary.size).to_pandas_dtype())
        ids = Ragged(ragged.look_up(small, values), chunk.steps.offsets)
        return fill_empty(replace(chunk, steps=ids), step=OOV)

    def _run(self, chunk: Chunk, steps: Sequence[tuple[int, Transform]]) -> Chunk:
        assert self.fitted.frequency is not None
        return self.chain.run(
            chunk,
            steps,
            vocabulary=self.vocabulary,
            complement=self.complement,
            strings=self.fitted.frequency.tokens,
        )

    def _finish_values(self, chunk: Chunk, on_the_fly: bool) -> tuple[Chunk, Ints]:
        if self.chain.tokens:  # vectors made of tokens have a scale of their own
            pass
        elif self.scale == "channel" and self.fitted.scaler is not None:
            chunk = replace(chunk, steps=self.fitted.scaler.apply(chunk.steps))
        elif self.scale == "record":
            chunk = replace(chunk, steps=scale_records(chunk.steps))
        if on_the_fly:
            chunk = self.chain.run(self.chain.expand(chunk), self.chain.on_the_fly)
        return self._fill_values(chunk)

    def _fill_values(self, chunk: Chunk) -> tuple[Chunk, Ints]:
        if chunk.steps.values.dtype != np.float32:
            values = chunk.steps.values.astype(np.float32)
            chunk = replace(chunk, steps=Ragged(values, chunk.steps.offsets))
        ignored = IGNORED_LABEL if self.task == "label_steps" else 0.0
        return fill_empty(chunk, step=0, ignored=ignored)

    def step_labels(self, chunk: Chunk) -> Chunk:
        """Codes of labelled steps as training knows them; others are ignored."""
        if self.task != "label_steps" or chunk.targets is None:
            return chunk
        codes = chunk.targets.values
        known = np.asarray(self.fitted.step_codes, dtype=np.int64)
        place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        mapped = np.where(known[place] == codes, place, IGNORED_LABEL).astype(np.int32)
        return replace(chunk, targets=Ragged(mapped, chunk.targets.offsets))

    @property
    def schema(self) -> pa.Schema:
        """Of the rows as they are stored."""
        return examples_schema(self.task, vocab_size=self.vocab_size)

    @property
    def vocab_size(self) -> int | None:
        """Ids of the stored tokens, reserved ones included; None where values are stored."""
        if self.vocabulary is None or self.chain.final.unit == "value":
            return None
        return self.vocabulary.size


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
    work = _finished(job, roster, encoding, finisher, folder, workers=workers)
    for done, (number, table, numbers, empty) in enumerate(work):
        slots.add(table)
        totals.append(numbers)
        emptied[roster.rows(number)][empty] = True
        if progress is not None:
            progress("shorten and encode", done + 1, len(roster.active))
    return merge_totals(totals), emptied


def slot_schema(schema: pa.Schema) -> pa.Schema:
    """The stored columns, and those that route a row."""
    return pa.schema(
        [
            *schema,
            pa.field("place", pa.uint64()),
            pa.field("split", pa.int8()),
            pa.field("unit", pa.int32()),
        ]
    )


def _finished(
    job: Job,
    roster: Roster,
    encoding: Encoding,
    finisher: Finisher,
    folder: SpillFolder,
    *,
    workers: int,
) -> Iterator[tuple[int, pa.Table, Totals, Ints]]:
    def one(number: int) -> tuple[int, pa.Table, Totals, Ints]:
        spilled = folder.read(f"chunk-{number}")
        chunk = table_chunk(spilled, width=job.chain.spilled.width, target_width=job.target_width)
        ranks = encoding.maps.get(number)
        chunk, emptied = finisher.finish(chunk, ranks=ranks)
        chunk = finisher.step_labels(chunk)
        names = job.table.read_group(*roster.chunks[number], ["id", "length"])
        target = None
        if job.task == "translate":
            ids = _target_ids(folder, encoding, finisher, number)
            kept = np.flatnonzero(roster.splits[roster.rows(number)] >= 0)
            place = np.zeros(len(names), dtype=np.int64)
            place[kept] = np.arange(len(kept))
            target = ragged.take(ids, place[chunk.rows])
        labels = None if roster.labels is None else roster.labels[roster.rows(number)]
        table = example_table(
            chunk, names, finisher.schema, labels=labels, target=target, seed=job.recipe.seed
        )
        tokens = finisher.vocab_size is not None
        stride = job.chain.window_stride
        numbers = count_chunk(chunk, units(chunk), tokens=tokens, stride=stride)
        return number, table, numbers, emptied

    yield from ordered(one, roster.active, workers=workers)


def _target_ids(folder: SpillFolder, encoding: Encoding, finisher: Finisher, number: int) -> Ragged:
    assert encoding.target_frequency is not None
    ids = list_rows(folder.read(f"target-{number}")["ids"])
    known = len(finisher.fitted.target_vocabulary)
    ranks = np.minimum(encoding.target_maps[number], known)  # beyond `max_vocab` is OOV
    return Ragged(target_table(known)[ranks][ids.values], ids.offsets)


def target_table(known: int) -> npt.NDArray[np.int32]:
    """The id of each rank of a target token; the ranks after the known ones are OOV.

    >>> target_table(2).tolist()
    [4, 5, 1]
    """
    return np.append(np.arange(4, 4 + known), OOV).astype(np.int32)


def example_table(
    chunk: Chunk,
    records: pa.Table,
    schema: pa.Schema,
    *,
    labels: npt.NDArray[np.generic] | pa.Array | None,
    target: Ragged | None,
    seed: int,
) -> pa.Table:
    """Rows of examples with the columns that route them.

    Args:
        chunk: R finished rows.
        records: the `id` and `length` of the records that `chunk.rows` counts.
        schema: of the stored columns.
        labels: of those records.
        target: `(R)` rows of target ids.
        seed: of the order in shards.
    """
    rows = pa.array(chunk.rows)
    columns = {
        "id": records["id"].take(rows),
        "key": chunk.keys.view(np.int64),
        "view": chunk.views,
        "window": chunk.windows,
        "length": chunk.lengths,
        "record_length": records["length"].take(rows),
        "place": places(chunk.keys, seed=seed),
        "split": chunk.splits,
        "unit": units(chunk),
        "tokens" if "tokens" in schema.names else "values": list_array(chunk.steps),
    }
    if "label" in schema.names:
        assert labels is not None
        columns["label"] = pa.array(labels).take(rows)
    if "targets" in schema.names:
        nothing = pa.nulls(len(chunk), schema.field("targets").type)
        columns["targets"] = nothing if chunk.targets is None else list_array(chunk.targets)
    if "target_tokens" in schema.names:
        nothing = pa.nulls(len(chunk), schema.field("target_tokens").type)
        columns["target_tokens"] = nothing if target is None else list_array(target)
    full = slot_schema(schema)
    return pa.table([_cast(columns[field.name], field.type) for field in full], schema=full)


def _cast(column: npt.NDArray[np.generic] | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column if isinstance(column, pa.Array) else pa.array(column)
    return column.cast(kind)


def units(chunk: Chunk) -> Ints:
    """The length that decides a row's bucket: the longest window of its record's view, `(R,)`."""
    lengths = chunk.lengths
    if not chunk.windows.any():
        return lengths
    order = np.lexsort((chunk.windows, chunk.views, chunk.splits, chunk.rows))
    starts = np.flatnonzero(chunk.windows[order] == 0)
    longest = np.maximum.reduceat(lengths[order], starts)
    result = np.empty_like(lengths)
    result[order] = np.repeat(longest, np.diff(np.append(starts, len(order))))
    return result
