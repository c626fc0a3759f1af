"""Rules by token: informativeness beside a reference (P4) and usefulness for the label (P5)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqprep.errors import ConfigError
from seqprep.frequency import Frequency
from seqprep.prepare import Prepared
from seqprep.recipe import Prepare, Tokens
from seqprep.snapshot import Snapshot
from seqprep.token_table import NUM_RECORDS, TokenTable
from seqprep.transforms.idf import Idf, inverse_document_frequency
from seqprep.transforms.token_rule import Evidence
from seqprep.transforms.usefulness import Usefulness, chi_squared, mutual_information
from tests.seqprep.test_prepare import BY_PATH, fitted_of, prepared, rows_of, three_ways
from tests.synthetic import write_sequences

WORDS = Tokens(unit="word")


def recipe_of(*steps: dict[str, dict[str, Any]], tokens: Tokens = WORDS) -> Prepare:
    return Prepare(tokens=tokens, steps=steps, buckets=2)


def words_left(store: Path, done: Prepared) -> set[str]:
    """The words that stand in any row."""
    names = json.loads(fitted_of(store, done))["vocabulary"]
    ids = {token for row in rows_of(done) for token in row["tokens"]}
    return {names[token - 2] for token in ids if token > 1}


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Records of each class, and of each class with each token."""
    totals = draw(st.lists(st.integers(1, 30), min_size=2, max_size=4))
    held = draw(
        st.lists(st.tuples(*(st.integers(0, total) for total in totals)), min_size=1, max_size=5)
    )
    return np.array(held), np.array(totals)


@given(tables())
def test_scores_equal_their_definitions(table: tuple[np.ndarray, np.ndarray]) -> None:
    """Tokens would be ranked by something else than the name says."""
    held, totals = table
    information, statistic = mutual_information(held, totals), chi_squared(held, totals)
    total = totals.sum()
    for token, row in enumerate(held):
        cells = np.stack([row, totals - row])
        joint = cells / total
        margins = joint.sum(1, keepdims=True) * joint.sum(0)
        expected = sum(
            p * math.log(p / q) for p, q in zip(joint.ravel(), margins.ravel(), strict=True) if p
        )
        assert information[token] == pytest.approx(expected, abs=1e-12)
        if (cells.sum(1) > 0).all():
            found = stats.chi2_contingency(cells, correction=False).statistic
            assert statistic[token] == pytest.approx(found)
        else:
            assert statistic[token] == 0


DOCUMENTS = [
    {"text": f"the {'good' if n % 2 else 'bad'} film {'odd' if n < 9 else 'even'} n{n}",
     "label": "pos" if n % 2 else "neg"}
    for n in range(30)
]  # fmt: skip


