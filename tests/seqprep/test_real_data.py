"""The public datasets, quirks and all: counts as their own descriptions give them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.ingest import Ingested, ingest
from seqprep.source import Field, Source, Target
from tests.sources import stored_rows

pytestmark = pytest.mark.real
BY_FILE = Field(from_="file")


def take_in(datasets: Path, tmp_path: Path, domain: str, name: str, **keys: Any) -> Ingested:
    source = Source(domain=domain, path=str(datasets / name), **keys)  # type: ignore[arg-type]
    return ingest(source, dataset="d", store=tmp_path)


def digest(rows: list[dict[str, Any]]) -> str:
    """Of the content of all rows, in order of their ids: changes with any bit of any value."""
    joined = b"".join(row["content_hash"] for row in rows)
    return hashlib.sha256(joined).hexdigest()[:16]


def test_movie_reviews_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise control characters or the authors' note would add or lose documents."""
    done = take_in(datasets, tmp_path, "text", "text_movie_reviews")
    assert (done.labels, done.rejected) == ({"neg": 1000, "pos": 1000}, 0)
    assert done.oddities == {"control_characters": 8}


def test_bbc_news_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise one pound sign would cost a document, or copies be lost before the split."""
    done = take_in(datasets, tmp_path, "text", "text_bbc_news")
    assert done.labels == {
        "business": 510,
        "entertainment": 386,
        "politics": 417,
        "sport": 511,
        "tech": 401,
    }
    assert (done.rejected, done.oddities) == (0, {"fallback_encoding": 1})
    rows = stored_rows(tmp_path, "d")
    assert len({row["content_hash"] for row in rows}) == 2127
    assert "\xa3" in next(row["text"] for row in rows if row["source"] == "sport/199.txt")


def test_transcripts_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise headers with blanks and quotes, or 50 bases a line, would break records."""
    label = Field(from_="file", pattern="_(coding|noncoding)_")
    done = take_in(datasets, tmp_path, "dna", "dna_cpat_coding_noncoding", label=label)
    assert (done.labels, done.rejected) == ({"coding": 4000, "noncoding": 4000}, 0)
    assert not done.oddities
    rows = stored_rows(tmp_path, "d")
    assert sum(row["length"] for row in rows) == 15_660_348
    lengths = [row["length"] for row in rows if row["label"] == "coding"]
    assert (min(lengths), np.median(lengths), max(lengths)) == (298, 2484, 27748)
    assert len({row["content_hash"] for row in rows}) == 7998


def test_promoters_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise names after a blank, or names that repeat, would lose records."""
    done = take_in(datasets, tmp_path, "dna", "dna_promoters_cnnprom", label=BY_FILE)
    assert done.labels == {
        "Arabidopsis_non_prom": 2879,
        "Arabidopsis_tata": 1497,
        "Bacillus_non_prom": 1000,
        "Bacillus_prom": 373,
        "Ecoli_non_prom": 3000,
        "Ecoli_prom": 839,
        "Mouse_nonprom": 3530,
        "Mouse_tata": 1255,
    }
    assert (done.rejected, done.oddities) == (0, {"repeated_name": 1960 + 2902 + 26})
    rows = stored_rows(tmp_path, "d")
    assert {row["length"] for row in rows} == {81, 251}
    assert all(row["name"] for row in rows if row["source"] == "Ecoli_non_prom.fa")


def test_bonn_recordings_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise the class whose files end in `.TXT`, or the first sample, would be lost."""
    done = take_in(datasets, tmp_path, "eeg", "eeg_bonn", rate_hz=173.61)
    assert done.labels == {"A_Z": 100, "B_O": 100, "C_N": 100, "D_F": 100, "E_S": 100}
    assert (done.rejected, done.rate_hz, done.channels) == (0, 173.61, ("0",))
    rows = stored_rows(tmp_path, "d")
    assert {row["length"] for row in rows} == {4097}
    values = np.array([value for row in rows for value in row["values"]])
    assert (values.min(), values.max()) == (-1885, 2047)
    assert digest(rows) == "34a930ba90a1db4c"


def test_muse_recordings_are_all_there(datasets: Path, tmp_path: Path) -> None:
    """Otherwise the badly named copy, the gaps or the railed samples would pass unseen."""
    done = take_in(
        datasets,
        tmp_path,
        "eeg",
        "eeg_muse_mental_state",
        label=Field(from_="file", pattern="-([a-z]+)-"),
        group=Field(from_="file", pattern="^(subject[a-d]|name)"),
        channels=("TP9", "AF7", "AF8", "TP10"),
        rate_hz=256.0,
    )
    assert (done.labels, done.rejected) == ({"concentrating": 9, "neutral": 8, "relaxed": 8}, 0)
    assert done.oddities["timestamp_gaps"] == 1
    assert done.oddities["railed_values"] >= 3
    rows = stored_rows(tmp_path, "d")
    assert sum(row["length"] for row in rows) == 334_968
    assert {row["group"] for row in rows} == {f"subject{who}" for who in "abcd"} | {"name"}
    short = next(row for row in rows if row["source"].endswith("subjectd-concentrating-2.csv"))
    assert (short["length"], len(short["values"])) == (888, 4 * 888)
    assert digest(rows) == "bd175f8d3cee795d"


def test_a_muse_recording_in_long_form_gives_the_same_rows(datasets: Path, tmp_path: Path) -> None:
    """Otherwise a real clock with gaps would be put together in another way than in wide form."""
    name = "subjectb-relaxed-2.csv"
    wide = datasets / "eeg_muse_mental_state" / "recordings" / name
    header, *lines = wide.read_text().splitlines()
    channels = header.split(",")[1:]
    rows = [line.split(",") for line in lines]
    blocks = [f"{row[0]},{ch},{row[at]}" for at, ch in enumerate(channels, 1) for row in rows]
    turns = [f"{row[0]},{ch},{row[at]}" for row in rows for at, ch in enumerate(channels, 1)]
    stored = []
    for form, content in (("wide", [header, *lines]), ("long", blocks), ("long", turns)):
        head = [] if form == "wide" else ["timestamps,channel,value"]
        folder = tmp_path / f"in{len(stored)}"
        folder.mkdir()
        (folder / name).write_text("\n".join([*head, *content]))
        source = Source(domain="eeg", path=str(folder), form=form, label=Field(from_="none"))  # type: ignore[arg-type]
        done = ingest(source, dataset=f"d{len(stored)}", store=tmp_path)
        assert (done.rejected, done.channels) == (0, tuple(channels))
        assert done.oddities["timestamp_gaps"] == 1
        stored.append(stored_rows(tmp_path, f"d{len(stored)}"))
    assert stored[0] == stored[1] == stored[2]
    assert stored[0][0]["length"] == len(lines)


def test_the_eye_recording_is_whole(datasets: Path, tmp_path: Path) -> None:
    """Otherwise the last row, which ends without a line end, or the labels would be lost."""
    done = take_in(
        datasets,
        tmp_path,
        "eeg",
        "eeg_eye_state",
        task="label_steps",
        target=Target(column="eyeDetection"),
    )
    assert (done.rows, done.rejected, len(done.channels)) == (1, 0, 14)
    assert done.oddities == {"extreme_values": 1}
    row = stored_rows(tmp_path, "d")[0]
    targets = np.array(row["targets"])
    assert (row["length"], (targets == 0).sum(), (targets == 1).sum()) == (14980, 8257, 6723)
    assert int((np.diff(targets) != 0).sum()) + 1 == 24
    assert max(row["values"]) == 715897
    assert digest([row]) == "2c0f4732f0af88d1"
