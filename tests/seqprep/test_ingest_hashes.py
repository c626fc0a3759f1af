"""Files that did not change are not read again, and every change is noticed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from seqprep.ingest import Ingested, ingest
from seqprep.ingestion import hashes
from seqprep.ingestion.files import list_files
from seqprep.ingestion.hashes import Hashed, hash_files, hashes_to_keep, read_hashes, write_hashes
from seqprep.source import Source, Target
from tests.sources import stored_rows, write_files
from tests.stores import documents_of, ingested, prepared

FILES: dict[str, bytes | str] = {"neg/a.txt": "bad", "neg/b.txt": "worse", "pos/a.txt": "good"}
LATER_NS = -(10**12)
"""A margin after which files that were written just now count as settled."""


def again(root: Path, *, rehash: bool = False) -> Ingested:
    source = Source(domain="text", path=str(root / "in"))
    return ingest(source, dataset="d", store=root / "store", rehash=rehash)


def remembered(root: Path) -> dict[str, Hashed]:
    return read_hashes(root / "store" / "d" / hashes.NAME)


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that was ingested long after its files were written."""
    monkeypatch.setattr(hashes, "MARGIN_NS", LATER_NS)
    write_files(tmp_path / "in", FILES)
    again(tmp_path)
    return tmp_path


def test_a_file_that_is_as_it_was_is_not_read_again(settled: Path) -> None:
    """Every ingest of a growing folder would read all of it."""
    cache = settled / "store" / "d" / hashes.NAME
    known = remembered(settled)
    assert sorted(known) == sorted(FILES)
    # Another hash in its place is believed: the file was not read.
    false = Hashed(stamp=known["neg/a.txt"].stamp, sha256="0" * 64)
    write_hashes(cache, {**known, "neg/a.txt": false})
    assert again(settled).new_files == 1
    done = again(settled, rehash=True)
    assert done.new_files == 1
    assert remembered(settled) == known
    assert again(settled).reused


def test_same_size_and_time_with_other_bytes_are_noticed(settled: Path) -> None:
    """A copy that restores the time of a file would keep old rows for ever."""
    path = settled / "in" / "neg" / "a.txt"
    before = path.stat()
    path.write_text("sad")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert again(settled).new_files == 1
    other = path.with_name("other")
    other.write_text("mad")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert again(settled).new_files == 1
    texts = {row["text"] for row in stored_rows(settled / "store", "d")}
    assert texts == {"mad", "worse", "good"}


def test_a_file_that_changed_just_now_is_hashed_again(tmp_path: Path) -> None:
    """A second write within one tick of the file system's clock would go unnoticed."""
    write_files(tmp_path / "in", FILES)
    old = tmp_path / "in" / "neg" / "b.txt"
    os.utime(old, (0, 0))  # what it says of its content is old, but not what it says of itself
    again(tmp_path)
    assert remembered(tmp_path) == {}


def test_a_time_in_the_future_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was put back would hide changes until it has caught up."""
    write_files(tmp_path / "in", FILES)
    later = time.time() + 3600
    os.utime(tmp_path / "in" / "pos" / "a.txt", (later, later))
    monkeypatch.setattr(hashes, "MARGIN_NS", -(10**9) * 1000)
    again(tmp_path)
    assert sorted(remembered(tmp_path)) == ["neg/a.txt", "neg/b.txt"]


@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "flipped", "other version"])
def test_a_damaged_cache_means_hashing_anew(settled: Path, harm: str) -> None:
    """A cache would turn into a thing that a person must repair, or that gives wrong hashes."""
    cache = settled / "store" / "d" / hashes.NAME
    data = cache.read_bytes()
    if harm == "missing":
        cache.unlink()
    elif harm == "other version":
        cache.write_bytes(data.replace(b'"version":1', b'"version":9'))
    else:
        changed = {"empty": b"", "cut": data[:-9], "flipped": data[:99] + b"~" + data[100:]}
        cache.write_bytes(changed[harm])
    assert remembered(settled) == {}
    assert again(settled).reused
    assert sorted(remembered(settled)) == sorted(FILES)


def test_any_flipped_bit_of_the_cache_is_found(settled: Path) -> None:
    """A hash that is not that of the file would be stored as the identity of its rows."""
    cache = settled / "store" / "d" / hashes.NAME
    data = cache.read_bytes()
    for place in range(0, len(data), 7):
        cache.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        assert read_hashes(cache) == {}


def test_a_target_beside_the_file_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed or new target would not reach the rows."""
    monkeypatch.setattr(hashes, "MARGIN_NS", LATER_NS)
    write_files(tmp_path, {"a.txt": "x", "a.out": "y", "b.txt": "x"})
    source = Source(
        domain="text",
        path=str(tmp_path),
        task="translate",
        include="*.txt",
        target=Target(from_="file", suffix=".out"),
    )

    def listed() -> list[tuple[str, str]]:
        files = hash_files(list_files(source, Path(), default=()), known)
        known.update(hashes_to_keep(files))
        return [(file.path, file.beside_sha256[:3]) for file in files]

    known: dict[str, Hashed] = {}
    first = listed()
    assert first[1] == ("b.txt", "")
    write_files(tmp_path, {"a.out": "z", "b.out": "y"})
    second = listed()
    assert second[0] != first[0]
    assert second[1][1] == first[0][1]


def test_ingest_again_reads_only_what_is_new_and_equals_all_at_once(settled: Path) -> None:
    """What is stored would depend on the order in which files arrived."""
    write_files(settled / "in", {"pos/b.txt": "best", "neg/a.txt": "sad"})
    (settled / "in" / "pos" / "a.txt").rename(settled / "in" / "pos" / "c.txt")
    done = again(settled)
    assert (done.new_files, done.missing_files) == (3, ("pos/a.txt",))
    # A file that moved is a new one; the rows of the old path stay until they are pruned.
    assert [row["id"] for row in stored_rows(settled / "store", "d")] == [
        f"{name}#0" for name in ("neg/a.txt", "neg/b.txt", "pos/a.txt", "pos/b.txt", "pos/c.txt")
    ]
    source = Source(domain="text", path=str(settled / "in"))
    ingest(source, dataset="d", store=settled / "store", prune=True)
    ingest(source, dataset="d", store=settled / "at-once")
    assert stored_rows(settled / "store", "d") == stored_rows(settled / "at-once", "d")


def test_a_file_that_moved_is_a_copy_of_its_old_rows_until_they_are_pruned(tmp_path: Path) -> None:
    """A record would be trained on twice, because somebody sorted the folder anew."""
    ingested(tmp_path, documents_of())
    before = prepared(tmp_path)
    (tmp_path / "in" / "pos" / "bob-0.txt").rename(tmp_path / "in" / "pos" / "bob-9.txt")
    moved = ingested(tmp_path)
    assert (moved.rows, moved.new_files) == (21, 1)
    after = prepared(tmp_path)
    assert (after.duplicates, sum(after.records.values())) == (1, sum(before.records.values()))
    pruned = ingested(tmp_path, prune=True)
    assert pruned.rows == 20 and prepared(tmp_path).duplicates == 0
