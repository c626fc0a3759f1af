"""Tables of numbers: what Arrow parses is what Polars would have parsed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqprep.domains import signal_tables
from seqprep.domains.signal_arrow import is_plain, read_plain
from seqprep.domains.signal_layout import Layout, SignalError, find_layout
from seqprep.domains.signal_tables import read_columns

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.decimals(-10_000, 10_000, places=1).map(str),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(["+1.5", ".5", "5.", "-.5", "-0.0", "1E3", "1e-320", "00012", "0x1A", "1_0"]),
)
ODD = st.sampled_from(
    [
        *("", "NA", "nan", "-nan", "NaN", "None", "none", "?", "inf", "-Infinity", "1e400"),
        *("abc", "nan(1)", "1,5", '"1.5"', " 2", "2 ", "\t3", "1.2.3", "1/2", "--1", "é", "1e"),
        *(".", "-", "+"),
    ]
)


def layout_of(rows: list[list[str]], separator: str = ",") -> Layout:
    """A table under a header."""
    names = separator.join(f"c{place}" for place in range(len(rows[0])))
    text = "\n".join([names, *(separator.join(row) for row in rows)]) + "\n"
    return find_layout(text.encode(), header="yes")


def read(layout: Layout, *, allow_missing: bool) -> object:
    """The columns of a table, or what is wrong with it."""
    places = range(layout.width)
    try:
        values, texts = read_columns(
            layout, numbers=places[:2], texts=places[2:], allow_missing=allow_missing
        )
    except SignalError as error:
        return error
    return values.shape, values.tobytes(), [text.to_list() for text in texts]


@given(st.data(), st.sampled_from(",;\t"), st.booleans(), st.booleans())
def test_both_parsers_give_the_same_bits_and_the_same_faults(
    data: st.DataObject, separator: str, odd: bool, allow_missing: bool
) -> None:
    """Otherwise the values of a record would depend on how another cell of its file is written."""
    cell = st.one_of(NUMBERS, ODD) if odd else NUMBERS
    row = st.lists(cell, min_size=1, max_size=3)
    width = data.draw(st.integers(2, 4))
    if not odd:
        row = st.lists(cell, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    assume(any(text.strip() for cells in rows for text in cells))
    layout = layout_of(rows, separator)
    found = read(layout, allow_missing=allow_missing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_tables, "is_plain", lambda layout: False)
        expected = read(layout, allow_missing=allow_missing)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("segment_bytes", [1, 30, 1000, 10**6])
def test_numbers_of_several_blocks_stand_in_one_array(
    monkeypatch: pytest.MonkeyPatch, segment_bytes: int
) -> None:
    """Otherwise rows behind the first block would be lost or stand in another column."""
    monkeypatch.setattr("seqprep.domains.signal_arrow.BLOCK_BYTES", 64)
    monkeypatch.setattr("seqprep.domains.signal_arrow.SEGMENT_BYTES", segment_bytes)
    monkeypatch.setattr("seqprep.domains.signal_arrow.CELL_BYTES", 1)
    rows = [[str(step), f"{step / 10:.1f}", f"n{step}"] for step in range(500)]
    found = read_plain(layout_of(rows), numbers=[1, 0], texts=[2])
    assert found is not None
    values, texts, _ = found
    np.testing.assert_array_equal(values[:, 0], np.arange(500) / 10)
    np.testing.assert_array_equal(values[:, 1], np.arange(500))
    assert texts[0].to_list() == [f"n{step}" for step in range(500)]


@pytest.mark.parametrize(
    "body",
    ['"1",2\n3,4\n', "1, 2\n3,4\n", "1,\t2\n3,4\n", "1;2,5\n3;4\n", "1 2\n3 4\n"],
)
def test_quotes_blanks_and_decimal_commas_are_left_to_polars(body: str) -> None:
    """Arrow would take them for something else."""
    assert not is_plain(find_layout(body.encode(), header="no"))


@pytest.mark.parametrize("body", ["1,2\n3\n", "1,2\n3,x\n", "1,2\n3,1_0\n"])
def test_rows_and_numbers_that_arrow_does_not_know_are_left_to_polars(body: str) -> None:
    """Otherwise a bad row would be an error of Arrow's, without a line."""
    assert read_plain(find_layout(body.encode(), header="no"), numbers=[0, 1], texts=[]) is None


def test_an_empty_line_is_not_a_row() -> None:
    """Otherwise a step without values would stand between the others."""
    layout = find_layout(b"1,a\n,b\n\n3,c\n", header="no")
    with pytest.raises(SignalError) as error:
        read_columns(layout, numbers=[0], texts=[1], allow_missing=True)
    assert (error.value.reason, error.value.line) == ("missing_values", 3)


def test_cells_that_say_they_are_missing_are_not_looked_at_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise one missing value would make a recording's file a hundred times slower to read."""

    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("lines were looked at")

    layout = layout_of([["1", "2", "NA"], ["", "4", "5"], ["?", "nan", "6"]])
    monkeypatch.setattr(signal_tables, "_first_fault", refuse)
    values, _ = read_columns(layout, numbers=[0, 1, 2], texts=[], allow_missing=True)
    np.testing.assert_array_equal(np.isnan(values).sum(axis=0), [2, 1, 1])
    with pytest.raises(AssertionError, match="looked at"):
        read_columns(layout, numbers=[0, 1, 2], texts=[], allow_missing=False)
