"""The collector is as it was once nobody needs it paused."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from seqprep.garbage import collector_paused


@pytest.fixture(params=[True, False])
def enabled(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the collector is on before."""
    if not request.param:
        gc.disable()
    yield request.param
    gc.enable()


def test_it_is_as_before_whatever_order_blocks_end_in(enabled: bool) -> None:
    """Two threads overlap: the one that began first may end first."""
    first, second = ExitStack(), ExitStack()
    first.enter_context(collector_paused())
    second.enter_context(collector_paused())
    assert not gc.isenabled()
    first.close()
    assert not gc.isenabled()
    second.close()
    assert gc.isenabled() is enabled


def test_it_is_as_before_after_an_error(enabled: bool) -> None:
    with suppress(ValueError), collector_paused():
        raise ValueError
    assert gc.isenabled() is enabled
