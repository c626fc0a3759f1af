"""The frequency table counts training rows, all of them and no others, and serves other recipes."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep.errors import ConfigError
from seqprep.frequency import Frequency
from seqprep.frequency_table import count_frequencies, counting_job, find_cuts, frequency_table
from seqprep.preparation.opened import opened
from seqprep.prepare import plan_job, prepare, read_tables
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.table_files import write_table
from seqprep.token_table import TokenTable
from seqprep.transforms import build_steps
from seqprep.transforms.summarize import Summarize
from tests.synthetic import documents, write_sequences

BY_PATH = Split(by="path", train=("a",), validation=("v",), test=("t",))
RECORDS = [
    {"source": "a/0.txt", "text": "the cat the dog", "label": "x"},
    {"source": "a/1.txt", "text": "the emu dog ant", "label": "y"},
    {"source": "v/2.txt", "text": "unseen unseen the", "label": "x"},
    {"source": "t/3.txt", "text": "garbage the ant", "label": "y"},
]


def counted(
    store: Path,
    records: list[dict[str, Any]] = RECORDS,
    *,
    recipe: Prepare = Prepare(),
    workers: int = 1,
    chunk_rows: int = 7,
    **changes: Any,
) -> Frequency:
    keys: dict[str, Any] = {"domain": "text", "task": "classify", "split": BY_PATH, **changes}
    params = {"channels": keys.pop("channels")} if "channels" in keys else {}
    table = write_sequences(store, records, chunk_rows=chunk_rows, domain=keys["domain"], **params)
    job = plan_job(table, None, build_steps(recipe), recipe=recipe, tables={}, **keys)
    with opened(counting_job(job), base=store, workers=workers) as (job, roster):
        return count_frequencies(job, roster, workers=workers)


def rows_of(frequency: Frequency) -> list[dict[str, Any]]:
    return frequency_table(frequency, about={"dataset": "d"}).to_pylist()


def test_training_rows_are_counted_and_ranked(tmp_path: Path) -> None:
    """Test words would count, ranks start at 0, or ties fall by chance."""
    rows = rows_of(counted(tmp_path))
    assert [(r["rank"], r["token"], r["count"], r["records"]) for r in rows] == [
        (1, "the", 3, 2),
        (2, "dog", 2, 2),
        (3, "ant", 1, 1),
        (4, "cat", 1, 1),
        (5, "emu", 1, 1),
    ]
    assert [round(r["idf"], 6) for r in rows] == [1.0, 1.0, *[round(math.log(3 / 2) + 1, 6)] * 3]
    assert [round(r["mutual_information"], 3) for r in rows] == [0, 0, 0.693, 0.693, 0.693]
    assert [r["chi_squared"] for r in rows] == [0, 0, 2, 2, 2]


def test_other_splits_do_not_matter(tmp_path: Path) -> None:
    """What is tested on would decide which tokens are cut."""
    changed = [
        record if record["source"][0] == "a" else {**record, "text": f"zz yy {record['source']}"}
        for record in RECORDS
    ]
    assert rows_of(counted(tmp_path / "a")) == rows_of(counted(tmp_path / "b", changed))


def test_it_equals_a_plain_count_for_any_chunks_and_workers(tmp_path: Path) -> None:
    """Counts would depend on how the work is cut."""
    texts = documents(60)
    records = [{**r, "source": f"{'atv'[n % 3]}/{n}.txt"} for n, r in enumerate(texts)]
    first = counted(tmp_path / "a", records, chunk_rows=50)
    second = counted(tmp_path / "b", records, chunk_rows=4, workers=3)
    assert rows_of(first) == rows_of(second)
    words = [r["text"].replace(".", " . ").split() for r in records if r["source"][0] == "a"]
    plain = Counter(word for row in words for word in row)
    assert dict(zip(first.tokens.to_pylist(), first.counts.tolist(), strict=True)) == plain
    assert first.num_records == 20


def test_techniques_are_not_applied(tmp_path: Path) -> None:
    """A table of a truncated dataset would not tell what the dataset holds."""
    recipe = Prepare(steps=({"truncate": {"length": 1}}, {"summarize": {"drop_top": 1}}))
    assert rows_of(counted(tmp_path, recipe=recipe))[0]["count"] == 3


def test_the_file_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    """A recipe that names the table would be prepared anew for nothing."""
    table = frequency_table(counted(tmp_path), about={"dataset": "d", "unit": "word"})
    for name in ("a.parquet", "b.parquet"):
        write_table(table, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    read = TokenTable.read(tmp_path / "a.parquet", key="idf")
    assert read.num_records == 2
    assert read.column("records", pa.array(["dog", "no"]), missing=0).tolist() == [2, 0]
    write_table(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["token"] == "the"


def test_another_recipe_takes_it_as_its_reference(tmp_path: Path) -> None:
    """`idf` could not be used without a table from elsewhere."""
    counts = counted(tmp_path / "general", documents(40, seed=1), split=Split())
    general = frequency_table(counts, about={})
    write_table(general, tmp_path / "general.parquet")
    write_sequences(tmp_path, documents(40), dataset="narrow")
    recipe = Prepare(steps=({"idf": {"reference": "general.parquet", "tau": 0.5}},))
    done = prepare(
        dataset="narrow",
        store=tmp_path,
        domain="text",
        task="classify",
        split=Split(),
        recipe=recipe,
        base=tmp_path,
        workers=1,
    )
    assert done.rows["train"] > 0


def test_values_are_refused_and_symbols_counted(tmp_path: Path) -> None:
    """A signal would get a table of nothing."""
    records = [
        {"source": f"{'avt'[n // 2]}/{n}.csv", "label": "xy"[n % 2], "values": [n, *range(31)]}
        for n in range(6)
    ]
    keys: dict[str, Any] = {"domain": "eeg", "channels": ("c",)}
    with pytest.raises(ConfigError, match=r"tokens\.unit: symbol"):
        counted(tmp_path / "a", records, **keys)
    symbols = Prepare(tokens=Tokens(unit="symbol", block=4, alphabet=3))
    found = counted(tmp_path / "b", records, recipe=symbols, **keys)
    assert int(found.counts.sum()) == 2 * 8


def test_cuts_are_those_of_preparation() -> None:
    """The plot would show another cut than the one that is made."""
    frequency = Frequency(
        tokens=pa.array(list("abcdef"), pa.large_string()),
        counts=np.array([9, 5, 4, 3, 1, 1]),
        records=np.array([3, 3, 2, 1, 1, 1]),
        num_records=3,
    )
    steps = [Summarize(drop_top=1, min_count=2), Summarize(max_vocab=2)]
    first, second = find_cuts(frequency, steps, {})
    assert first.removed.tolist() == [True, False, False, False, True, True]
    assert first.options == {"drop_top": 1, "min_count": 2}
    assert not second.removed.any()
    assert second.unknown.tolist() == [False, False, False, True, False, False]


def test_a_rule_whose_table_is_missing_is_said_to_be(tmp_path: Path) -> None:
    """A missing reference would be an unreadable failure deep inside."""
    recipe = Prepare(steps=({"idf": {"reference": "nowhere.parquet", "tau": 1}},))
    with pytest.raises(ConfigError, match=r"idf.reference: .*nowhere\.parquet does not exist"):
        read_tables(build_steps(recipe), base=tmp_path)


@pytest.mark.real
def test_words_of_film_reviews(datasets: Path, tmp_path: Path) -> None:
    """The figures that the table shows would not be those of the reviews."""
    files = sorted((datasets / "text_movie_reviews").glob("*/*.txt"))[::20]
    records = [
        {"source": f"a/{p.parent.name}-{p.name}", "label": p.parent.name, "text": p.read_text()}
        for p in files
    ]
    extra = [{**RECORDS[2], "label": "pos"}, {**RECORDS[3], "label": "neg"}]
    found = counted(tmp_path, [*records, *extra], chunk_rows=16)
    assert found.num_records == 100
    assert set(found.tokens[:3].to_pylist()) == {"the", ",", "."}
