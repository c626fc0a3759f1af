"""The two rounds of a comparison: the best of the search, and what is never dropped, in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flows.comparison import conduct
from flows.comparison.course import finalists, rank
from tests.flows.comparison.test_conduct import ASKED, compared, told_at_the_end
from tests.flows.comparison.test_page import PLAN
from tests.flows.comparison.test_verdict import standing


def test_the_best_of_the_search_and_what_all_are_held_against_go_on() -> None:
    """Would break if the worst were trained in full, or whole records and the file dropped."""
    scores = {"chunks": 0.6, "full": 0.1, "windows": 0.9, "file": 0.2, "split": 0.8}
    found = [standing(name, score, place=n) for n, (name, score) in enumerate(scores.items())]
    found.sort(key=rank)
    chosen = [one.entry.name for one in finalists(found, PLAN)]
    assert chosen == ["windows", "split", "file", "full"]
    everything = finalists(found, replace(PLAN, finalists=len(found)))
    assert [one.entry.name for one in everything] == ["windows", "split", "chunks", "file", "full"]


def test_of_equal_scores_the_quicker_way_goes_on() -> None:
    """Would break if a way that takes ten times as long were kept for nothing."""
    slow, quick = (standing(name, 0.5, place=0, seconds=s) for name, s in (("a", 9.0), ("b", 1.0)))
    chosen = finalists(sorted([slow, quick], key=rank), replace(PLAN, finalists=1))
    assert [one.entry.name for one in chosen] == ["b"]


@pytest.mark.slow
def test_half_of_a_comparison_is_dropped_unless_all_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if hopeless ways took the time of the others, or --all dropped some."""
    monkeypatch.setattr(conduct, "FINALISTS", 1)
    spec, store = told_at_the_end(tmp_path), tmp_path / "store"
    asked = replace(ASKED, strategies=("truncate-head", "truncate-tail", "windows"), seeds=1)
    done = compared(spec, store, asked)
    in_full = {row["strategy"]: row["in_full"] for row in done["rows"]}
    assert len(in_full) == 4 and in_full["full"] and not in_full["truncate-head"]
    best = max(done["rows"], key=lambda row: row["score"])["strategy"]
    assert {name for name, final in in_full.items() if final} == {"full", best}
    assert all(row["test"] is None for row in done["rows"] if not row["in_full"])
    every = compared(spec, store, replace(asked, everything=True))
    assert all(row["in_full"] for row in every["rows"]) and len(every["rows"]) == 4
