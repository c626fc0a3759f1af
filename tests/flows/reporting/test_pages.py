"""The pages of a flow run say what its figures say, in tables that a page can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import Artifact as Stored
from prefect.logging import disable_run_logger

from flows.reporting import artifacts, bars, data_pages, model_pages

INGESTED: dict[str, Any] = {
    "dataset": "d",
    "version": 3,
    "rows": 1200,
    "rejected": 2,
    "reused": False,
    "files": 5,
    "new_files": 1,
    "missing_files": (),
    "labels": {"a": 300, "b": 900},
    "rejections": {"empty": 2},
    "oddities": {"timestamp_gaps": 1},
    "channels": (),
    "rate_hz": None,
    "rejected_records": {
        "path": "store/rejections.jsonl",
        "first": [{"source": "x.fa", "record": 1, "line": 7, "reason": "empty", "detail": "none"}],
    },
}
REGISTRY: dict[str, Any] = {
    "current": "old",
    "models": [
        {"run": "old", "examples_version": 0, "validation": {"accuracy": 0.9}, "test": {}},
        {"run": "new", "examples_version": 1, "validation": {"accuracy": 0.8}, "test": {}},
    ],
    "events": [
        {"run": "new", "why": "accuracy 0.8, old 0.9"},
        {"run": "other", "why": "another comparison"},
    ],
}


def test_a_page_of_sequences_says_what_was_rejected_and_why() -> None:
    """Would break if a person had to open a file to learn which record was left out."""
    text = data_pages.sequences_page(INGESTED)
    assert "Version 3: 1 file read; 1,200 records, 2 rejected." in text
    assert "| empty | 2 | the record holds nothing |" in text
    assert "| x.fa, line 7 | none |" in text
    assert "| timestamp gaps | 1 | 100.0% |" in text
    assert "| b | 900 | 75.0% |" in text


def test_a_page_says_that_nothing_was_new() -> None:
    """Would break if a run that did nothing looked like one that read files."""
    text = data_pages.sequences_page({**INGESTED, "reused": True, "new_files": 0})
    assert "Version 3, as before: nothing is new" in text


def test_many_classes_are_summed_up() -> None:
    """Would break if a page of ten thousand classes were ten thousand lines long."""
    text = data_pages.sequences_page({**INGESTED, "labels": {f"c{n}": 10 for n in range(100)}})
    assert "| 80 others | 800 | 80.0% |" in text
    assert "c21" not in text


def test_models_stand_side_by_side_with_the_current_one_marked() -> None:
    """Would break if nobody could see which model answers, and why the new one does not."""
    text = model_pages.models_table(REGISTRY, run="new")
    assert "Accuracy 0.8, old 0.9." in text
    assert "| `new` | version 1 | 0.800 |  | this one |" in text
    assert "| `old` | version 0 | 0.900 |  | **current** |" in text


def test_a_link_leads_to_the_version_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if a page's link showed the examples of another night."""
    stored = Stored(key="d-sequences", description="Version 12: 3 files read")
    monkeypatch.setattr(artifacts.Artifact, "get", lambda key: stored)
    newest = artifacts._version_link("sequences", key="d-sequences", version=12)
    assert newest == f"[sequences version 12](../../artifacts/artifact/{stored.id})"
    for version in (1, 11):
        link = artifacts._version_link("sequences", key="d-sequences", version=version)
        all_of_them = "among all of them](../../artifacts/key/d-sequences)"
        assert link == f"[sequences version {version}, {all_of_them}"
    monkeypatch.setattr(artifacts.Artifact, "get", lambda key: None)
    assert artifacts._version_link("sequences", key="x", version=1) == "sequences version 1"


def test_a_bar_that_cannot_be_shown_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if a training ended because the server was restarted beside it."""
    asked: list[str] = []

    def refuse(**options: Any) -> None:
        asked.append(options["key"])
        raise httpx.ConnectError("no server")

    monkeypatch.setattr(bars, "create_progress_artifact", refuse)
    shown = bars.ProgressBars("d: train")
    with disable_run_logger():
        for share in (0.1, 0.2):
            shown.show("updates", share, "updates 1 of 10")
        shown.finish()
    assert asked == ["d-train-updates"], "each step would wait for a server that is away"


def test_a_picture_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    """Would break if one plot made a page that takes seconds to open."""
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(b"x" * 100)
    large.write_bytes(b"x" * artifacts.LIMIT)
    assert artifacts._inline("Plot", small).startswith("![Plot](data:image/png;base64,")
    assert "too large" in artifacts._inline("Plot", large)
