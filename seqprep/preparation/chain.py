"""A chain of techniques run over a chunk: views, selections, and records left empty (P13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.preparation.chunk import Chunk, concat
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context, Symbols, Transform, as_step
from seqprep.ragged import Ints
from seqprep.schema import IGNORED_LABEL
from seqprep.splits import TRAIN
from seqprep.transforms import name_of, split_chain
from seqprep.transforms.windows import Windows
from seqprep.vocabulary import Vocabulary

Watch = Callable[[int, Chunk, Chunk], None]
"""Told what a step is given and gives: (position, before, after)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """The steps of a recipe, sorted by when they run.

    Args:
        early: (position, step) that need no ranks and run in the first pass.
        late: those after it. on_the_fly: those that run when batches are made.
        views: stored views of a training record beside the whole.
        drop_original: whether training rows lose view 0.
        seed: of all draws.
        forms: of the rows before each step, and after the last one.
        watch: called for each step that runs, from any thread; None where nobody looks.
    """

    early: tuple[tuple[int, Transform], ...]
    late: tuple[tuple[int, Transform], ...]
    on_the_fly: tuple[tuple[int, Transform], ...]
    views: int
    drop_original: bool
    seed: int
    forms: tuple[Form, ...]
    watch: Watch | None = None

    @classmethod
    def of(cls, steps: Sequence[Transform], *, seed: int, form: Form) -> Chain:
        """Sort checked steps.

        Args:
            steps: in the recipe's order.
            seed: of the recipe.
            form: of the rows before the first of them.

        Raises:
            ConfigError: if a step cannot serve the form that it is given.
        """
        stored, _ = split_chain(steps)
        cut = next((i for i, step in enumerate(stored) if step.needs_ranks), len(stored))
        places = list(enumerate(steps))
        return cls(
            early=tuple(places[:cut]),
            late=tuple(places[cut : len(stored)]),
            on_the_fly=tuple(places[len(stored) :]),
            views=max((step.views for step in steps), default=0),
            drop_original=any(step.original == "drop" for step in steps),
            seed=seed,
            forms=chain_forms(steps, form),
        )

    @property
    def steps(self) -> tuple[Transform, ...]:
        """All of them, in the recipe's order."""
        return tuple(step for _, step in (*self.early, *self.late, *self.on_the_fly))

    def until_tokens(
        self, chunk: Chunk, strings: pa.Array | None
    ) -> tuple[Chunk, pa.Array | None, tuple[tuple[int, Transform], ...]]:
        """Run the early steps as far as the one that makes tokens of values, if there is one.

        Args:
            chunk: R rows before any technique.
            strings: `(V,)` the text of their tokens; None for values.

        Returns:
            The chunk, the text of its tokens, and the early steps that are left.
        """
        for place, (_, step) in enumerate(self.early):
            if isinstance(step, Symbols):
                chunk = self.run(chunk, self.early[: place + 1])
                return chunk, step.symbols(self.forms[place]), self.early[place + 1 :]
        return chunk, strings, self.early

    @property
    def spilled(self) -> Form:
        """The form of the rows between the two passes."""
        return self.forms[len(self.early)]

    @property
    def final(self) -> Form:
        """The form of the rows as they are stored, but for what needs the vocabulary."""
        return self.forms[-1]

    @property
    def tokens(self) -> bool:
        """Whether the rows are tokens at any point, which are then counted."""
        return any(form.unit != "value" for form in self.forms)

    def run(
        self,
        chunk: Chunk,
        steps: Sequence[tuple[int, Transform]],
        *,
        vocabulary: Vocabulary | None = None,
        complement: Ints | None = None,
        strings: pa.Array | None = None,
    ) -> Chunk:
        """The chunk after `steps`, which are `early`, `late` or `on_the_fly`.

        Args:
            chunk: R rows.
            steps: with their positions.
            vocabulary: for steps that choose by rank.
            complement: for reverse complements.
            strings: `(V,)` the text of the tokens, where rows are tokens.
        """
        for position, step in steps:
            context = Context(
                seed=self.seed,
                position=position,
                form=self.forms[position],
                fate=None if vocabulary is None else vocabulary.fates.get(position),
                complement=complement,
                strings=strings,
                ids=None if vocabulary is None else vocabulary.ids,
            )
            if step.views or step.when == "train":
                if step.when == "store" and position == self._first_view():
                    if self.watch is None:
                        chunk = self._with_views(chunk, step, context)
                        continue
                    chunk = self.expand(chunk)
                after = _augment(chunk, step, context)
            else:
                after = step.apply(chunk, context)
            if self.watch is not None:
                self.watch(position, chunk, after)
            chunk = after
        return chunk

    def _with_views(self, chunk: Chunk, step: Transform, context: Context) -> Chunk:
        """Expand, then augment; view by view, so that a long record is not copied for each."""
        if (chunk.views > 0).any():
            return _augment(chunk, step, context)
        training = np.flatnonzero(chunk.splits == TRAIN)
        kept = (
            np.flatnonzero(chunk.splits != TRAIN) if self.drop_original else np.arange(len(chunk))
        )
        parts, origin = [chunk.take(kept) if self.drop_original else chunk], [kept]
        source = chunk if len(training) == len(chunk) else chunk.take(training)
        for view in range(1, self.views + 1):
            views = np.full(len(training), view, dtype=np.int64)
            parts.append(step.apply(replace(source, views=views), context))
            origin.append(training)
        places = np.concatenate(origin)
        rows = concat(parts)
        if (np.diff(places) >= 0).all():  # as of one long record, which is not copied once more
            return rows
        return rows.take(np.argsort(places, kind="stable"))

    def _first_view(self) -> int | None:
        every = (*self.early, *self.late)
        return next((position for position, step in every if step.views), None)

    def expand(self, chunk: Chunk) -> Chunk:
        """Training rows once for each view; rows that are views already stay as they are."""
        if (chunk.views > 0).any():
            return chunk
        training = chunk.splits == TRAIN
        first = 1 if self.drop_original else 0
        counts = np.where(training, self.views + 1 - first, 1)
        result = chunk.take(np.repeat(np.arange(len(chunk)), counts))
        return replace(
            result, views=ragged.ranges(np.where(training, first, 0).astype(np.int64), counts)
        )

    @property
    def window_stride(self) -> int:
        """Steps from one window of a record to the next; 0 where rows are not windows."""
        steps = (step for _, step in (*self.early, *self.late))
        return next((step.hop for step in steps if isinstance(step, Windows)), 0)

    def steps_on_the_fly(self, complement: Ints | None) -> tuple[dict[str, Any], ...]:
        """What batches need to know of the steps that run when they are made."""
        listed = []
        for position, step in self.on_the_fly:
            body = as_step(name_of(step), position, step.options())
            if name_of(step) == "reverse_complement":
                assert complement is not None
                body["complement"] = complement.tolist()
            listed.append(body)
        return tuple(listed)


