"""Which allocator Arrow's buffers come from while a dataset is read or prepared."""

from __future__ import annotations

import pyarrow as pa
import pytest

from seqprep.arrow_memory import CHOSEN, memory_for


def name() -> str:
    return pa.default_memory_pool().backend_name


def test_signals_and_bases_take_the_system_s_and_give_the_default_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would break if an error left another program's Arrow with our choice."""
    monkeypatch.delenv(CHOSEN, raising=False)
    before = name()
    with pytest.raises(KeyError), memory_for("eeg"):
        assert name() == "system"
        raise KeyError
    assert name() == before
    with memory_for("text"):
        assert name() == before


def test_what_a_person_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if the variable that Arrow documents did nothing here."""
    monkeypatch.setenv(CHOSEN, "mimalloc")
    before = name()
    with memory_for("dna"):
        assert name() == before
