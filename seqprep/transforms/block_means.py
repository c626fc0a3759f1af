"""Means of blocks of steps (P11): T steps become T / block.

Use it to shorten values whose slow changes tell: a signal far above the rate that matters, or
one-hot tokens, whose means are their shares in each block. Not where fast changes tell, which a
mean wipes out: there `spectrum`, or a strided convolution as the model's front.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep.blocks import block_spans, span_means
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockMeans(MergingStep):
    """Each channel's mean over blocks of `block` steps; the last block has what is left.

    Args:
        block: steps a mean.
        targets: of the last step of a block, or their mean or majority.

    >>> form = Form(unit="value", channels=("Fz",), rate_hz=256.0)
    >>> BlockMeans(block=4).outcome(form).rate_hz
    64.0
    """

    name: ClassVar[str] = "block_means"

    block: int

    def __post_init__(self) -> None:
        check_at_least(self.name, "block", self.block, 1, "step")
        self.check_targets()

    def outcome(self, form: Form) -> Form:
        """The same channels at a lower rate."""
        return replace(form, rate_hz=form.rate_hz and form.rate_hz / self.block)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Merge blocks of every row."""
        spans = block_spans(chunk.steps.offsets, block=self.block)
        return self.merge(chunk, span_means(chunk.steps.values, spans), spans)
