"""The table of matched transcripts leaves length nothing to tell, and is the same every time."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from flows.pipeline_file import load
from seqprep.options.split import Split
from tests.conftest import ROOT

SCRIPT = ROOT / "data" / "real" / "cpat_matched.py"
FILES = ("Human_test_coding_mRNA.fa", "Human_test_noncoding_RNA.fa")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of which one is mostly longer, as on the whole transcripts are."""
    root, rng = tmp_path_factory.mktemp("fasta"), np.random.default_rng(0)
    for file, median in zip(FILES, (900, 400), strict=True):
        lengths = np.exp(np.log(median) + 0.8 * rng.standard_normal(1500)).astype(int) + 50
        records = [f">{file[:12]}{n} strand=-\n{'A' * k}\n" for n, k in enumerate(lengths)]
        (root / file).write_text("".join(records), encoding="utf-8")
    return root


def written(folder: Path, *options: str) -> bytes:
    out = folder / "table.csv"
    command = [sys.executable, str(SCRIPT), str(folder), "--out", str(out), *options]
    subprocess.run(command, check=True, capture_output=True)
    return out.read_bytes()


def test_length_says_nothing_in_any_set(folder: Path) -> None:
    """Pairs of unequal length, or torn between two sets, would leave the shortcut open."""
    lengths, classes = {}, {}
    for file in FILES:
        for record in (folder / file).read_text().split(">")[1:]:
            title, bases = record.split("\n")[:2]
            lengths[title.split()[0]], classes[title.split()[0]] = len(bases), file
    rows = list(csv.DictReader(written(folder).decode().splitlines()))
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names) > 1000
    for one, two in zip(rows[::2], rows[1::2], strict=True):
        assert one["set"] == two["set"] and classes[one["name"]] != classes[two["name"]]
        assert 1 / 1.05 < lengths[one["name"]] / lengths[two["name"]] < 1.05
    shares = Counter(row["set"] for row in rows)
    assert shares["train"] / len(rows) == pytest.approx(0.8, abs=0.05)
    assert shares["validation"] > 40 and shares["test"] > 40


def test_the_same_seed_gives_the_same_table(folder: Path) -> None:
    """A score could not be had again; another seed must draw other pairs."""
    assert written(folder) == written(folder, "--seed", "0") != written(folder, "--seed", "1")


def test_the_pipeline_file_names_the_sets_and_the_table() -> None:
    """What the table does not name must stay out: a value misspelt would train on everything."""
    split = load(SCRIPT.with_suffix(".yaml")).split
    assert split == Split(
        by="table",
        table="cpat_matched.csv",
        key="name",
        column="set",
        train=("train",),
        validation=("validation",),
        test=("test",),
    )
