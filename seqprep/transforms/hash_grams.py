"""Hashed n-grams of blocks of tokens as vectors of a fixed size (P12).

Use it to shorten text or k-mers of any vocabulary to one vector a block, without a vocabulary to
fit or to outgrow. Not where single tokens must be told apart for certain: grams share features.

Source: Weinberger, Dasgupta, Langford, Smola & Attenberg 2009, doi:10.1145/1553374.1553516
Legend: V tokens, N steps, B blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqprep.blocks import Spans, block_spans
from seqprep.hashing import Ints, Keys, mix, row_keys
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.schema import OOV
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import TOKEN_UNITS, check_at_least

_BLOCK_STEPS = 2**18
"""About so many steps are worked on at a time."""
_UNKNOWN = mix(np.zeros(1, dtype=np.uint64), 17)
"""The hash of every token that the vocabulary lacks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HashGrams(MergingStep):
    """Each block's 1-grams to n-grams, added to the feature that their hash names, with its sign.

    Grams are hashed by the text of their tokens and do not cross blocks. A feature holds a whole
    number: grams with one sign less those with the other. The last block has the tokens that are
    left. Where tokens are OOV (after `summarize: {max_vocab: ...}` and the like) they share one
    hash.

    Args:
        n: tokens of the longest gram.
        block: tokens a vector.
        features: of a vector.
        targets: of the last token of a block, or their mean or majority.

    >>> HashGrams(block=64, features=2).outcome(Form(unit="word")).channels
    ('hash 0', 'hash 1')
    """

    name: ClassVar[str] = "hash"
    units: ClassVar[tuple[Unit, ...]] = TOKEN_UNITS

    n: int = 2
    block: int
    features: int

    def __post_init__(self) -> None:
        check_at_least(self.name, "n", self.n, 1, "token")
        check_at_least(self.name, "block", self.block, 1, "token")
        check_at_least(self.name, "features", self.features, 1, "feature")
        self.check_targets()

    def gives(self, unit: Unit) -> Unit:
        """Values."""
        return "value"

    def outcome(self, form: Form) -> Form:
        """So many features, at a lower rate."""
        names = tuple(f"hash {number}" for number in range(self.features))
        return form.as_values(names, rate_hz=form.rate_hz and form.rate_hz / self.block)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Hash the blocks of every row."""
        assert context.strings is not None
        keys = np.append(row_keys(context.strings), _UNKNOWN)
        if context.ids is not None:
            keys[context.ids == OOV] = _UNKNOWN
        spans = block_spans(chunk.steps.offsets, block=self.block)
        values = hash_grams(chunk.steps.values, keys, spans, n=self.n, features=self.features)
        return self.merge(chunk, values, spans)


def hash_grams(
    tokens: npt.NDArray[np.integer], keys: Keys, spans: Spans, *, n: int, features: int
) -> npt.NDArray[np.float32]:
    """Signed sums of the grams inside each span by feature, `(B, features)`.

    Args:
        tokens: `(N,)` places in `keys`.
        keys: `(V + 1,)` the hash of each token; the last one of all others.
        spans: that do not overlap and leave nothing out.
        n: tokens of the longest gram.
        features: of a vector.
    """
    result = np.empty((len(spans), features), dtype=np.float32)
    many = max(_BLOCK_STEPS // max(int(spans.sizes.max(initial=1)), 1), 1)
    for first in range(0, len(spans), many):
        starts, sizes = spans.starts[first : first + many], spans.sizes[first : first + many]
        part = tokens[int(starts[0]) : int(starts[-1] + sizes[-1])]
        result[first : first + many] = _block_sums(keys[part], sizes, n=n, features=features)
    return result


def _block_sums(token_keys: Keys, sizes: Ints, *, n: int, features: int) -> npt.NDArray[np.float64]:
    """Of consecutive spans of these sizes that hold all of `token_keys`."""
    span = np.repeat(np.arange(len(sizes)), sizes)
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(span))  # steps to the span's end
    sums = np.zeros(len(sizes) * features)
    starts, grams = np.arange(len(span)), token_keys
    for length in range(1, n + 1):
        if length > 1:
            whole = left[starts] >= length
            starts = starts[whole]
            # The salt tells a token's places in a gram apart: ab and ba are two grams.
            added = mix(token_keys[starts + length - 1], length)
            grams = mix(grams[whole] ^ added)
        drawn = mix(grams, 19)
        feature = ((drawn >> np.uint64(1)) % np.uint64(features)).astype(np.int64)
        signs = 1 - 2.0 * (drawn & np.uint64(1))
        sums += np.bincount(span[starts] * features + feature, signs, minlength=len(sums))
    return sums.reshape(len(sizes), features)
