"""Piecewise aggregate approximation (P10): each row as the means of so many segments.

Use `segments` where records differ in length and should become rows of one length, each a sketch of
the whole. Use `block` (the same as `block_means`) where a step should stand for the same time in
every record.

Source: Keogh, Chakrabarti, Pazzani & Mehrotra 2001, doi:10.1007/PL00011669; Yi & Faloutsos 2000
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep.blocks import Spans, block_spans, segment_spans, span_means
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.ragged import Ints
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class Paa(MergingStep):
    """Means of segments: a fixed number of them, or of a fixed length; name one of the two.

    Args:
        segments: means of each row. Segment i of T steps begins at step floor(i x T / segments), so
            their sizes differ by at most one step; a shorter row stays as it is.
        block: steps a mean, as for `block_means`.
        targets: of the last step of a segment, or their mean or majority.

    >>> Paa(segments=16).outcome(Form(unit="value", channels=("Fz",), rate_hz=256.0)).rate_hz
    >>> Paa(block=4).outcome(Form(unit="value", channels=("Fz",), rate_hz=256.0)).rate_hz
    64.0
    """

    name: ClassVar[str] = "paa"

    segments: int | None = None
    block: int | None = None

    def __post_init__(self) -> None:
        if (self.segments is None) == (self.block is None):
            raise ConfigError(
                "paa needs either `segments`, the means of each row, or `block`, the steps of each "
                f"mean; got segments: {self.segments}, block: {self.block}"
            )
        for key, unit in (("segments", "segment"), ("block", "step")):
            if (value := getattr(self, key)) is not None:
                check_at_least(self.name, key, value, 1, unit)
        self.check_targets()

    def outcome(self, form: Form) -> Form:
        """The same channels; a fixed number of segments has no rate of its own."""
        if self.block is None or form.rate_hz is None:
            return replace(form, rate_hz=None)
        return replace(form, rate_hz=form.rate_hz / self.block)

    def spans(self, offsets: Ints) -> Spans:
        """The segments of rows with these offsets."""
        if self.block is not None:
            return block_spans(offsets, block=self.block)
        assert self.segments is not None
        return segment_spans(offsets, segments=self.segments)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Merge the segments of every row."""
        spans = self.spans(chunk.steps.offsets)
        return self.merge(chunk, span_means(chunk.steps.values, spans), spans)
