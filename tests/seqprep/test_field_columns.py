"""Labels and groups found for whole columns: what `FieldReader.find` says of each record."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.ingestion import field_columns
from seqprep.ingestion.field_columns import find_column, first_groups, label_numbers
from seqprep.ingestion.fields import FieldError, FieldReader
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.record_block import RecordBlock, block_rows
from seqprep.ingestion.record_builder import FieldRejectionError, parse_label
from seqprep.ingestion.records import Context
from seqprep.schema import Task
from seqprep.source import Field, Source
from tests.sources import read_source, write_files

FILE = SourceFile(path="d/a.fa")
HEADER = st.lists(
    st.sampled_from(["s1", "s2", "chr12", "class=p", "class=", "1.5", "a_b", "x|y", "-", ":", "\t"])
    | st.text("ab1 =|.\xe9\u0663\x1c", max_size=4),
    max_size=4,
).map(" ".join)
ATOM = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "=",
        r"\d",
        r"\w",
        r"\s",
        r"\S",
        r"\b",
        ".",
        r"\.",
        "[a-c]",
        r"[^\s|]",
        r"[\w.-]",
    ]
)
RUN = st.lists(
    st.builds(
        lambda atom, count: atom if atom == r"\b" else atom + count,
        ATOM,
        st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,}"]),
    ),
    max_size=3,
).map("".join)
GROUP = st.lists(RUN, min_size=1, max_size=3).map(lambda runs: "(" + "|".join(runs) + ")")
PATTERN = st.tuples(
    st.sampled_from(["", "^"]), RUN, GROUP, RUN, st.just("") | GROUP, st.sampled_from(["", "$"])
).map("".join)
TEXT = st.text("abcx1=|. -", max_size=8)


@given(PATTERN, st.lists(TEXT, max_size=5))
def test_groups_are_those_that_python_finds(pattern: str, texts: list[str]) -> None:
    """Otherwise a header would give another label in bulk than alone."""
    assert field_columns._PLAIN.fullmatch(pattern)
    matches = [re.search(pattern, text) for text in texts]
    found = first_groups(pa.array(texts, pa.string()), pattern)
    assert found.to_pylist() == [match and match[1] for match in matches]


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"(\w+)", ["caf\xe9", "\u0663"]),
        (r"(\S+)", ["a\x1cb"]),
        (r"(?i)class=(\w)", ["CLASS=x"]),
        (r"(?<==)(\w)", ["a=b"]),
        (r"(a)\1", ["aa", "ab"]),
        (r"((a)|b)*", ["ab"]),
        (r"(a{,2})b", ["aab"]),
        (r"(a$)", ["a\n"]),
    ],
)
def test_what_rust_reads_otherwise_is_left_to_python(pattern: str, texts: list[str]) -> None:
    """Otherwise a pattern would mean what another library makes of it, or nothing."""
    matches = [re.search(pattern, text) for text in texts]
    expected = [match and match[1] for match in matches]
    assert first_groups(pa.array(texts), pattern).to_pylist() == expected


FIELDS = [
    Field(from_="header"),
    Field(from_="header", pattern=r"class=(\w*)"),
    Field(from_="header", pattern=r"(?i)CHR(\d+)"),
    Field(from_="header", pattern=r"([^ ]+)$", values={"p": "P", "s1": "", "1.5": "2"}),
    Field(from_="table", table="t.csv", key="id", column="y"),
    Field(from_="table", table="t.csv", key="id", column="y", pattern="(.)$"),
    Field(from_="folder"),
    Field(from_="file", values={"b": "B"}),
]
TABLES = [{}, {"s1": "1.5", "s2": ""}, {"d/a.fa#0": "x", "s2": "2"}, {"": "n", "d/a.fa": "whole"}]
READERS = st.builds(
    lambda given, key, table: FieldReader(given=given, key=key, table=table),
    st.sampled_from(FIELDS),
    st.sampled_from(["label", "group"]),
    st.sampled_from(TABLES),
)


def each(reader: FieldReader, headers: list[str]) -> list[tuple[str | None, str]]:
    """The value of each record, and why there is none: one by one."""
    found: list[tuple[str | None, str]] = []
    for number, header in enumerate(headers):
        name = (header.split(None, 1) or [""])[0]
        try:
            id_ = f"{FILE.path}#{number}"
            found.append((reader.find(FILE, header=header, name=name, id_=id_), ""))
        except FieldError as error:
            found.append((None, str(error)))
    return found


def block(headers: list[str]) -> RecordBlock:
    count = len(headers)
    names = [(header.split(None, 1) or [""])[0] for header in headers]
    return RecordBlock(
        records=np.arange(count, dtype=np.int32),
        content=pa.array(["ACGT"] * count, pa.string()),
        lengths=np.full(count, 4),
        content_hashes=[b"x"] * count,
        names=pa.array(names, pa.string()),
        headers=pa.array(headers, pa.string()),
    )


@given(READERS, st.lists(HEADER, max_size=6))
def test_columns_hold_what_is_found_one_by_one(reader: FieldReader, headers: list[str]) -> None:
    """Otherwise the label of a record would hang on the records beside it."""
    rows = block(headers)
    ids = pa.array([f"{FILE.path}#{number}" for number in range(len(headers))], pa.string())
    found = find_column(reader, FILE, ids=ids, names=rows.names, headers=rows.headers)
    assert found.to_pylist() == [value for value, _ in each(reader, headers)]


@given(
    READERS,
    READERS,
    st.lists(HEADER, max_size=6),
    st.sampled_from(["classify", "regress"]),
)
def test_blocks_reject_what_is_rejected_one_by_one(
    label: FieldReader, group: FieldReader, headers: list[str], task: Task
) -> None:
    """Otherwise a record would be lost, or its reason, only because it came with others."""
    source = Source(domain="dna", path=".", task=task)
    context = Context(source=source, label=label, group=group)
    rows, rejections = block_rows(block(headers), FILE, context)
    kept, rejected = [], []
    for number, (value, why) in enumerate(each(label, headers)):
        fault = None if value is not None else ("no_label", why)
        answer: object = value
        if value is not None and task == "regress":
            try:
                answer = parse_label(value)
            except FieldRejectionError as error:
                fault = error.reason, error.detail
        of_group, why = each(group, headers)[number]
        if fault is None and of_group is None:
            fault = "no_group", why
        if fault is None:
            kept.append((number, answer, of_group))
        else:
            rejected.append((number, *fault))
    found = [(row["record"], row["label"], row["group"]) for row in rows.to_pylist()]
    assert found == kept
    assert [(one.record, one.reason, one.detail) for one in rejections] == rejected


NUMBER = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", " 1 ", "+1", "1.", ".5", "1_0", "\u0663", "0x1", "1e999", "-0", "1\n"]),
    st.text("0123456789.-", max_size=20),
)


@given(st.lists(st.none() | NUMBER, max_size=5))
def test_numbers_are_those_of_python(labels: list[str | None]) -> None:
    """Otherwise a label would be rounded, or taken for a number, in bulk alone."""

    def number(label: str | None) -> float | None:
        try:
            return None if label is None else parse_label(label)
        except FieldRejectionError:
            return None

    found = label_numbers(pa.array(labels, pa.string()))
    assert repr(found.to_pylist()) == repr([number(label) for label in labels])


def test_headers_are_not_looked_at_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the fast way could be lost without any other test noticing."""
    write_files(tmp_path, {"a.fa": "".join(f">s{n} class={n % 2}\nACGT\n" for n in range(9))})

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read one by one")

    monkeypatch.setattr(FieldReader, "find", refuse)
    monkeypatch.setattr(field_columns, "map_distinct", refuse)
    label = Field(from_="header", pattern=r"class=(\d+)")
    rows, _ = read_source(Source(domain="dna", path=str(tmp_path), label=label))
    assert [row["label"] for row in rows] == [str(n % 2) for n in range(9)]
