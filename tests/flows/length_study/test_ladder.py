"""At which lengths a study trains."""

from __future__ import annotations

import pytest

from flows.length_study.ladder import ladder
from seqprep.errors import ConfigError


def test_the_ladder_is_geometric_and_ends_with_whole_records() -> None:
    """Would break if the longest records were never trained on, or lengths were crowded."""
    assert ladder(1000) == [8, 16, 32, 64, 128, 256, 512, 1000]
    assert ladder(1025) == [8, 16, 32, 64, 128, 256, 512, 1025]  # 1024 would be the same length


def test_named_lengths_are_taken_as_they_are() -> None:
    """Would break if a person got another ladder than the one asked for."""
    assert ladder(1000, named=(300, 50)) == [50, 300]


def test_a_length_that_cuts_nothing_is_refused() -> None:
    """Would break if whole records were trained twice under two names."""
    with pytest.raises(ConfigError, match="1001 steps are more than the longest record has"):
        ladder(1000, named=(50, 1001))


def test_records_without_room_for_a_ladder_are_refused() -> None:
    """Would break if a study of one length began."""
    with pytest.raises(ConfigError, match=r"11 steps, too few .* e\.g\. 5,11"):
        ladder(11)
