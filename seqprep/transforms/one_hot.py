"""Tokens as vectors with a single one (P10).

Use it before techniques of values: block means of one-hot tokens are their shares in each block. To
feed tokens to a model as they are, `train.model.input: one_hot` does the same and stores one number
a step instead of V. Not for words: a step takes 4 bytes for each entry of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.ragged import Ragged
from seqprep.schema import OOV
from seqprep.transforms.options import TOKEN_UNITS, FixedStep

MAX_CHANNELS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class OneHot(FixedStep):
    """Each token as V - 1 channels, float32: one for OOV, then one for each token by rank.

    Padding has no channel: it is no step.

    >>> form = Form(unit="kmer", vocabulary=("A", "C", "G", "T"))
    >>> OneHot().outcome(form).channels
    ('OOV', 'A', 'C', 'G', 'T')
    """

    name: ClassVar[str] = "one_hot"
    kind: ClassVar[Kind] = "maps"
    units: ClassVar[tuple[Unit, ...]] = TOKEN_UNITS
    needs_ranks: ClassVar[bool] = True

    def gives(self, unit: Unit) -> Unit:
        """Values."""
        return "value"

    def outcome(self, form: Form) -> Form:
        """A channel for each token, once the vocabulary is known.

        Raises:
            ConfigError: if it is too large.
        """
        if form.vocabulary is None:
            return form.as_values((), rate_hz=form.rate_hz)
        if len(form.vocabulary) + 1 > MAX_CHANNELS:
            raise ConfigError(
                f"one_hot: the vocabulary has {len(form.vocabulary):,} tokens and OOV, more than "
                f"{MAX_CHANNELS:,} channels; cut it with tokens.max_vocab or a step `summarize: "
                "{max_vocab: ...}`, or remove the step and set train.model.input: one_hot"
            )
        return form.as_values(("OOV", *form.vocabulary), rate_hz=form.rate_hz)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Set the channel of each step's id."""
        assert context.ids is not None
        channels = context.ids[chunk.steps.values] - OOV
        values = np.zeros((len(channels), int(context.ids.max(initial=OOV))), dtype=np.float32)
        values[np.arange(len(channels)), channels] = 1
        return replace(chunk, steps=Ragged(values, chunk.steps.offsets))
