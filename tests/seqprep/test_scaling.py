"""Scaling of signals: fitted once, merged exactly, per channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.preparation.scaling import BLOCK_STEPS, Moments, Scaler, scale_records
from seqprep.ragged import Ragged


@given(st.integers(1, 60), st.integers(1, 59), st.integers(0, 9))
def test_merged_moments_equal_those_of_all(steps: int, cut: int, seed: int) -> None:
    """The scaler would depend on how the data were cut into chunks."""
    values = np.random.default_rng(seed).normal(50, 3, (steps, 2)).astype(np.float32)
    whole = Moments.of(values)
    parts = Moments.of(values[:cut]).merge(Moments.of(values[cut:]))
    assert parts.count == whole.count
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.squares, whole.squares, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", [1, BLOCK_STEPS, BLOCK_STEPS + 1, 3 * BLOCK_STEPS - 7])
@pytest.mark.parametrize("width", [1, 2, 8])
def test_blocks_give_the_bits_of_all_steps_at_once(steps: int, width: int) -> None:
    """A scaler would change with the size of a core's cache, and every example with it."""
    values = np.random.default_rng(steps).normal(900, 3, (steps, width)).astype(np.float32)
    moments = Moments.of(values)
    wide = values.astype(np.float64)
    np.testing.assert_array_equal(moments.mean, wide.mean(axis=0))
    np.testing.assert_array_equal(moments.squares, ((wide - wide.mean(axis=0)) ** 2).sum(axis=0))
    scaler = Scaler.of(moments)
    scaled = scaler.apply(Ragged(values, np.array([0, steps]))).values
    expected = (wide - np.array(scaler.mean)) / np.array(scaler.std)
    np.testing.assert_array_equal(scaled, expected.astype(np.float32))


@pytest.mark.parametrize("width", [1, 3])
def test_moments_of_chosen_steps_are_as_if_others_were_not_there(width: int) -> None:
    """Otherwise values of test rows would enter the scaler, or bits hang on where they stand."""
    rng = np.random.default_rng(width)
    values = rng.normal(900, 3, (4 * BLOCK_STEPS, width)).astype(np.float32)
    chosen = np.repeat(rng.random(16) < 0.5, BLOCK_STEPS // 4)
    chosen[-BLOCK_STEPS:] = rng.random(BLOCK_STEPS) < 0.5
    found, expected = Moments.of(values, chosen), Moments.of(values[chosen])
    assert found.count == expected.count
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.squares, expected.squares)
    assert Moments.of(values, np.zeros(len(values), bool)).count == 0


def test_values_are_overwritten_only_if_that_is_allowed() -> None:
    """Otherwise a chunk that is read again would be scaled twice."""
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    scaler = Scaler(mean=(1.0, 2.0), std=(2.0, 4.0))
    before, rows = values.copy(), Ragged(values, np.array([0, 3]))
    expected = scaler.apply(rows).values
    np.testing.assert_array_equal(values, before)
    values.flags.writeable = False
    np.testing.assert_array_equal(scaler.apply(rows, overwrite=True).values, expected)
    values.flags.writeable = True
    assert scaler.apply(rows, overwrite=True).values is values
    np.testing.assert_array_equal(values, expected)


def test_channels_are_scaled_apart() -> None:
    """A loud channel would drown a quiet one."""
    values = np.array([[0, 1000], [2, 3000]], dtype=np.float32)
    scaled = Scaler.of(Moments.of(values)).apply(Ragged(values, np.array([0, 2]))).values
    assert scaled.tolist() == [[-1, -1], [1, 1]]
    assert scaled.dtype == np.float32


def test_a_channel_that_never_changes_stays_finite() -> None:
    """A constant channel would become NaN."""
    values = np.full((3, 1), 7, dtype=np.float32)
    rows = Ragged(values, np.array([0, 3]))
    assert Scaler.of(Moments.of(values)).apply(rows).values.tolist() == [[0], [0], [0]]
    assert scale_records(rows).values.tolist() == [[0], [0], [0]]


def test_amplitude_survives_unless_records_are_scaled() -> None:
    """Per-record scaling destroys amplitude, which in EEG is information."""
    rows = Ragged(np.array([[1], [-1], [9], [-9]], dtype=np.float32), np.array([0, 2, 2, 4]))
    scaled = Scaler.of(Moments.of(rows.values)).apply(rows).values.ravel()
    assert scaled[2] == 9 * scaled[0]
    assert scale_records(rows).values.ravel().tolist() == [1, -1, 1, -1]
