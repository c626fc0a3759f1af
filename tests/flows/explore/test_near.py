"""Nearly equal records are reported where a recipe asks, and kept together by their groups."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.explore.duplicates import duplicates
from flows.explore.near import near_report
from flows.pipeline_file import Pipeline, build
from flows.reporting.reports import data_table
from seqprep.errors import ConfigError
from seqprep.ingest import ingest
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.table import Table
from tests.flows.stages import ingest_and_prepare
from tests.sources import write_files


def pipeline(folder: Path, **changes: object) -> Pipeline:
    """Forty articles and an edited copy of each."""
    files: dict[str, bytes | str] = {}
    for number in range(40):
        words = [f"w{number}x{place}" for place in range(120)]
        files[f"in/{'ab'[number % 2]}/{number}.txt"] = " ".join(words)
        files[f"in/{'ab'[number % 2]}/{number}-edited.txt"] = " ".join([*words[:-1], "edited"])
    write_files(folder, files)
    source = {"domain": "text", "path": str(folder / "in")}
    return build(
        {
            "dataset": "d",
            "source": source,
            "split": {"train": 0.5, "validation": 0.25, "test": 0.25},
            **changes,
        }
    )


def test_the_report_lists_pairs_and_is_made_once(tmp_path: Path) -> None:
    """A leak would stay unknown, or every run look for it again."""
    spec = pipeline(tmp_path, prepare={"near_duplicates": {"action": "report"}})
    done = ingest_and_prepare(spec, tmp_path / "store")
    near = near_report(spec, 0, store=tmp_path / "store", base=tmp_path)
    assert near is not None
    assert (near["pairs"], near["groups"], near["records"]) == (40, 40, 80)
    assert 5 < near["across_splits"] < 40
    assert sum(near["by_splits"].values()) == 40
    assert pq.read_table(near["list"]).num_rows == 40
    path = tmp_path / "store" / "d" / "near-duplicates-default.json"
    body = json.loads(path.read_bytes())
    body["near"]["pairs"] = 41
    path.write_text(json.dumps(body))
    again = near_report(spec, 0, store=tmp_path / "store", base=tmp_path)
    assert again is not None and again["pairs"] == 41
    assert "40 pairs" in data_table({**asdict(done), "near_duplicates": near})


def test_reporting_makes_no_other_examples(tmp_path: Path) -> None:
    """Asking for a report would fit and store everything anew."""
    plain = pipeline(tmp_path)
    asked = pipeline(tmp_path, prepare={"near_duplicates": {"action": "report"}})
    first = ingest_and_prepare(plain, tmp_path / "store")
    second = ingest_and_prepare(asked, tmp_path / "store")
    assert second.reused and second.version == first.version
    assert near_report(plain, 0, store=tmp_path / "store", base=tmp_path) is None


def test_groups_keep_likes_on_one_side(tmp_path: Path) -> None:
    """The table that the command writes would be of no use to the split."""
    pipeline(tmp_path)
    yaml = f"dataset: d\nsource: {{domain: text, path: {tmp_path / 'in'}}}\n"
    (tmp_path / "p.yaml").write_text(yaml)
    table = tmp_path / "groups.csv"
    done = duplicates(
        str(tmp_path / "p.yaml"),
        store=str(tmp_path / "store"),
        settings=[],
        options=NearDuplicates(),
        examples=3,
        out=None,
        groups=table,
    )
    assert done["near"]["across_splits"] > 5
    group = {"from": "table", "table": str(table), "key": "id", "column": "group"}
    source = {"domain": "text", "path": str(tmp_path / "in"), "group": group}
    grouped = build(
        {
            "dataset": "d",
            "source": source,
            "split": {"seed": 1, "train": 0.5, "validation": 0.25, "test": 0.25},
            "prepare": {"near_duplicates": {"action": "report"}},
        }
    )
    ingest(grouped.source, dataset="d", store=tmp_path / "store")
    near = near_report(grouped, 1, store=tmp_path / "store", base=tmp_path)
    assert near is not None
    assert (near["pairs"], near["across_splits"]) == (40, 0)
    assert Table(tmp_path / "store" / "d" / "sequences").version() == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"action": "reprot"}, "must be one of 'off', 'report'.* got 'reprot'"),
        ({"action": "report", "threshold": 2}, r"threshold must be a Jaccard index in \(0, 1\]"),
        ({"actio": "report"}, "did you mean action"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, body: dict[str, object], words: str) -> None:
    """A slip would switch the report off in silence."""
    with pytest.raises(ConfigError, match=words):
        pipeline(tmp_path, prepare={"near_duplicates": body})


def test_a_bare_off_is_off(tmp_path: Path) -> None:
    """YAML reads `off` as false, and the person would be told that it is no choice."""
    spec = pipeline(tmp_path, prepare={"near_duplicates": {"action": False}})
    assert spec.prepare.near_duplicates == NearDuplicates()


def test_signals_are_refused() -> None:
    """A report that finds nothing would seem to say that there is nothing."""
    source = {"domain": "eeg", "path": "."}
    with pytest.raises(ConfigError, match="needs words or letters"):
        build(
            {"dataset": "d", "source": source, "prepare": {"near_duplicates": {"action": "report"}}}
        )
