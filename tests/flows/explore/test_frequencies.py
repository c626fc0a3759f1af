"""`seqprep frequencies` as a person meets it: what it prints, the table, the plot, and its use."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from PIL import Image

from flows.explore import frequency_plots
from flows.explore.frequencies import frequencies
from flows.references import resolve
from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.frequency_table import Cut
from seqprep.ingest import ingest
from seqprep.prepare import prepare
from seqprep.table import Table
from tests.conftest import ROOT
from tests.sources import write_files

FILES: dict[str, bytes | str] = {
    "in/train/x/0.txt": "The cat the dog cat",
    "in/train/x/1.txt": "the emu dog ant",
    "in/train/y/2.txt": "the the dog, bee",
    "in/validation/x/3.txt": "unseen the cat",
    "in/test/y/4.txt": "garbage the cat",
}
PIPELINE = """
dataset: d
source: {domain: text, path: in}
split: {by: path, train: [train], validation: [validation], test: [test]}
prepare:
  recipe: r
  steps: [{summarize: {drop_top: 1, min_count: 2, max_vocab: 1}}]
"""
RARE = math.log((1 + 3) / (1 + 1)) + 1
"""IDF of a token in one of three records; one in all of them has 1."""
ALONE = math.log(3) - 2 / 3 * math.log(2)
"""Mutual information in nats of a token that holds for all of y, the one record of three."""
ONE_OF_X = ALONE - 2 / 3 * math.log(2)
TABLE: list[tuple[Any, ...]] = [
    ("the", 5, 3, 1, 1.0, 0.0, 0.0),
    ("dog", 3, 3, 2, 1.0, 0.0, 0.0),
    ("cat", 2, 1, 3, RARE, ONE_OF_X, 0.75),
    (",", 1, 1, 4, RARE, ALONE, 3.0),
    ("ant", 1, 1, 5, RARE, ONE_OF_X, 0.75),
    ("bee", 1, 1, 6, RARE, ALONE, 3.0),
    ("emu", 1, 1, 7, RARE, ONE_OF_X, 0.75),
]
"""Token, count, records, rank, IDF, mutual information, chi-squared of the three training files."""
COLUMNS = ["token", "count", "records", "rank", "idf", "mutual_information", "chi_squared"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three documents to train on, one to validate and one to test."""
    write_files(tmp_path, {**FILES, "p.yaml": PIPELINE})
    return tmp_path / "p.yaml"


def count(file: Path, *, out: Path | None = None, top: int = 20, **changes: str) -> dict[str, Any]:
    """Run the command's function on a pipeline file."""
    settings = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
    store = str(file.parent / "store")
    return frequencies(str(file), store=store, settings=settings, out=out, top=top)


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    assert table.column_names == COLUMNS
    return [tuple(row.values()) for row in table.to_pylist()]


def assert_is_table(rows: list[tuple[Any, ...]]) -> None:
    assert [row[:4] for row in rows] == [row[:4] for row in TABLE]
    np.testing.assert_allclose([r[4:] for r in rows], [r[4:] for r in TABLE], atol=1e-12)