def by_split(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same records in all three splits, with other numbers in validation and test."""
    return [
        {**record, "text": record["text"] + " x" * split, "source": f"f{n:04d}{split}.txt"}
        for n, record in enumerate(records)
        for split in range(3)
    ]


@pytest.mark.parametrize("by", ["mutual_information", "chi_squared"])
def test_the_most_useful_tokens_stay(tmp_path: Path, by: str) -> None:
    """Words that tell nothing of the label would take the place of those that do."""
    write_sequences(tmp_path, by_split(DOCUMENTS))
    done = prepared(
        tmp_path, split=BY_PATH, recipe=recipe_of({"usefulness": {"by": by, "keep": 2}})
    )
    assert words_left(tmp_path, done) == {"good", "bad"}
    assert {len(row["tokens"]) for row in rows_of(done)} == {1}
    assert done.oov_rate["test"] == 0  # a word that training lacks goes, too


def test_usefulness_is_of_the_tokens_that_are_left(tmp_path: Path) -> None:
    """A word that an earlier rule removed would take one of the places."""
    write_sequences(tmp_path, by_split(DOCUMENTS))
    rare = {"max_share": 0.4, "min_records": 2}
    steps = ({"summarize": rare}, {"usefulness": {"keep": 1}})
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe_of(*steps))
    assert words_left(tmp_path, done) == {"odd"}


FEW = [
    {"text": text, "label": label}
    for text, label in (("a a a b b c d", "x"), ("a b c d e", "y"), ("a b c e", "x"),
                        ("a b d e f", "y"))
]  # fmt: skip
"""21 tokens: a 6, b 5, c, d and e 3 each, f 1."""


@pytest.mark.parametrize(
    ("steps", "first", "removed"),
    [
        ([{"summarize": {"max_vocab": 2}}], [2, 2, 2, 3, 3, 1, 1], 0),
        ([{"summarize": {"min_count": 2, "max_vocab": 2}}], [2, 2, 2, 3, 3, 1, 1], 1),
        ([{"summarize": {"min_count": 4, "max_vocab": 1}}], [2, 2, 2, 1, 1], 10),
        ([{"summarize": {"max_vocab": 2}}, {"usefulness": {"keep": 3}}], [2, 2, 2, 3, 3], 10),
        ([{"summarize": {"max_vocab": 2}}, {"usefulness": {"keep": 1}}], [2, 2, 2], 15),
        ([{"summarize": {"max_vocab": 2}}, {"summarize": {"min_count": 2}}], [2, 2, 2, 3, 3], 10),
        ([{"summarize": {"max_vocab": 2}}, {"summarize": {"drop_top": 1}}], [2, 2, 1, 1], 6),
    ],
)
def test_oov_of_a_cap_is_oov_for_the_rules_behind_it(
    tmp_path: Path, steps: list[dict[str, dict[str, Any]]], first: list[int], removed: int
) -> None:
    """Padding would stand in rows, `keep` be spent on OOV, or the removed share be wrong."""
    write_sequences(tmp_path, by_split(FEW))
    recipe = replace(recipe_of(*steps), duplicates="keep")
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe)
    rows = {row["id"]: row["tokens"] for row in rows_of(done, "train")}
    assert rows["f00000.txt#0"] == first
    assert done.removed_share == pytest.approx(removed / 21)
    assert sum(map(len, rows.values())) == 21 - removed
    assert not any(0 in row["tokens"] for row in rows_of(done))


def test_the_other_strand_of_a_kept_kmer_is_unknown_where_it_was_removed(tmp_path: Path) -> None:
    """Padding would stand in rows, or the last token's channel be set for it."""
    records = [
        {
            "bases": "AAC" * (3 + n + 6 * s) + "GTT",
            "label": "xy"[n % 2],
            "source": f"f{n:04d}{s}.fa",
        }
        for n in range(6)
        for s in range(3)
    ]
    write_sequences(tmp_path, records, domain="dna")
    steps = ({"summarize": {"min_count": 12}}, {"reverse_complement": {"views": 1}})
    options: Any = {"domain": "dna", "split": BY_PATH}
    recipe = replace(
        recipe_of(*steps, tokens=Tokens(unit="kmer", k=3, stride=3)), duplicates="keep"
    )
    done = prepared(tmp_path, recipe=recipe, **options)
    views = [row["tokens"] for row in rows_of(done, "train") if row["view"] == 1]
    assert len(views) == 6 and all(set(tokens) == {1} for tokens in views)
    wide = replace(recipe, steps=(*steps, {"one_hot": {}}))
    done = prepared(tmp_path, recipe=wide, **options)
    for row in rows_of(done, "train"):
        one = np.reshape(row["values"], (row["length"], 2))  # OOV, AAC
        assert one.sum(axis=0).tolist() == [
            row["length"] * row["view"],
            row["length"] * (1 - row["view"]),
        ]


def test_labels_outside_training_tell_no_rule(tmp_path: Path) -> None:
    """What is useful would be learnt from the labels of test records (mistake 8)."""
    honest = three_ways(120)
    other = [
        record if n % 3 == 0 else {**record, "label": "pos", "text": f"{record['text']} zebra"}
        for n, record in enumerate(honest)
    ]
    recipe = recipe_of({"usefulness": {"keep": 9}})
    states = []
    for number, records in enumerate((honest, other)):
        store = tmp_path / str(number)
        write_sequences(store, records)
        done = prepared(store, split=BY_PATH, recipe=recipe)
        states.append((fitted_of(store, done), rows_of(done, "train")))
    assert states[0] == states[1]


def test_usefulness_needs_a_class() -> None:
    """A rule about labels would run where there are none, and keep anything."""
    with pytest.raises(ConfigError, match="needs a class for each record"):
        Usefulness(keep=3).check(domain="text", task="translate")
    Usefulness(keep=3, by="removal", scores="t.parquet").check(domain="text", task="translate")
    with pytest.raises(ConfigError, match="by: removal and no other"):
        Usefulness(keep=3, scores="t.parquet")


def write_table(path: Path, columns: dict[str, list[Any]], *, records: object) -> None:
    table = pa.table(columns)
    about = {} if records is None else {NUM_RECORDS: str(records).encode()}
    pq.write_table(table.replace_schema_metadata(about), path)


def test_removal_keeps_what_the_study_found(tmp_path: Path) -> None:
    """The drops of a study would be read in another order, or for other words."""
    columns = {"token": ["film", "odd", "good"], "drop": [0.2, 0.3, -0.1]}
    write_table(tmp_path / "drops.parquet", columns, records=None)
    write_sequences(tmp_path, by_split(DOCUMENTS))
    step = {"usefulness": {"by": "removal", "keep": 2, "scores": "drops.parquet"}}
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe_of(step), base=tmp_path)
    assert words_left(tmp_path, done) == {"film", "odd"}


