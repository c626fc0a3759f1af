"""What every domain must do, asked of each entry of DOMAINS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqprep.domains import DOMAINS
from seqprep.errors import REASONS
from seqprep.ingestion import record_builder
from seqprep.ingestion.hashes import hash_files
from seqprep.ingestion.records import ODDITIES, Batch, Context, SourceFacts
from seqprep.schema import CONTENT_COLUMN, sequences_schema
from seqprep.source import Field, Generator, Source
from tests.sources import write_files

SAMPLES: dict[str, dict[str, bytes | str]] = {
    "dna": {"p/a.fa": ">1 x\nACGTN\n>2\n\n>3\nacgu\n", "q/b.fa.gz": ">1\nGG\n", "q/c.fa": "\n"},
    "text": {"p/a.txt": "one\x01", "p/b.txt": " ", "q/c.txt.gz": "caf\xe9", "q/d.txt": b"\xa3"},
    "eeg": {"p/a.csv": "x,y\n1,2\n3,4\n", "q/b.csv.gz": "x,y\n5,6\n", "q/c.csv": "x\n1\n"},
    "prices": {},
}


def sample(domain: str, tmp_path: Path, **keys: Any) -> tuple[Source, list[Batch]]:
    """A source of the domain with good and bad records, and its batches."""
    write_files(tmp_path, SAMPLES[domain])
    if domain == "prices":
        small = Generator(series=2, test_series=1, steps=40, differences=4)
        source = Source(domain="prices", generator=small, **keys)
    else:
        source = Source(domain=domain, path=str(tmp_path), **keys)  # type: ignore[arg-type]
    reader = DOMAINS[domain]
    files = reader.list_files(source, Path())
    context = Context.of(source, Path())
    context = replace(context, facts=reader.probe(files, context, None))
    return source, list(reader.read(files, context))


def rows_of(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.rows.to_pylist()]


def test_every_domain_has_a_content_column_and_a_sample() -> None:
    """Otherwise a new domain would pass these tests by not taking part."""
    assert set(DOMAINS) == set(CONTENT_COLUMN) == set(SAMPLES)


@pytest.mark.parametrize("domain", DOMAINS)
def test_batches_have_the_schema_of_the_table(domain: str, tmp_path: Path) -> None:
    """Otherwise staged files could not be committed to one table."""
    source, batches = sample(domain, tmp_path)
    assert batches
    for batch in batches:
        assert batch.rows.schema.equals(sequences_schema(source.domain, source.task))
        batch.rows.validate(full=True)


@pytest.mark.parametrize("domain", DOMAINS)
def test_ids_name_file_and_record_and_are_unique(domain: str, tmp_path: Path) -> None:
    """Otherwise a prediction could not be traced back to its record."""
    rows = rows_of(sample(domain, tmp_path)[1])
    assert all(row["id"] == f"{row['source']}#{row['record']}" for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["group"] == row["id"] for row in rows)
    assert all(len(row["content_hash"]) == 32 and row["length"] > 0 for row in rows)


@pytest.mark.parametrize("domain", DOMAINS)
def test_order_is_that_of_the_files(domain: str, tmp_path: Path) -> None:
    """Otherwise a rerun could give the same rows in another order."""
    rows = rows_of(sample(domain, tmp_path)[1])
    places = [(row["source"], row["record"]) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_record_is_accepted_or_rejected_once(domain: str, tmp_path: Path) -> None:
    """Otherwise records would vanish, or count twice."""
    _, batches = sample(domain, tmp_path)
    seen = [(row["source"], row["record"]) for row in rows_of(batches)]
    rejections = [one for batch in batches for one in batch.rejections]
    seen += [(one.source, one.record) for one in rejections]
    assert len(seen) == len(set(seen))
    assert {name for name, _ in seen} >= set(SAMPLES[domain])
    assert all(one.reason in REASONS and one.detail for one in rejections)
    assert all(name in ODDITIES for batch in batches for _, name in batch.oddities)


@pytest.mark.parametrize("domain", DOMAINS)
def test_smaller_batches_hold_the_same_rows(
    domain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a memory setting would change the data."""
    _, whole = sample(domain, tmp_path)
    monkeypatch.setattr(record_builder, "BATCH_BYTES", 1)
    _, cut = sample(domain, tmp_path)
    assert len(cut) > len(whole)
    assert rows_of(cut) == rows_of(whole)


@pytest.mark.parametrize("domain", DOMAINS)
def test_files_read_alone_give_the_same_rows(domain: str, tmp_path: Path) -> None:
    """Otherwise what stands in one file would depend on its neighbours, or on the chunks."""
    source, batches = sample(domain, tmp_path)
    reader = DOMAINS[domain]
    files = reader.list_files(source, Path())
    context = Context.of(source, Path())
    context = replace(context, facts=reader.probe(files, context, None))
    alone = [row for file in files for row in rows_of(list(reader.read([file], context)))]
    assert alone == rows_of(batches)


@pytest.mark.parametrize("domain", DOMAINS)
def test_known_facts_are_kept(domain: str, tmp_path: Path) -> None:
    """Otherwise files that are appended could change what older rows mean."""
    source, _ = sample(domain, tmp_path)
    reader = DOMAINS[domain]
    context = Context.of(source, Path())
    files = reader.list_files(source, Path())
    found = reader.probe(files, context, None)
    assert reader.probe(files[1:], context, found) == found
    assert isinstance(found, SourceFacts)


@pytest.mark.parametrize("domain", DOMAINS)
def test_listed_files_are_sorted_and_hashed(domain: str, tmp_path: Path) -> None:
    """Otherwise two machines could list the same folder in two orders."""
    source, _ = sample(domain, tmp_path)
    files = hash_files(DOMAINS[domain].list_files(source, Path()))
    assert [file.path for file in files] == sorted(file.path for file in files)
    assert len({file.sha256 for file in files}) == len(files)
    assert all(len(file.sha256) == 64 for file in files)


@pytest.mark.parametrize("domain", DOMAINS)
def test_groups_come_from_where_they_are_asked_from(domain: str, tmp_path: Path) -> None:
    """Otherwise a subject's records could be torn apart by a split."""
    rows = rows_of(sample(domain, tmp_path, group=Field(from_="folder"))[1])
    assert all(row["group"] == row["source"].split("/")[0] for row in rows)