def test_it_prints_numbers_ranks_and_where_the_cuts_fall(file: Path) -> None:
    """A person would choose cuts by the words of test records, or by shares that are wrong."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from flows.cli import main; main()", "frequencies"]
    done = subprocess.run(
        [*command, str(file), "--store", "store", "--top", "2"],
        cwd=file.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [" ".join(line.replace("│", " ").split()) for line in done.stdout.splitlines()]
    told = "d: 7 different tokens (word), 14 in 3 training records; 4 occur once"
    heading = "┃ rank ┃ token ┃ count ┃ share ┃ records ┃ IDF ┃ MI, nats ┃ chi2 ┃"
    assert told in lines and heading in lines
    grid = [line for line in lines if line[:1].isdigit()]
    assert grid == [
        "1 the 5 35.71% 3 1.00 0.0000 0.0",
        "2 dog 3 21.43% 3 1.00 0.0000 0.0",
        "3 cat 2 14.29% 1 1.69 0.1744 0.8",
        "4 , 1 7.14% 1 1.69 0.6365 3.0",
        "5 ant 1 7.14% 1 1.69 0.1744 0.8",
        "6 bee 1 7.14% 1 1.69 0.6365 3.0",
        "7 emu 1 7.14% 1 1.69 0.1744 0.8",
    ]
    cut = "summarize: {drop_top: 1, min_count: 2, max_vocab: 1}: 5 tokens cut"
    assert f"{cut}, 64.3% of all steps; 1 become OOV" in lines
    assert f"plot: {Path('store/d/frequencies-r.png')}" in done.stdout.replace(
        str(file.parent) + "/", ""
    )


def test_what_it_returns_is_what_it_prints(file: Path) -> None:
    """A program that reads the JSON would get other numbers than a person."""
    done = count(file, top=1)
    (cut,) = done.pop("cuts")
    assert cut["removed_share"] == pytest.approx(9 / 14)
    assert (cut["step"], cut["removed"], cut["unknown"]) == ("summarize", 5, 1)
    assert rows_of(pa.Table.from_pylist(done.pop("top"))) == TABLE[:1]
    assert done == {
        "dataset": "d",
        "recipe": "r",
        "records": 3,
        "tokens": 14,
        "distinct": 7,
        "once": 4,
        "unit": "word",
        "sequences_version": 0,
        "plot": str(file.parent / "store" / "d" / "frequencies-r.png"),
        "out": None,
    }


def test_parquet_and_csv_hold_the_same_table(file: Path, tmp_path: Path) -> None:
    """Another program would read ranks from 0, other counts, or a comma that breaks a row."""
    count(file, out=tmp_path / "new" / "t.parquet")
    stored = pq.read_table(tmp_path / "new" / "t.parquet")
    assert_is_table(rows_of(stored))
    about = {key: stored.schema.metadata[f"seqprep.{key}".encode()] for key in ABOUT}
    assert about == ABOUT
    assert count(file, out=tmp_path / "t.csv")["plot"] == str(tmp_path / "t.png")
    header, *lines = (tmp_path / "t.csv").read_text().splitlines()
    assert header == ",".join(f'"{name}"' for name in COLUMNS)
    assert lines[0] == '"the",5,3,1,1,0,0' and lines[3].startswith('",",1,1,4,1.69314718')
    cells = [line.rpartition('"')[2].split(",")[1:] for line in lines]
    tokens = [line.rpartition('"')[0][1:] for line in lines]
    assert_is_table(
        [
            (token, *map(int, row[:3]), *map(float, row[3:]))
            for token, row in zip(tokens, cells, strict=True)
        ]
    )


ABOUT = {"dataset": b"d", "recipe": b"r", "unit": b"word", "sequences_version": b"0"}


@pytest.mark.parametrize("name", ["t.txt", "t", "t.parquet.gz", "folder.csv"])
def test_a_place_that_is_no_table_is_refused_before_work(
    file: Path, tmp_path: Path, name: str
) -> None:
    """An hour of counting would end in a file that nothing reads, or in none."""
    (tmp_path / "folder.csv").mkdir()
    expected = "is a folder; name a file" if "folder" in name else r"ends in \.parquet or \.csv"
    with pytest.raises(ConfigError, match=expected):
        count(file, out=tmp_path / name)
    assert not (tmp_path / "store").exists()


def test_the_plot_is_a_picture_with_both_axes_logarithmic(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The straight line of Zipf's law, and the limits across it, could not be seen."""
    count(file, out=tmp_path / "t.parquet")
    with Image.open(tmp_path / "t.png") as image:
        assert image.format == "PNG" and image.size == (760, 440)
        assert len(image.convert("RGB").getcolors(10**6) or []) > 20  # something is drawn
    drawn: list[Figure] = []
    monkeypatch.setattr(frequency_plots, "save", lambda figure, path: drawn.append(figure))
    count(file)
    (axes,) = drawn[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "rank of the word (1 is the most frequent)",
        "occurrences in training rows",
    )
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    cut, stays = ([*zip(*line.get_data(), strict=True)] for line in dots)
    assert cut == [(1, 5), (4, 1), (5, 1), (6, 1), (7, 1)]
    assert stays == [(2, 3), (3, 2)]
    first, least, unknown = (line.get_data() for line in axes.lines if line not in dots)
    assert (first[0][0], least[1][0], unknown[0][0]) == (1.5, 1.5, 2.5)
    texts = {text.get_text().strip(): text.get_position() for text in axes.texts}
    assert texts["drop_top 1"][0] == 1.5 and texts["min_count 2"][1] == 1.5
    assert texts["OOV from here"][0] == 2.5
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend[1] == "stays: 2 tokens, 35.7% of steps" and "5 tokens cut" in legend[0]