def test_tokens_as_informative_as_in_the_reference_go(tmp_path: Path) -> None:
    """Both ends of the frequencies would be cut by rank instead of by what differs."""
    records = [
        {"text": "the cell " + ("enzyme" if n % 2 else "rare"), "label": "ab"[n % 2]}
        for n in range(30)
    ]
    write_sequences(tmp_path, by_split(records))
    # Here: the and cell in 30 of 30 records (IDF 1), enzyme and rare in 15 (IDF 1.66).
    columns = {"token": ["the", "cell", "enzyme"], "records": [99, 1, 49]}
    write_table(tmp_path / "general.parquet", columns, records=99)
    step = {"idf": {"reference": "general.parquet", "tau": 0.5}}
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe_of(step), base=tmp_path)
    # the: 1 there, too; enzyme: 1.69; cell: 4.91; rare: 5.61, the reference lacks it.
    assert words_left(tmp_path, done) == {"cell", "rare"}
    unseen = [row["tokens"] for row in rows_of(done, "validation")]
    assert all(1 in tokens for tokens in unseen)  # x, which no training row holds, is OOV
    strict = {"idf": {"reference": "general.parquet", "tau": 4.2}}
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe_of(strict), base=tmp_path)
    assert words_left(tmp_path, done) == set()


def test_a_difference_of_just_tau_stays() -> None:
    """`tau` is the smallest difference that stays: tokens at the limit would go, at 0 most."""
    tokens = pa.array(["same", "rarer", "commoner", "far"], pa.large_string())
    here, there = np.array([7, 1, 3, 0]), np.array([7, 3, 1, 3])  # records of 7
    counted = Frequency(tokens=tokens, counts=here, records=here, num_records=7)
    reference = TokenTable(tokens=tokens, columns={"records": there}, num_records=7, sha256="")
    evidence = Evidence(
        frequency=counted, alive=np.ones(5, dtype=bool), tables={"general.parquet": reference}
    )
    limit = float(abs(np.subtract(*inverse_document_frequency([1, 3], num_records=7))))
    assert limit == pytest.approx(math.log(2))
    for tau, gone in (
        (0.0, [False, False, False, False]),
        (limit, [True, False, False, False]),
        (math.nextafter(limit, 9), [True, True, True, False]),
    ):
        found = Idf(reference="general.parquet", tau=tau).removed(evidence)
        assert found.tolist() == [*gone, False], tau


