"""The memory of exact backpropagation as the kernel sees it: what was named is kept."""

from __future__ import annotations

import pytest

from tests.models.resident import grown_mb


def test_a_process_stays_within_the_memory_that_was_named() -> None:
    """Small tensors between large blocks once made it grow with the length, to five times this."""
    short, long = grown_mb("exact", [20_000, 80_000], "16MB")
    assert long < 16
    assert long < 2 * short + 3


@pytest.mark.slow
def test_a_million_steps_stay_within_the_memory_that_was_named() -> None:
    """The longer the record, the more blocks: what each leaves behind adds up here."""
    short, long = grown_mb("exact", [250_000, 1_000_000], "32MB")
    assert long < 32
    assert long < 2 * short + 3
