"""Merged steps: which stand in which block, their means, and what becomes of their targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.blocks import (
    Spans,
    block_spans,
    merge_targets,
    segment_spans,
    span_means,
    span_sums,
    window_spans,
)
from seqprep.ragged import Ragged, from_lists, to_lists, to_offsets
from tests.seqprep.chunks import applied, chunk_of, rows_of, targets_of


def listed(values: list[int], spans: Spans) -> list[list[int]]:
    """The steps of each span."""
    return [
        values[start : start + size]
        for start, size in zip(spans.starts.tolist(), spans.sizes.tolist(), strict=True)
    ]


def test_blocks_end_with_their_row() -> None:
    """A block would hold steps of two records, or the last steps of a record be lost."""
    spans = block_spans(to_offsets([5, 0, 1, 4]), block=2)
    assert listed(list(range(10)), spans) == [[0, 1], [2, 3], [4], [5], [6, 7], [8, 9]]
    assert spans.offsets.tolist() == [0, 3, 3, 4, 6]


def test_windows_with_a_tail_hold_every_step_and_without_only_whole_ones() -> None:
    """Steps at a record's end would be lost, or a window without an end be taken as whole."""
    steps = list(range(9))
    with_tail = window_spans(to_offsets([7, 0, 2]), window=4, stride=2, tail=True)
    assert listed(steps, with_tail) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6], [7, 8]]
    whole = window_spans(to_offsets([7, 0, 2]), window=4, stride=2, tail=False)
    assert listed(steps, whole) == [[0, 1, 2, 3], [2, 3, 4, 5], [7, 8]]
    assert whole.offsets.tolist() == [0, 2, 2, 3]


def test_segments_are_as_many_as_asked_for() -> None:
    """Rows of different lengths would not come out with one length."""
    spans = segment_spans(to_offsets([7, 2, 0, 3]), segments=3)
    assert listed(list(range(12)), spans) == [[0, 1], [2, 3], [4, 5, 6], [7], [8], [9], [10], [11]]


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    window=st.integers(1, 5),
    stride=st.integers(1, 5),
    tail=st.booleans(),
)
def test_sums_of_spans_equal_those_of_slices(
    lengths: list[int], window: int, stride: int, tail: bool
) -> None:
    """Overlapping windows, or the last one, would be summed over other steps than their own."""
    values = 2.0 ** np.arange(sum(lengths))
    spans = window_spans(to_offsets(lengths), window=window, stride=min(stride, window), tail=tail)
    expected = [
        values[start : start + size].sum()
        for start, size in zip(spans.starts, spans.sizes, strict=True)
    ]
    assert span_sums(values, spans).tolist() == expected
    assert span_sums(values[:, None], spans).ravel().tolist() == expected


def test_the_mean_of_a_short_block_is_over_its_own_steps() -> None:
    """Missing steps would count as zeros."""
    spans = block_spans(np.array([0, 3]), block=2)
    values = np.array([[1, 10], [3, 30], [5, 50]], np.float32)
    assert span_means(values, spans).tolist() == [[2, 20], [5, 50]]


@pytest.mark.parametrize(
    ("targets", "how", "merged"),
    [
        ([1, 0, 0, 1, 1], "last", [0, 1]),
        ([0, 0, 1, 1, 0], "majority", [0, 0]),
        ([2, 1, 5, -1, -1], "majority", [1, -1]),
        ([-1, -1, 2, 0, 0], "majority", [2, 0]),
        ([1, 3, 3, 1, 4], "majority", [3, 1]),
    ],
)
def test_labels_of_a_block_become_one(targets: list[int], how: Any, merged: list[int]) -> None:
    """A block would get a label that few of its steps have, ties differ, or ignored steps vote."""
    spans = block_spans(np.array([0, 5]), block=3)
    result = merge_targets(from_lists([targets]), spans, how)
    assert to_lists(result) == [merged]
    assert result.values.dtype == np.int64


def test_regressed_targets_are_averaged_by_channel() -> None:
    """The target of a merged step would mix channels or keep its last step's value."""
    values = np.array([[1, 10], [2, 20], [6, 60]], np.float32)
    spans = block_spans(np.array([0, 2, 3]), block=2)
    result = merge_targets(Ragged(values, np.array([0, 2, 3])), spans, "mean")
    assert result.values.tolist() == [[1.5, 15], [6, 60]]
    assert result.values.dtype == np.float32
    last = merge_targets(Ragged(values, np.array([0, 2, 3])), spans, "last")
    assert last.values.tolist() == [[2, 20], [6, 60]]


@pytest.mark.parametrize(
    "step", [{"block_means": {"block": 2}}, {"paa": {"block": 2}}, {"paa": {"segments": 2}}]
)
def test_means_merge_steps_and_targets_alike(step: dict[str, Any]) -> None:
    """Steps and targets would come out with different lengths, or rows be mixed."""
    chunk = chunk_of([[1, 3, 5, 7], [], [9]], targets=[[0, 1, 2, 3], [], [4]])
    result = applied(chunk, step)
    assert [row.ravel().tolist() for row in rows_of(result)] == [[2, 6], [], [9]]
    assert targets_of(result) == [[1, 3], [], [4]]


def test_the_mean_does_not_depend_on_the_rows_beside() -> None:
    """Another cut into chunks would change the last bits of the rows."""
    rng = np.random.default_rng(3)
    rows = [rng.normal(100, 1, (steps, 3)).tolist() for steps in (1, 50, 333)]
    whole = rows_of(applied(chunk_of(rows), {"block_means": {"block": 100}}))
    for row, expected in zip(rows, whole, strict=True):
        (alone,) = rows_of(applied(chunk_of([row]), {"block_means": {"block": 100}}))
        assert alone.tobytes() == expected.tobytes()