def test_a_changed_reference_is_another_version(tmp_path: Path) -> None:
    """Rows of an old reference would be reused under the same name."""
    path = tmp_path / "general.parquet"
    write_sequences(tmp_path, by_split(DOCUMENTS))
    recipe = recipe_of({"idf": {"reference": "general.parquet", "tau": 1.0}})
    write_table(path, {"token": ["the"], "records": [9]}, records=9)
    first = prepared(tmp_path, split=BY_PATH, recipe=recipe, base=tmp_path)
    assert prepared(tmp_path, split=BY_PATH, recipe=recipe, base=tmp_path).reused
    write_table(path, {"token": ["the"], "records": [8]}, records=9)
    second = prepared(tmp_path, split=BY_PATH, recipe=recipe, base=tmp_path)
    assert not second.reused and second.frozen_from is None
    assert Snapshot.read(Path(first.snapshot)).sha256 != Snapshot.read(Path(second.snapshot)).sha256


def test_a_reference_of_other_units_is_refused(tmp_path: Path) -> None:
    """Every token would look informative, and nothing would be removed, without a word."""
    write_sequences(tmp_path, by_split(DOCUMENTS))
    write_table(tmp_path / "general.parquet", {"token": ["ACG"], "records": [9]}, records=9)
    recipe = recipe_of({"idf": {"reference": "general.parquet", "tau": 1.0}})
    with pytest.raises(ConfigError, match=r"general.parquet shares no token with the training"):
        prepared(tmp_path, split=BY_PATH, recipe=recipe, base=tmp_path)


def test_what_was_decided_stays_while_data_is_appended(tmp_path: Path) -> None:
    """The model's words would change with every new record."""
    split = replace(BY_PATH, pattern=r"[fg]\d+([012])\.")
    recipe = recipe_of({"usefulness": {"keep": 2}})
    write_sequences(tmp_path, by_split(DOCUMENTS))
    first = prepared(tmp_path, split=split, recipe=recipe)
    more = [
        {"text": f"even good {n}", "label": "neg", "source": f"g{n:04d}0.txt"} for n in range(30)
    ]
    write_sequences(tmp_path, [*by_split(DOCUMENTS), *more])
    done = prepared(tmp_path, split=split, recipe=recipe)
    assert done.frozen_from == first.version and done.added == 30
    assert fitted_of(tmp_path, done) == fitted_of(tmp_path, first)
    new = [row["tokens"] for row in rows_of(done) if row["id"].startswith("g")]
    assert len(new) == 30 and {len(tokens) for tokens in new} == {1}  # good, and nothing else
    assert words_left(tmp_path, prepared(tmp_path, split=split, recipe=recipe, refit=True)) != {
        "good",
        "bad",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^idf.reference: \S+/general.parquet does not exist; correct .*`seqprep freq"),
        (b"nothing", r"^idf.reference: \S+/general.parquet is no table of tokens"),
        ({"word": ["a"]}, "is no table of tokens"),
        ({"token": ["a"], "records": [1]}, "does not say how many records"),
        ({"token": ["a"], "records": [-5]}, r"a token cannot stand in -5 to -5 of inf"),
        ({"token": ["a"], "count": [1], "num": "2"}, r"general.parquet: .*no column 'records'"),
        ({"token": ["a"], "records": [3], "num": "2"}, r"cannot stand in 3 to 3 of 2"),
        ({"token": ["a"], "records": [3], "num": "-"}, "is no table of tokens"),
    ],
)
def test_a_reference_that_is_none_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    """A wrong file would end in a traceback, or in a rule that removes everything."""
    path = tmp_path / "general.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        columns = {name: cells for name, cells in content.items() if name != "num"}
        write_table(path, columns, records=content.get("num"))
    write_sequences(tmp_path, by_split(DOCUMENTS))
    recipe = recipe_of({"idf": {"reference": "general.parquet", "tau": 1.0}})
    with pytest.raises(ConfigError, match=message):
        prepared(tmp_path, split=BY_PATH, recipe=recipe, base=tmp_path)


def test_options_are_checked() -> None:
    """A typing error would keep everything or nothing."""
    with pytest.raises(ConfigError, match=r"idf.tau must be a number >= 0 nats, got -1"):
        Idf(reference="t.parquet", tau=-1)
    with pytest.raises(ConfigError, match=r"usefulness.keep must be a whole number >= 1"):
        Usefulness(keep=0)
    with pytest.raises(ConfigError, match=r"usefulness.by must be one of"):
        Usefulness(keep=1, by="count")  # type: ignore[arg-type]
