"""Symbolic aggregate approximation (P10): letters for the block means of a normalised signal.

Use it to give signals to techniques and models of tokens: embeddings, frequency cuts, n-grams. Not
where amplitude tells: each row and channel is brought to mean 0 and deviation 1 first.

Source: Lin, Keogh, Lonardi & Chiu 2003, doi:10.1145/882082.882086; Lin, Keogh, Wei & Lonardi 2007,
doi:10.1007/s10618-007-0064-z
Legend: R rows, N steps, B blocks, F channels, V = alphabet^F tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from statistics import NormalDist
from string import ascii_lowercase
from typing import ClassVar

import numpy as np
import pyarrow as pa

from seqprep.blocks import Floats, Spans, block_spans, span_means, span_sums
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.ragged import Ints, Ragged, to_offsets
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import check_at_least

MAX_TOKENS = 65_536
CONSTANT = 1e-6
"""A channel whose deviation is at most this part of its largest absolute value is constant: about
what rounding to float32 leaves of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sax(MergingStep):
    """One letter for each block of `block` steps; of several channels one token of F letters.

    Each row and channel is normalised (population deviation), its blocks' means are cut at the
    quantiles of the normal distribution into `alphabet` equally likely parts, `a` the lowest. A
    mean on a cut belongs to the part above. The last block has the steps that are left. A constant
    channel is the middle letter throughout (of an even alphabet the upper one of two). Windows and
    views that were made before are normalised each by itself.

    Args:
        block: steps a symbol.
        alphabet: letters, 2 to 26.
        targets: of the last step of a block, or their mean or majority.

    >>> form = Form(unit="value", channels=("left", "right"))
    >>> Sax(block=8, alphabet=2).symbols(form).to_pylist()
    ['aa', 'ab', 'ba', 'bb']
    """

    name: ClassVar[str] = "sax"

    block: int = 8
    alphabet: int = 8

    def __post_init__(self) -> None:
        check_at_least(self.name, "block", self.block, 1, "step")
        check_at_least(self.name, "alphabet", self.alphabet, 2, "letters")
        if self.alphabet > len(ascii_lowercase):
            raise ConfigError(f"sax.alphabet must be <= 26 letters, got {self.alphabet}")
        self.check_targets()

    def gives(self, unit: Unit) -> Unit:
        """Symbols."""
        return "symbol"

    def outcome(self, form: Form) -> Form:
        """Symbols at a lower rate.

        Raises:
            ConfigError: if the channels together would have too many different tokens.
        """
        width = form.width or 1
        if self.alphabet**width > MAX_TOKENS:
            most = int(MAX_TOKENS ** (1 / width) + 1e-9)
            raise ConfigError(
                f"sax: {self.alphabet} letters of {width} channels are {self.alphabet**width:,} "
                f"tokens, more than {MAX_TOKENS:,}; "
                + (f"use alphabet: {most} or fewer, or " if most > 1 else "")
                + "read fewer channels (source.channels)"
            )
        return replace(
            form, unit="symbol", channels=(), rate_hz=form.rate_hz and form.rate_hz / self.block
        )

    def symbols(self, form: Form) -> pa.Array:
        """`(V,)` every token of rows of this form, in the order of the alphabet."""
        letters = ascii_lowercase[: self.alphabet]
        words = map("".join, product(letters, repeat=form.width or 1))
        return pa.array(words, pa.large_string())

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Tokens of every row, as places among `symbols`."""
        spans = block_spans(chunk.steps.offsets, block=self.block)
        means = _normalised(chunk.steps, spans)
        shares = (place / self.alphabet for place in range(1, self.alphabet))
        cuts = np.array([NormalDist().inv_cdf(share) for share in shares])
        letters = np.searchsorted(cuts, means, side="right")
        places = self.alphabet ** np.arange(means.shape[1] - 1, -1, -1)
        return self.merge(chunk, (letters * places).sum(axis=1).astype(np.int32), spans)


def _normalised(rows: Ragged, spans: Spans) -> Floats:
    """Means of the spans `(B, F)` of rows that were brought to mean 0 and deviation 1."""
    some = np.flatnonzero(rows.lengths)
    whole = Spans(
        starts=rows.offsets[some], sizes=rows.lengths[some], offsets=to_offsets(rows.lengths > 0)
    )
    wide = rows.values.astype(np.float64)
    mean = span_means(wide, whole)
    centred = wide - np.repeat(mean, whole.sizes, axis=0)
    deviation = np.sqrt(span_sums(centred**2, whole) / whole.sizes[:, None])
    steady = deviation <= CONSTANT * _largest(wide, whole.starts)
    deviation[steady] = 1.0
    blocks: Ints = np.diff(spans.offsets)[some]
    means = span_means(centred, spans) / np.repeat(deviation, blocks, axis=0)
    means[np.repeat(steady, blocks, axis=0)] = 0.0
    return means


def _largest(values: Floats, starts: Ints) -> Floats:
    """The largest absolute value of each row that has steps, and channel."""
    if not len(starts):
        return np.abs(values[:0])
    largest: Floats = np.maximum.reduceat(np.abs(values), starts, axis=0)
    return largest
