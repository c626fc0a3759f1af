"""What a person reads of a comparison: the page, and the table at a terminal of any width."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from flows.comparison.budget import Plan
from flows.comparison.left import Left
from flows.comparison.page import Told, markdown
from flows.comparison.plots import best_by_time
from flows.comparison.print import print_comparison
from flows.comparison.table import BASELINE, Cheap, Row, to_arrow
from flows.comparison.tell import how_long, planned, refused


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


PLAN = Plan(
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


def page(**changes: object) -> str:
    """The page of ROWS."""
    told = Told(
        dataset="d",
        measure="accuracy",
        records=100,
        verdict="Use it.",
        rows=ROWS,
        cheap=CHEAP,
        left=Left(),
        plan=PLAN,
        took_s=90.0,
        select_by="loss",
        winner=Path("winner.yaml"),
    )
    return markdown(replace(told, **changes))  # type: ignore[arg-type]


def test_what_had_learnt_nothing_by_the_end_of_the_search_is_said() -> None:
    """Would break if a way whose updates are dear passed for one that does not work."""
    assert "1 of these 2 ways were no better than majority when the search ended" in page()


def test_the_page_says_which_epoch_was_scored() -> None:
    """Would break if a file that keeps the last epoch were told to have chosen on validation."""
    assert "the best on validation is kept" in page()
    assert "chose its epoch, its learning rate" in page()
    last = page(select_by="last")
    assert "The last epoch of each is kept" in last and "best on validation" not in last
    assert "chose its learning rate and the way" in last


def test_what_does_not_fit_is_told_with_its_reason_where_it_was_named() -> None:
    """Would break if a way that somebody asked for fell away without a word."""
    left = Left(refused={"sax": "needs values", "idf": "needs --reference"})
    assert list(refused(left, by_name=True)) == [
        "  sax does not fit: needs values",
        "  idf does not fit: needs --reference",
    ]
    assert list(refused(left, by_name=False)) == ["  2 do not fit, see the page: sax, idf"]
    assert list(refused(Left(), by_name=False)) == []


def test_what_will_be_trained_is_told_before_it_is() -> None:
    """Would break if a person learnt after an hour that his way had no time, or how long it is."""
    plan = replace(PLAN, amount=12.0, seconds=90.0, left_out=["exact"], enough_s=200.0, seeds=2)
    assert list(planned(plan, 3)) == [
        "  no time for exact",
        "  no time for 3 seeds of each, but for 2",
        "  --minutes 4 would do for all",
        "  expected: 1.5 minutes in all; each full training gets 12 seconds on one process",
    ]
    assert how_long(plan, 60.0) == "  took 1.0 minutes, expected 1.5"
    assert how_long(plan, None) == "  some of it was there before"


def test_nothing_is_both_better_and_quicker_than_the_front() -> None:
    """Would break if the plot joined ways that another one beats, or took a high error for good."""
    times = {"a": (10.0, 0.7), "b": (20.0, 0.6), "c": (30.0, 0.9), "d": (30.0, 0.8)}
    rows = [
        replace(row(name, score, in_full=True), train_seconds=seconds)
        for name, (seconds, score) in times.items()
    ]
    assert [one.strategy for one in best_by_time(rows, smaller=False)] == ["a", "c"]
    assert [one.strategy for one in best_by_time(rows, smaller=True)] == ["a", "b"]


def test_baselines_are_rows_of_the_table_too() -> None:
    """Would break if a program that reads the table saw no line to hold the ways against."""
    table = to_arrow(ROWS, CHEAP)
    assert table["strategy"].to_pylist() == [*(one.strategy for one in ROWS), "majority"]
    last = table.to_pylist()[-1]
    assert (last["family"], last["score"], last["low"]) == (BASELINE, 0.5, 0.4)
    assert last["test"] is last["train_seconds"] is last["seeds"] is None


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
