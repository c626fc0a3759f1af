"""Which tokens a study of removal tries: those that promise most in the stored training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.scores.masking import token_rows
from seqprep.fitted import Fitted
from seqprep.frequency import count_by_label, count_records, count_tokens
from seqprep.ragged import Ints
from seqprep.schema import num_reserved
from seqprep.snapshot import Snapshot, read_shard
from seqprep.transforms.usefulness import mutual_information

_ROWS = 4096
"""Rows that are counted at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Tokens to take out, the most promising first.

    Args:
        ids: `(K,)` in the vocabulary. tokens: their text. counts: occurrences in stored training
            rows. promise: mutual information with the label, or None.
    """

    ids: Ints
    tokens: list[str]
    counts: Ints
    promise: npt.NDArray[np.float64] | None


def candidates(snapshot: Snapshot, bundle: Bundle, *, most: int) -> Candidates:
    """The tokens of the stored training rows that promise most: by information, else by count."""
    facts = snapshot.facts
    size, reserved = facts.vocab_size or 0, num_reserved(facts.task)
    labels = len(facts.labels) if facts.task == "classify" else 0
    counts = np.zeros(size, np.int64)
    held = np.zeros((size, max(labels, 1)), np.int64)
    totals = np.zeros(max(labels, 1), np.int64)
    for shard in snapshot.of("train"):
        table = read_shard(snapshot, shard)
        for start in range(0, len(table), _ROWS):
            part = table.slice(start, _ROWS)
            rows = token_rows(part)
            every = np.ones(len(rows), dtype=bool)
            counts += count_tokens(rows, every, num_tokens=size)
            if labels:
                codes = part["label"].to_numpy().astype(np.int64)
                held += count_by_label(rows, every, codes, num_tokens=size, num_labels=labels)
                totals += np.bincount(codes, minlength=labels)
            else:
                held[:, 0] += count_records(rows, every, num_tokens=size)
    promise = mutual_information(held, totals) if labels else None
    known = np.flatnonzero(counts[reserved:] > 0) + reserved
    rank = counts if promise is None else promise
    ids = known[np.lexsort((known, -rank[known]))][:most]
    strings = Fitted.from_bytes(bundle.fitted).vocabulary
    return Candidates(
        ids=ids,
        tokens=[strings[number - reserved] for number in ids.tolist()],
        counts=counts[ids],
        promise=None if promise is None else promise[ids],
    )
