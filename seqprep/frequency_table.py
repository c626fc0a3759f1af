"""The frequency table of a dataset's training rows as a file: counts, ranks, what tokens tell.

Build one to see where the cuts of a recipe fall before it is run, or as the reference of `idf` in
another recipe. Counting is that of preparation, one pass, memory as there; nothing of the recipe is
applied but what makes tokens. Not for values: they have no tokens.

The file has a row a token, the most frequent first: `token`, `count`, `records`, `rank` (1 is the
most frequent, ties by the token's bytes), `idf`, and where each record has a class
`mutual_information` (nats) and `chi_squared`. Parquet metadata says of which dataset, version,
recipe and unit, and how many records were counted. The same table has the same bytes.

Legend: V tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from seqprep.errors import ConfigError
from seqprep.frequency import Frequency
from seqprep.frequency_counter import FrequencyCounter
from seqprep.parallel import Progress
from seqprep.preparation.chain import Chain
from seqprep.preparation.job import Job
from seqprep.preparation.read_parts import read_parts
from seqprep.preparation.roster import Roster
from seqprep.preparation.transform import Symbols, Transform
from seqprep.ragged import Ints
from seqprep.token_table import NUM_RECORDS, TokenTable
from seqprep.transforms.idf import inverse_document_frequency
from seqprep.transforms.token_rule import REMOVED, UNKNOWN, Bools, Evidence, TokenRule
from seqprep.transforms.usefulness import Floats, chi_squared, mutual_information
from seqprep.vocabulary import build_vocabulary, decide

_BLOCK = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class CountAll(TokenRule):
    """Removes nothing and asks for all that can be counted.

    Args:
        by_label: whether records have classes.
    """

    name: ClassVar[str] = "count_all"

    by_label: bool

    @property
    def needs_records(self) -> bool:
        """Records with each token are counted."""
        return True

    @property
    def needs_labels(self) -> bool:
        """So are those of each class."""
        return self.by_label

    def removed(self, evidence: Evidence) -> Bools:
        """None."""
        return np.zeros(len(evidence.frequency) + 1, dtype=bool)


def counting_job(job: Job) -> Job:
    """The job with no technique but the one that makes tokens, and everything counted.

    Raises:
        ConfigError: if its rows are values throughout.
    """
    if not job.chain.tokens:
        raise ConfigError(
            f"prepare.recipe {job.recipe.recipe!r}: its steps are values, and values have no "
            "tokens to count; use tokens.unit: symbol, or the step sax, which make tokens of them"
        )
    steps = job.chain.steps
    makes = next((n + 1 for n, step in enumerate(steps) if isinstance(step, Symbols)), 0)
    every: list[Transform] = [*steps[:makes], CountAll(by_label=job.task == "classify")]
    chain = Chain.of(every, seed=job.recipe.seed, form=job.chain.forms[0])
    return replace(job, chain=chain, tables={})


def count_frequencies(
    job: Job, roster: Roster, *, workers: int, progress: Progress | None = None
) -> Frequency:
    """Count the tokens of the training rows, and nothing else.

    Args:
        job: of `counting_job`.
        roster: its records.
        workers: threads.
        progress: see `parallel.Progress`.
    """
    counter = FrequencyCounter(memory_bytes=job.memory_bytes)
    for part in read_parts(job, roster, workers=workers):
        if part.counted is not None:  # once for all pieces of a chunk
            counter.add(part.counted)
        if progress is not None:
            progress("count tokens", part.number + 1, len(roster.chunks))
    return counter.finish()[0]


def frequency_table(frequency: Frequency, *, about: Mapping[str, str]) -> pa.Table:
    """A row a token, the most frequent first, with the columns that this file describes.

    Args:
        frequency: with the records of each token counted.
        about: what stands in the metadata, under `seqprep.` and the name.
    """
    assert frequency.records is not None, "records were not counted"
    columns: dict[str, object] = {
        "token": frequency.tokens.cast(pa.string()),
        "count": frequency.counts,
        "records": frequency.records,
        "rank": np.arange(1, len(frequency) + 1),
        "idf": inverse_document_frequency(frequency.records, num_records=frequency.num_records),
    }
    held, totals = frequency.by_label, frequency.label_totals
    if held is not None and totals is not None:
        columns["mutual_information"] = _in_blocks(mutual_information, held, totals)
        columns["chi_squared"] = _in_blocks(chi_squared, held, totals)
    metadata = {NUM_RECORDS: str(frequency.num_records).encode()}
    metadata |= {f"seqprep.{name}".encode(): text.encode() for name, text in about.items()}
    return pa.table(columns).replace_schema_metadata(metadata)


def _in_blocks(measure: Callable[[Ints, Ints], Floats], held: Ints, totals: Ints) -> Floats:
    """A measure of each token, without several copies of all counts at a time."""
    starts = range(0, len(held), _BLOCK)
    parts = [measure(held[start : start + _BLOCK], totals) for start in starts]
    return np.concatenate([np.zeros(0), *parts])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """What one rule of a recipe would do to the tokens that those before it leave.

    Args:
        name: of the step. options: as a person wrote them, those that are set.
        removed: `(V,)` tokens that go with it. unknown: `(V,)` those that become OOV with it.
    """

    name: str
    options: Mapping[str, object]
    removed: Bools
    unknown: Bools


def find_cuts(
    frequency: Frequency, steps: Sequence[Transform], tables: Mapping[str, TokenTable]
) -> list[Cut]:
    """What each rule of a chain would do, in order.

    Args:
        frequency: with all that the rules ask for.
        steps: the chain; a rule whose table is not among `tables` is passed over.
        tables: of tokens, by the path that a step names.
    """
    rules = [
        step
        for step in steps
        if isinstance(step, TokenRule) and (step.table is None or step.table in tables)
    ]
    fates = build_vocabulary(frequency, rules, decided=decide(frequency, rules, tables)).fates
    gone = lost = np.zeros(len(frequency), dtype=bool)
    cuts = []
    for position, rule in enumerate(rules):
        fate = fates[position][:-1]
        removed, unknown = (fate == REMOVED) & ~gone, (fate == UNKNOWN) & ~lost
        given = {name: value for name, value in rule.options().items() if value not in (None, 0)}
        cuts.append(Cut(name=rule.name, options=given, removed=removed, unknown=unknown))
        gone, lost = gone | removed, lost | unknown
    return cuts