def chain_forms(steps: Sequence[Transform], form: Form) -> tuple[Form, ...]:
    """The form before each step, and after the last one.

    Raises:
        ConfigError: if a step cannot serve the form that it is given.
    """
    forms = [form]
    for step in steps:
        forms.append(step.outcome(forms[-1]))
    return tuple(forms)


def _augment(chunk: Chunk, step: Transform, context: Context) -> Chunk:
    """Apply a step to the views other than 0."""
    marked = chunk.views > 0
    if marked.all():
        return step.apply(chunk, context)
    if not marked.any():
        return chunk
    rest, changed = np.flatnonzero(~marked), np.flatnonzero(marked)
    parts = [chunk.take(rest), step.apply(chunk.take(changed), context)]
    origin = np.concatenate([rest, changed])
    return concat(parts).take(np.argsort(origin, kind="stable"))


def fill_empty(chunk: Chunk, *, step: int, ignored: float = IGNORED_LABEL) -> tuple[Chunk, Ints]:
    """Give rows without steps one step (CONTRACT 16); the chunk, and the records concerned.

    A record counts where it is empty in the first view that its split holds.

    Args:
        chunk: R rows.
        step: the value of that step.
        ignored: its target.
    """
    empty = chunk.lengths == 0
    if not empty.any():
        return chunk, np.zeros(0, dtype=np.int64)
    targets = chunk.targets and ragged.fill_empty(chunk.targets, ignored)
    filled = replace(chunk, steps=ragged.fill_empty(chunk.steps, step), targets=targets)
    return filled, np.unique(chunk.rows[empty & (chunk.views == chunk.first_views)])
