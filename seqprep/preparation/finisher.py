"""Rows of local ids or values to rows as they are stored: the late steps, final ids, scaling.

The way by which both preparation and prediction make examples.

Legend: R rows of a chunk, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.chunk_ranks import Ranks
from seqprep.fitted import Fitted
from seqprep.preparation.chain import Chain, fill_empty
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.scaling import scale_records
from seqprep.preparation.transform import Transform
from seqprep.ragged import Ints, Ragged
from seqprep.schema import (
    IGNORED_LABEL,
    OOV,
    Task,
    examples_schema,
    num_reserved,
    token_type,
)
from seqprep.vocabulary import Vocabulary, build_vocabulary, complement_ids, complement_ranks


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
                fitted.frequency,
                chain.steps,
                decided=fitted.decided,
                max_vocab=max_vocab,
                reserved=num_reserved(task),
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

    def steps_on_the_fly(self) -> tuple[dict[str, Any], ...]:
        """What batches need to know of the steps that run when they are made."""
        complement = None
        if self.vocabulary is not None and self.complement is not None:
            complement = complement_ids(self.vocabulary)
        return self.chain.steps_on_the_fly(complement)

    def finish(
        self,
        chunk: Chunk,
        *,
        ranks: Ranks | None,
        on_the_fly: bool = False,
        overwrite: bool = False,
    ) -> tuple[Chunk, Ints]:
        """Run the late steps and give every row its final form; the records left empty, too.

        Args:
            chunk: R rows of local ids or values, after the early steps.
            ranks: `(V,)` the rank of each local id; None for values and where ids are ranks.
            on_the_fly: run the steps that training runs when batches are made, too.
            overwrite: whether nobody else needs the chunk, so that results may take the place
                of ids and values.
        """
        if self.vocabulary is None:
            chunk = self.chain.run(chunk, self.chain.late)
            return self._finish_values(chunk, on_the_fly=on_the_fly, overwrite=overwrite)
        table = self.vocabulary.ids.astype(np.int32)
        values = chunk.steps.values
        if self.chain.late or on_the_fly:
            if ranks is not None:
                kind = token_type(len(self.vocabulary.ids)).to_pandas_dtype()
                values = ragged.look_up(ranks.astype(kind), values)
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
        fits = overwrite and values.flags.writeable and values.dtype == small.dtype
        found = ragged.look_up(small, values, out=values if fits else None)
        ids = Ragged(found, chunk.steps.offsets)
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

    def _finish_values(
        self, chunk: Chunk, *, on_the_fly: bool, overwrite: bool
    ) -> tuple[Chunk, Ints]:
        if self.chain.tokens:  # vectors made of tokens have a scale of their own
            pass
        elif self.scale == "channel" and self.fitted.scaler is not None:
            scaled = self.fitted.scaler.apply(chunk.steps, overwrite=overwrite)
            chunk = replace(chunk, steps=scaled)
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
