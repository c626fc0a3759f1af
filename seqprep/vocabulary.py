"""Token ranks to the ids of a vocabulary, and what a chain does to each token.

Rules by token depend on counts alone, so what becomes of every token is known before any row is
touched, and the vocabulary holds only tokens that can occur: an
embedding has no row that is never used.

Legend: V tokens of the frequency table; place V stands for every token that it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        ids: `(V + 1,)` the id of each rank: OOV, or 2 and up in order of rank. One that is removed
            is OOV, too: the other strand of a k-mer that stays may bring it back.
        fates: for each step of the chain by position, what it does to each rank, where it asks.
        removed: `(V + 1,)` tokens, by their rank before any rule, that some rule removes.
        tokens: the strings of the ids from `reserved` on.
        reserved: ids below it are not tokens.
    """

    ids: Ints
    fates: dict[int, Fate]
    removed: Bools
    tokens: pa.Array
    reserved: int = NUM_RESERVED

    @property
    def size(self) -> int:
        """Ids, reserved ones included."""
        return self.reserved + len(self.tokens)


Asked = Callable[[int, TokenRule, Bools], Bools]
"""What a rule at a position removes of the tokens that are left to it, `(V + 1,)`."""


def decide(
    frequency: Frequency, steps: Sequence[Transform], tables: Mapping[str, TokenTable]
) -> dict[int, Bools]:
    """What the rules remove that counts alone do not give again, by position: fitted state.

    Args:
        frequency: of the training rows, with all that the rules ask for.
        steps: the chain.
        tables: by the path that the recipe names.
    """
    decided = {}

    def ask(position: int, step: TokenRule, alive: Bools) -> Bools:
        gone = step.removed(Evidence(frequency=frequency, alive=alive, tables=tables))
        if step.stored:
            decided[position] = gone
        return gone

    _walk(len(frequency), steps, ask)
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
    >>> found = build_vocabulary(table, [Summarize(drop_top=1, min_count=2)])
    >>> found.ids.tolist(), found.removed.tolist()
    ([1, 2, 1, 1], [True, False, True, True])
    """

    def ask(position: int, step: TokenRule, alive: Bools) -> Bools:
        if step.stored:
            return (decided or {})[position]
        return step.removed(Evidence(frequency=frequency, alive=alive))

    state, fates = _walk(len(frequency), steps, ask)
    known = _capped(state == KEPT, max_vocab)
    ids = np.full(len(frequency) + 1, OOV, dtype=np.int64)
    ids[known] = np.arange(reserved, reserved + int(known.sum()))
    return Vocabulary(
        ids=ids,
        fates=fates,
        removed=state == REMOVED,
        tokens=frequency.tokens.filter(pa.array(known[:-1])),
        reserved=reserved,
    )


def _walk(total: int, steps: Sequence[Transform], ask: Asked) -> tuple[Fate, dict[int, Fate]]:
    """What becomes of every token along a chain.

    What a rule made OOV has no rank any longer: the rules behind it treat it as unseen tokens.

    Args:
        total: V.
        steps: the chain.
        ask: what a rule removes.

    Returns:
        `(V + 1,)` the state of each token, by its rank before any rule, at the end; and for each
        rule what it does to what rows hold, where place V stands for all that is OOV.
    """
    state = np.full(total + 1, KEPT, dtype=np.int8)
    state[-1] = UNKNOWN
    fates = {}
    for position, step in enumerate(steps):
        if not isinstance(step, TokenRule):
            continue
        alive = state == KEPT
        alive[-1] = (state == UNKNOWN).any()
        gone = ask(position, step, alive)
        state[np.where(state == KEPT, gone, gone[-1])] = REMOVED
        known = state == KEPT
        state[known & ~_capped(known, step.limit)] = UNKNOWN
        fates[position] = state.copy()
        fates[position][-1] = REMOVED if gone[-1] else UNKNOWN
    return state, fates


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


def _capped(known: Bools, limit: int | None) -> Bools:
    return known if limit is None else known & (np.cumsum(known) <= limit)
