"""Token ranks to the ids of a vocabulary, and what a chain does to each token.

Rules by token depend on counts alone, so what becomes of every token is known before any row is
touched, and the vocabulary holds only tokens that can occur: an
embedding has no row that is never used.

Legend: V tokens of the frequency table; place V stands for every token that it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.frequency import Frequency
from seqprep.preparation.transform import Transform
from seqprep.ragged import Ints
from seqprep.schema import NUM_RESERVED, OOV
from seqprep.token_table import TokenTable
from seqprep.tokens import reverse_complements
from seqprep.transforms.token_rule import KEPT, REMOVED, UNKNOWN, Bools, Evidence, TokenRule

Fate = npt.NDArray[np.int8]
"""`(V + 1,)` REMOVED, KEPT or UNKNOWN for each rank, and for unseen tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The ids of tokens.

    Args:
        ids: `(V + 1,)` the id of each rank: 0 for one that is always removed, OOV, or 2 and up in
            order of rank.
        fates: for each step of the chain by position, what it does to each rank, where it asks.
        tokens: the strings of the ids from `reserved` on.
        reserved: ids below it are not tokens.
    """

    ids: Ints
    fates: dict[int, Fate]
    tokens: pa.Array
    reserved: int = NUM_RESERVED

    @property
    def size(self) -> int:
        """Ids, reserved ones included."""
        return self.reserved + len(self.tokens)


def decide(
    frequency: Frequency, steps: Sequence[Transform], tables: Mapping[str, TokenTable]
) -> dict[int, Bools]:
    """What the rules remove that counts alone do not give again, by position: fitted state.

    Args:
        frequency: of the training rows, with all that the rules ask for.
        steps: the chain.
        tables: by the path that the recipe names.
    """
    alive = np.ones(len(frequency) + 1, dtype=bool)
    decided = {}
    for position, step in enumerate(steps):
        if isinstance(step, TokenRule):
            gone = step.removed(Evidence(frequency=frequency, alive=alive, tables=tables))
            alive &= ~gone
            if step.stored:
                decided[position] = gone
    return decided


def build_vocabulary(
    frequency: Frequency,
    steps: Sequence[Transform],
    *,
    decided: Mapping[int, Bools] | None = None,
    max_vocab: int | None = None,
    reserved: int = NUM_RESERVED,
) -> Vocabulary:
    """The vocabulary that is left by the rules of a chain.

    Args:
        frequency: of the training rows.
        steps: the chain.
        decided: what `decide` said.
        max_vocab: tokens beyond the most frequent ones that are left become OOV.
        reserved: ids below it are not tokens.

    >>> from seqprep.transforms.summarize import Summarize
    >>> table = Frequency(
    ...     tokens=pa.array(["the", "cat", "sat"]), counts=np.array([9, 2, 1]),
    ...     records=None, num_records=3)
    >>> build_vocabulary(table, [Summarize(drop_top=1, min_count=2)]).ids.tolist()
    [0, 2, 0, 0]
    """
    total = len(frequency)
    alive = np.ones(total + 1, dtype=bool)
    known = np.append(np.ones(total, dtype=bool), False)
    fates = {}
    for position, step in enumerate(steps):
        if isinstance(step, TokenRule):
            alive &= ~_removed(step, position, frequency, alive, decided or {})
            known = _capped(known & alive, step.limit)
            fates[position] = np.where(alive, np.where(known, KEPT, UNKNOWN), REMOVED).astype(
                np.int8
            )
    known = _capped(known & alive, max_vocab)
    ids = np.where(alive, OOV, 0).astype(np.int64)
    ids[known] = np.arange(reserved, reserved + int(known.sum()))
    tokens = frequency.tokens.filter(pa.array(known[:-1]))
    return Vocabulary(ids=ids, fates=fates, tokens=tokens, reserved=reserved)


def _removed(
    step: TokenRule,
    position: int,
    frequency: Frequency,
    alive: Bools,
    decided: Mapping[int, Bools],
) -> Bools:
    if step.stored:
        return decided[position]
    return step.removed(Evidence(frequency=frequency, alive=alive))


def complement_ranks(frequency: Frequency) -> Ints:
    """The rank of each k-mer's reverse complement, `(V + 1,)`; V where no training row holds it."""
    ranks = frequency.ranks(reverse_complements(frequency.tokens))
    return np.append(ranks, len(frequency))


def complement_ids(vocabulary: Vocabulary) -> Ints:
    """The id of each id's reverse complement, `(ids,)`, for views drawn when batches are made."""
    found = pc.index_in(reverse_complements(vocabulary.tokens), value_set=vocabulary.tokens)
    places = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    ids = np.where(places < 0, OOV, places + vocabulary.reserved)
    return np.concatenate([np.arange(vocabulary.reserved), ids])


def _capped(known: npt.NDArray[np.bool_], limit: int | None) -> npt.NDArray[np.bool_]:
    return known if limit is None else known & (np.cumsum(known) <= limit)
