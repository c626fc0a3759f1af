"""What a person may ask of a length study, refused before anything is started."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from flows.length_study.asked import AskedLengths, check_lengths, rungs_of
from flows.pipeline_file import build
from seqprep.errors import ConfigError

TABLE: dict[str, Any] = {
    "dataset": "steps",
    "source": {
        "domain": "eeg",
        "path": "in",
        "task": "label_steps",
        "target": {"from": "column", "column": "state"},
    },
}


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("minutes", 0.0, "--minutes must be > 0"),
        ("minutes", float("nan"), "--minutes must be > 0"),
        ("seeds", 0, "--seeds must be >= 1"),
        ("workers", 0, "--workers must be >= 1"),
        ("rungs", (0, 8), "--rungs must be lengths of >= 1 step, got 0"),
        ("rungs", (64, 64), "--rungs 64 is one length, with nothing beside it"),
    ],
)
def test_what_cannot_be_asked_is_refused(option: str, value: object, why: str) -> None:
    """Would break if a study of no time, no seed or one length began."""
    with pytest.raises(ConfigError, match=why):
        AskedLengths(**{option: value})


def test_rungs_are_whole_numbers_in_any_order() -> None:
    """Would break if a slip of the pen studied other lengths than a person meant."""
    assert AskedLengths(rungs=rungs_of("512, 64,512")).rungs == (64, 512)
    for text in ("64,1e3", "64;128", "-8,16", "²,3"):
        with pytest.raises(ConfigError, match="whole numbers of steps with commas"):
            rungs_of(text)


def test_no_part_is_kept_where_every_step_is_answered() -> None:
    """Would break if half of the answers were cut off and the scores held together all the same."""
    spec = build(TABLE)
    check_lengths(spec, AskedLengths())
    with pytest.raises(ConfigError, match="--keep head has no meaning with task: label_steps"):
        check_lengths(spec, AskedLengths(keep="head"))


def test_tasks_without_a_score_a_record_are_refused() -> None:
    """Would break if a study ran for half an hour and then failed."""
    spec = build(
        {
            "dataset": "copies",
            "source": {
                "domain": "text",
                "path": "in",
                "task": "next",
            },
            "train": {"model": {"name": "next_symbol", "bidirectional": False}},
        }
    )
    with pytest.raises(ConfigError, match="lengths does not do task 'next'"):
        check_lengths(spec, AskedLengths())


def test_a_split_without_validation_is_refused() -> None:
    """Would break if the choice were made on test rows, or on none."""
    spec = build({**TABLE, "split": {"by": "hash", "train": 0.8, "validation": 0, "test": 0.2}})
    with pytest.raises(ConfigError, match="lengths chooses on validation rows"):
        check_lengths(spec, AskedLengths())


@pytest.mark.parametrize("study", ["comparison", "length_study", "optimizer_study"])
def test_checking_starts_no_prefect(study: str) -> None:
    """Would break if a wrong option waited for Prefect, or its settings were read too early."""
    code = f"import sys, flows.{study}.asked; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