def test_a_plot_of_very_many_ranks_draws_some_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million dots would take minutes; the first and the last rank must be among them."""
    counts = np.maximum(10**6 // np.arange(1, 200_001), 1)
    cut = Cut(name="x", options={}, removed=counts < 10, unknown=np.zeros(len(counts), bool))
    drawn: list[Figure] = []
    monkeypatch.setattr(frequency_plots, "save", lambda figure, path: drawn.append(figure))
    frequency_plots.ranks(tmp_path / "x.png", counts=counts, cuts=[cut], unit="word")
    places = np.concatenate([line.get_xdata() for line in drawn[0].axes[0].lines])
    assert len(places) <= frequency_plots.POINTS
    assert (places.min(), places.max()) == (1, 200_000)


def test_the_table_is_a_reference_of_another_dataset(file: Path, tmp_path: Path) -> None:
    """The command's own file could not be named in `idf.reference`, or would cut other tokens."""
    count(file, out=tmp_path / "general.parquet")
    narrow = {
        f"narrow/{split}/{label}/{split}{n}.txt": f"the dog yak {split} {label} {n}"
        for split in ("train", "validation", "test")
        for n, label in enumerate("xyxy")
    }
    lines = PIPELINE.replace("dataset: d", "dataset: narrow").replace("path: in", "path: narrow")
    start = lines.index("  steps:")
    lines = lines[:start] + "  steps: [{idf: {reference: general.parquet, tau: 1}}]\n"
    write_files(tmp_path, {**narrow, "q.yaml": lines})
    spec, base = resolve(str(tmp_path / "q.yaml"), None, [])
    store = tmp_path / "store"
    ingest(replace(spec.source, path=str(base / "narrow")), dataset="narrow", store=store)
    done = prepare(
        dataset="narrow",
        store=store,
        domain="text",
        task="classify",
        split=spec.split,
        recipe=spec.prepare,
        base=base,
    )
    table = Table(store / "narrow" / "examples-r")
    fitted = Fitted.from_bytes(table.state.get(table.info(done.version).state["fitted"]))
    # In all four records here: `the`, `dog` in all there, too; `train` and `yak` in none of three.
    assert sorted(fitted.vocabulary) == ["train", "yak"]
    cut = count(tmp_path / "q.yaml", source__path=str(tmp_path / "narrow"))["cuts"][0]
    assert (cut["step"], cut["removed"], cut["removed_share"]) == ("idf", 8, 2 / 3)


def test_a_reference_that_is_yet_to_be_written_is_said_to_be_missing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that writes the table would refuse a recipe for lack of that very table."""
    done = count(file, prepare__steps="[{idf: {reference: none.parquet, tau: 1}}]")
    assert done["cuts"] == [] and done["distinct"] == 7
    shown = capsys.readouterr()
    assert "idf: none.parquet is not there yet; its cut is not shown" in shown.out + shown.err


def test_signals_without_symbols_are_refused(tmp_path: Path) -> None:
    """A person would wait for a table of nothing."""
    rows = ["time,c", *(f"{n / 10},{n % 3}" for n in range(20))]
    files = {
        f"in/{split}/{label}/{n}.csv": "\n".join([*rows, f"2,{n}"])
        for n, (split, label) in enumerate(product("123", "xy"))
    }
    lines = """
dataset: e
source: {domain: eeg, path: in}
split: {by: path, train: ["1"], validation: ["2"], test: ["3"]}
prepare: {recipe: r}
"""
    write_files(tmp_path, {**files, "p.yaml": lines})
    with pytest.raises(ConfigError, match=r"its steps are values.*tokens\.unit: symbol"):
        count(tmp_path / "p.yaml")
    done = count(tmp_path / "p.yaml", prepare__tokens="{unit: symbol, block: 7, alphabet: 2}")
    assert (done["unit"], done["tokens"], done["records"]) == ("symbol", 6, 2)
