"""What a person reads of a comparison: the page, and the table at a terminal of any width."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from flows.comparison.budget import Plan
from flows.comparison.left import Left
from flows.comparison.page import Told, markdown
from flows.comparison.print import print_comparison
from flows.comparison.table import Cheap, Row


def row(name: str, score: float, *, in_full: bool) -> Row:
    """A line with made-up costs."""
    return Row(
        strategy=name,
        family="",
        told=f"does {name}",
        setting="lr 0.1",
        in_full=in_full,
        score=score,
        low=score - 0.1,
        high=score + 0.1,
        test=score if in_full else None,
        test_low=score - 0.1 if in_full else None,
        test_high=score + 0.1 if in_full else None,
        seeds=3 if in_full else 1,
        seed_scores=[score],
        updates=10,
        epochs=1,
        train_seconds=12.5,
        predict_seconds=1.0,
        memory_bytes=2**20,
        kept_share=0.25,
        parameters=1000,
    )


ROWS = [
    row("random-piece-each-epoch", 0.8, in_full=True),
    row("full", 0.7, in_full=True),
    row("windows", 0.5, in_full=False),
    row("chunks", 0.6, in_full=False),
]
CHEAP = [
    Cheap(name="majority", score=0.5, interval=(0.4, 0.6), test=None, test_interval=None),
]


def test_what_had_learnt_nothing_by_the_end_of_the_search_is_said() -> None:
    """Would break if a way whose updates are dear passed for one that does not work."""
    plan = Plan(
        equal="seconds",
        amount=30.0,
        updates={},
        settings=2,
        finalists=2,
        seeds=3,
        seconds=100.0,
        search_s={},
        full_s={},
    )
    told = Told(
        dataset="d",
        measure="accuracy",
        records=100,
        verdict="Use it.",
        rows=ROWS,
        cheap=CHEAP,
        left=Left(),
        plan=plan,
        took_s=90.0,
        winner=Path("winner.yaml"),
    )
    assert "1 of these 2 ways were no better than majority when the search ended" in markdown(told)


@pytest.mark.parametrize(("width", "columns"), [(120, 5), (80, 3), (40, 2)])
def test_names_and_scores_fit_any_terminal(
    width: int, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would break if a narrow terminal squeezed out which way a line is of."""
    monkeypatch.setenv("COLUMNS", str(width))
    done = {"rows": [asdict(one) for one in ROWS], "baselines": [asdict(one) for one in CHEAP]}
    print_comparison(done | {"verdict": "Use it.", "page": "p", "html": "h", "winner": None})
    lines = capsys.readouterr().out.splitlines()
    (first,) = (line for line in lines if "random-piece" in line)
    assert first.count("│") == columns + 1
    assert "winner" not in lines[-1]
