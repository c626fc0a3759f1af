"""What is learnt from training rows: vocabulary, labels, scaler, bucket limits."""

from __future__ import annotations

import numpy as np

from seqprep.buckets import best_limits, bin_lengths
from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.preparation.first_pass import Encoding, Job
from seqprep.preparation.roster import Roster
from seqprep.preparation.scaling import Scaler
from seqprep.preparation.totals import Totals
from seqprep.splits import TRAIN
from seqprep.vocabulary import build_vocabulary


def fit(job: Job, roster: Roster, encoding: Encoding) -> Fitted:
    """Everything that is learnt from training rows, but for the buckets."""
    vocabulary: tuple[str, ...] = ()
    if encoding.frequency is not None:
        steps = job.chain.steps
        built = build_vocabulary(encoding.frequency, steps, max_vocab=job.tokens.max_vocab)
        vocabulary = tuple(built.tokens.to_pylist())
    targets: tuple[str, ...] = ()
    if encoding.target_frequency is not None:
        limit = job.recipe.target_tokens.max_vocab
        targets = tuple(encoding.target_frequency.tokens[:limit].to_pylist())
    scaled = job.recipe.scale == "channel" and encoding.moments is not None
    labels = roster.names
    if job.task == "label_steps":
        labels = _step_names(job, encoding)
    return Fitted(
        frequency=encoding.frequency,
        vocabulary=vocabulary,
        target_vocabulary=targets,
        labels=labels,
        step_codes=encoding.step_labels,
        channels=job.channels,
        target_names=job.target_names,
        rate_hz=job.rate_hz,
        scaler=Scaler.of(encoding.moments) if scaled and encoding.moments else None,
    )


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
    edges, rows = bin_lengths(totals.units[totals.splits == TRAIN].astype(np.int64))
    return best_limits(edges, rows, count=job.recipe.buckets)
