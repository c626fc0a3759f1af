"""New records to rows of examples, with the state that training was fitted with.

Use it for prediction. It never drops a record, fits nothing and needs no target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.form import source_form
from seqprep.preparation.lists import list_rows
from seqprep.preparation.read_parts import start_chunk
from seqprep.preparation.rows import example_table, target_table
from seqprep.preparation.target_text import encode_targets
from seqprep.ragged import Ragged
from seqprep.recipe import Prepare, resolve_tokens
from seqprep.schema import CONTENT_COLUMN, Task
from seqprep.source import Domain
from seqprep.splits import TEST, TRAIN
from seqprep.tokens import Encoder
from seqprep.transforms import build_steps, check_chain, is_random


@dataclass(frozen=True, kw_only=True, slots=True)
class Applier:
    """Turns records into rows, some at a time; what it needs is built once. Close it after use.

    Args:
        task, domain, recipe, fitted: as `apply_fitted` takes them.
        chain: the steps. finisher: of them. encoder: makes tokens; None where records are values.
        split: whose views the rows are.
    """

    task: Task
    domain: Domain
    recipe: Prepare
    fitted: Fitted
    chain: Chain
    finisher: Finisher
    encoder: Encoder | None
    split: int

    @classmethod
    def of(
        cls, *, domain: Domain, task: Task, recipe: Prepare, fitted: Fitted, views: int = 0
    ) -> Self:
        """Check the recipe and build what every record needs, see `apply_fitted`."""
        steps = build_steps(recipe)
        check_chain(steps, domain=domain, task=task, tokens=recipe.tokens)
        if views and not any(is_random(step) for step in steps):
            raise ConfigError(
                f"predict.views = {views}, but no step of the recipe makes views; remove it, or "
                "train with `views` or `when: train` on a random step"
            )
        tokens = resolve_tokens(domain, recipe.tokens)
        form = source_form(tokens.unit, channels=fitted.channels, rate_hz=fitted.rate_hz)
        chain = Chain.of(steps, seed=recipe.seed, form=form)
        if views:
            chain = replace(chain, views=views, drop_original=True)
        return cls(
            task=task,
            domain=domain,
            recipe=recipe,
            fitted=fitted,
            chain=chain,
            finisher=Finisher.of(
                chain, fitted, task=task, scale=recipe.scale, max_vocab=tokens.max_vocab
            ),
            encoder=None
            if form.width is not None
            else Encoder.of(tokens, byte_pairs=fitted.byte_pairs),
            # Views are made where training made them: a step before them draws once for all views.
            split=TRAIN if views else TEST,
        )

    def apply(self, records: pa.Table) -> pa.Table:
        """Rows of examples, in the order of the records, view and window.

        Args:
            records: rows in the schema of `sequences`; label and targets may be null or lack.
        """
        task, fitted, finisher = self.task, self.fitted, self.finisher
        content = records[CONTENT_COLUMN[self.domain]]
        strings = None
        if self.encoder is None:
            rows = list_rows(content, width=self.chain.forms[0].width)
        else:
            encoded = self.encoder.encode(content)
            strings, rows = encoded.tokens, encoded.ids
        chunk = _started(records, rows, split=self.split, task=task, fitted=fitted)
        chunk, strings, early = self.chain.until_tokens(chunk, strings)
        chunk = self.chain.run(chunk, early, strings=strings)
        ranks = None
        if fitted.frequency is not None:
            ranks = fitted.frequency.ranks(strings).astype(np.int32)
        chunk, _ = finisher.finish(chunk, ranks=ranks, on_the_fly=self.split == TRAIN)
        chunk = chunk.take(np.lexsort((chunk.windows, chunk.views, chunk.rows)))
        chunk = finisher.step_labels(chunk)
        target = _targets(records, self.recipe, fitted) if task == "translate" else None
        table = example_table(
            chunk,
            records,
            finisher.schema,
            labels=_labels(records, task, fitted),
            target=None if target is None else ragged.take(target, chunk.rows),
            seed=self.recipe.seed,
        )
        return table.select(finisher.schema.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.encoder is not None:
            self.encoder.close()


def apply_fitted(
    records: pa.Table,
    *,
    domain: Domain,
    task: Task,
    recipe: Prepare,
    fitted: Fitted,
    views: int = 0,
) -> pa.Table:
    """Rows of examples, in the order of the records, view and window.

    Args:
        records: rows in the schema of `sequences`; label and targets may be null or lack.
        domain: of the training.
        task: of the training.
        recipe: of the training.
        fitted: its state.
        views: 0: each record as validation and test saw it (view 0). n: views 1..n of each, the
            same ones every time, whose predictions are averaged.

    Raises:
        ConfigError: if views are wanted and no step of the recipe draws any.
    """
    with Applier.of(domain=domain, task=task, recipe=recipe, fitted=fitted, views=views) as applier:
        return applier.apply(records)


def _started(records: pa.Table, rows: Ragged, *, split: int, task: Task, fitted: Fitted) -> Chunk:
    codes = np.full(len(records), split, dtype=np.int8)
    width = max(len(fitted.target_names), 1) if task == "regress_steps" else None
    column = "targets" if "targets" in records.column_names else None
    if column and records[column].null_count:
        records = records.drop_columns([column])
    return start_chunk(records, rows, codes, task=task, target_width=width)


def _labels(records: pa.Table, task: Task, fitted: Fitted) -> pa.Array | None:
    if task == "regress":
        return (
            pa.nulls(len(records), pa.float64())
            if "label" not in records.column_names
            else (records["label"].combine_chunks().cast(pa.float64()))
        )
    if task != "classify":
        return None
    if "label" not in records.column_names:
        return pa.nulls(len(records), pa.int32())
    names = pa.array(fitted.labels, pa.string())
    return pc.index_in(records["label"].cast(pa.string()), value_set=names).combine_chunks()


def _targets(records: pa.Table, recipe: Prepare, fitted: Fitted) -> Ragged | None:
    column = "target_text"
    if column not in records.column_names or records[column].null_count:
        return None
    encoded = encode_targets(records[column], recipe)
    known = pa.array(fitted.target_vocabulary, pa.large_string())
    found = pc.fill_null(pc.index_in(encoded.tokens, value_set=known), len(known))
    ids = target_table(len(known))[found.to_numpy(zero_copy_only=False)]
    return Ragged(ids[encoded.ids.values], encoded.ids.offsets)
