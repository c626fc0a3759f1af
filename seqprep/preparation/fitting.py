"""What is learnt from training rows: vocabulary, labels, scaler, bucket limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from seqprep.buckets import best_limits, bin_lengths
from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.frequency import Frequency
from seqprep.preparation.chain import chain_forms
from seqprep.preparation.first_pass import Encoding
from seqprep.preparation.job import Job
from seqprep.preparation.roster import Roster
from seqprep.preparation.scaling import Scaler
from seqprep.preparation.totals import Totals
from seqprep.schema import CONTENT_COLUMN
from seqprep.splits import TRAIN
from seqprep.tokens import train_byte_pairs
from seqprep.vocabulary import build_vocabulary, decide


def fit(job: Job, roster: Roster, encoding: Encoding) -> Fitted:
    """Everything that is learnt from training rows, but for the buckets."""
    vocabulary: tuple[str, ...] = ()
    decided = {}
    if encoding.frequency is not None:
        steps = job.chain.steps
        decided = decide(encoding.frequency, steps, job.tables)
        built = build_vocabulary(
            encoding.frequency, steps, decided=decided, max_vocab=job.tokens.max_vocab
        )
        vocabulary = tuple(built.tokens.to_pylist())
    targets: tuple[str, ...] = ()
    if encoding.target_frequency is not None:
        limit = job.recipe.target_tokens.max_vocab
        targets = tuple(encoding.target_frequency.tokens[:limit].to_pylist())
    scaled = job.recipe.scale == "channel" and encoding.moments is not None
    labels = roster.names
    if job.task == "label_steps":
        labels = _step_names(job, encoding)
    start = replace(job.chain.forms[0], vocabulary=vocabulary)
    final = chain_forms(job.chain.steps, start)[-1]
    return Fitted(
        frequency=encoding.frequency and _without_evidence(encoding.frequency, job),
        vocabulary=vocabulary,
        target_vocabulary=targets,
        labels=labels,
        step_codes=encoding.step_labels,
        channels=job.channels,
        target_names=job.target_names,
        rate_hz=job.rate_hz,
        scaler=Scaler.of(encoding.moments) if scaled and encoding.moments else None,
        outputs=final.channels if final.unit == "value" else (),
        output_rate_hz=final.rate_hz,
        decided=decided,
        byte_pairs=job.byte_pairs,
    )


def fit_byte_pairs(job: Job, roster: Roster) -> str:
    """Byte pairs of the training rows' text, in storage order, some chunks at a time."""
    column = CONTENT_COLUMN[job.domain]

    def batches() -> Iterator[pa.Array]:
        for number in roster.active:
            training = np.flatnonzero(roster.splits[roster.rows(number)] == TRAIN)
            rows = job.table.read_group(*roster.chunks[number], [column])
            yield rows[column].take(pa.array(training)).combine_chunks()

    assert job.tokens.vocab is not None
    return train_byte_pairs(batches(), vocab=job.tokens.vocab, lowercase=job.tokens.lowercase)


def _without_evidence(frequency: Frequency, job: Job) -> Frequency:
    """The table that later preparations need: what rules decided by once is decided."""
    again = any(rule.needs_records and not rule.stored for rule in job.rules)
    records = frequency.records if again else None
    return replace(frequency, records=records, by_label=None, label_totals=None)


def _step_names(job: Job, encoding: Encoding) -> tuple[str, ...]:
    names, codes = job.step_classes, encoding.step_labels
    if len(codes) < 2:
        raise ConfigError(
            f"there is nothing to tell apart: the training steps have {len(codes)} label(s); "
            "check source.target and the split"
        )
    return tuple(str(names[code]) if code < len(names) else str(code) for code in codes)


def bucket_limits(job: Job, totals: Totals) -> tuple[int, ...]:
    """The limits that a person gave, or those with least padding of the training rows."""
    if not isinstance(job.recipe.buckets, int):
        return tuple(job.recipe.buckets)
    edges, rows = bin_lengths(*totals.units.of_split(TRAIN).present)
    return best_limits(edges, rows, count=job.recipe.buckets)
