"""Bucket limits: as good as the best of all choices."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.buckets import (
    MAX_BINS,
    best_limits,
    bin_lengths,
    bucket_of,
    padded_steps,
    padding_share,
)
from seqprep.ingest import ingest
from seqprep.recipe import Tokens
from seqprep.source import Field, Source
from seqprep.table import Table
from seqprep.tokens import encode

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=25)


@given(LENGTHS, st.integers(1, 5))
def test_no_choice_of_limits_pads_less(lengths: list[int], count: int) -> None:
    """The boundaries would waste steps that another choice saves."""
    rows = np.array(lengths)
    limits = best_limits(*bin_lengths(rows), count=count)
    assert len(limits) <= count
    distinct = sorted(set(lengths))
    best = min(
        padded_steps(rows, (*inner, distinct[-1]))
        for size in range(min(count, len(distinct)))
        for inner in combinations(distinct[:-1], size)
    )
    assert padded_steps(rows, limits) == best


@given(LENGTHS, st.integers(1, 5))
def test_every_training_row_fits_its_bucket(lengths: list[int], count: int) -> None:
    """A row would be longer than the limit that its batch is padded to."""
    rows = np.array(lengths)
    buckets = bucket_of(rows, best_limits(*bin_lengths(rows), count=count))
    assert (rows <= buckets).all()


def test_longer_rows_go_to_the_bucket_without_limit() -> None:
    """A test record longer than all of training would be cut or dropped."""
    assert bucket_of(np.array([10, 11]), (5, 10)).tolist() == [10, 0]
    assert padded_steps(np.array([10, 11, 13]), (5, 10)) == 10 + 13 + 13


def test_many_lengths_are_binned() -> None:
    """A million distinct lengths would make the programme take hours."""
    lengths = np.arange(1, 100_001)
    edges, rows = bin_lengths(lengths)
    assert len(edges) <= MAX_BINS
    assert int(rows.sum()) == len(lengths)
    assert edges[-1] == 100_000
    limits = best_limits(edges[::40], np.add.reduceat(rows, np.arange(0, len(rows), 40)), count=4)
    assert np.diff([0, *limits]).std() < 5_000  # equal parts of a uniform spread


def test_shares_count_padding_only() -> None:
    """The share would be of real steps, or negative for no rows."""
    assert padding_share(6, 8) == 0.25
    assert padding_share(0, 0) == 0.0


@pytest.mark.real
@pytest.mark.parametrize(
    ("domain", "name", "column"),
    [("dna", "dna_cpat_coding_noncoding", None), ("text", "text_bbc_news", "text")],
)
def test_limits_pad_less_than_quantiles_and_a_geometric_row(
    datasets: Path, tmp_path: Path, domain: str, name: str, column: str | None
) -> None:
    """A rule of thumb would do as well on real lengths, or better."""
    label = Field(from_="file")
    source = Source(domain=domain, path=str(datasets / name), label=label)  # type: ignore[arg-type]
    ingest(source, dataset="d", store=tmp_path)
    table = Table(tmp_path / "d" / "sequences")
    parts = [table.read_group(*group, [column or "length"]) for group in table.row_groups()]
    if column is None:
        lengths = np.concatenate([part["length"].to_numpy() for part in parts]).astype(np.int64)
    else:
        words = [encode(part[column], Tokens(unit="word")) for part in parts]
        lengths = np.concatenate([encoded.ids.lengths for encoded in words])
    low, high = int(lengths.min()), int(lengths.max())
    for count in (4, 8, 16):
        best = padded_steps(lengths, best_limits(*bin_lengths(lengths), count=count))
        quantiles = np.quantile(lengths, np.arange(1, count + 1) / count, method="higher")
        row = np.ceil(np.geomspace(low, high, count + 1)[1:])
        for limits in (quantiles, row):
            others = (*sorted({int(limit) for limit in limits[:-1]}), high)
            waste = padded_steps(lengths, others) - lengths.sum()
            assert best - lengths.sum() < 0.95 * waste
