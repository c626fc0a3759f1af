"""Listing source files, expanding them, and finding labels and groups."""

from __future__ import annotations

import gzip
import os
import random
import struct
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.errors import InputError, SeqprepError
from seqprep.ingestion.expand import SourceStream, decode, read_bytes
from seqprep.ingestion.fields import FieldError, FieldReader, field_reader, table_digests
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.globs import matches
from seqprep.ingestion.hashes import hash_files
from seqprep.source import Field, Source, Target
from tests.sources import write_files

BIG = 2**40


def text_source(path: Path, **keys: object) -> Source:
    return Source(domain="text", path=str(path), **keys)  # type: ignore[arg-type]


def listed(source: Source, *default: str) -> list[str]:
    return [file.path for file in list_files(source, Path(), default=default or ("*.txt",))]


def test_globs_ignore_case_and_find_compressed_files(tmp_path: Path) -> None:
    """Otherwise a class whose files end in `.TXT` would be lost without a word."""
    write_files(tmp_path, {"a/1.txt": "x", "b/2.TXT": "x", "b/3.txt.gz": "x", "b/4.csv": "x"})
    assert listed(text_source(tmp_path)) == ["a/1.txt", "b/2.TXT", "b/3.txt.gz"]


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    """Otherwise a person would have to make a folder for one file, or name its suffix."""
    write_files(tmp_path, {"note.odd": "x"})
    assert listed(text_source(tmp_path / "note.odd")) == ["note.odd"]


def test_readmes_and_dot_files_are_no_records(tmp_path: Path) -> None:
    """Otherwise the note of a dataset's authors would be learnt from."""
    names = ("README.txt", "ORIGINAL_README.TXT", ".hidden/x.txt", "a/.x.txt", "a/readme.txt")
    write_files(tmp_path, dict.fromkeys((*names, "a/kept.txt"), "x"))
    assert listed(text_source(tmp_path)) == ["a/kept.txt"]


@pytest.mark.parametrize(
    ("path", "globs", "fits"),
    [
        ("a/b/c.txt", ["*.txt"], True),
        ("a/b/c.txt", ["a/*.txt"], False),
        ("a/b/c.txt", ["a/**/*.txt"], True),
        ("c.txt", ["**/*.txt"], True),
        ("a[1].txt", ["a[[]1].txt"], True),
        ("ab.txt", ["?[!x].txt"], True),
        ("a.txt.bak", ["*.txt"], False),
        ("A.FASTA.GZ", ["*.fasta"], True),
    ],
)
def test_globs_mean_what_a_shell_means(path: str, globs: list[str], fits: bool) -> None:
    """Otherwise `include` would take files that a person did not mean."""
    assert matches(path, globs) is fits


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    """Otherwise a typing error would look like an empty dataset."""
    with pytest.raises(SeqprepError, match="'nowhere' does not exist"):
        list_files(text_source(Path("nowhere")), tmp_path, default=["*.txt"])


def test_nothing_found_names_pattern_place_and_what_is_there(tmp_path: Path) -> None:
    """Otherwise a person could not tell a wrong pattern from a wrong folder."""
    write_files(tmp_path, {"a.doc": "x", "b.doc": "x"})
    with pytest.raises(SeqprepError, match=r"looked for \*\.txt; found 'a\.doc', 'b\.doc'"):
        listed(text_source(tmp_path))


def test_a_link_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    """Otherwise a dataset from somebody else could make us read any file of the machine."""
    write_files(tmp_path, {"secret.txt": "x", "data/a.txt": "x"})
    (tmp_path / "data" / "b.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match="symbolic link that leaves") as caught:
        listed(text_source(tmp_path / "data"))
    assert caught.value.file == "b.txt"


def test_a_linked_folder_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    """Otherwise its files would silently be missing, or read from outside."""
    write_files(tmp_path, {"other/x.txt": "x", "data/a.txt": "x"})
    (tmp_path / "data" / "more").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="is a link to a folder"):
        listed(text_source(tmp_path / "data"))


def test_a_link_inside_the_root_is_read(tmp_path: Path) -> None:
    """Otherwise folders that share files by links could not be used."""
    write_files(tmp_path, {"a/1.txt": "x"})
    (tmp_path / "b.txt").symlink_to(tmp_path / "a" / "1.txt")
    assert listed(text_source(tmp_path)) == ["a/1.txt", "b.txt"]


def test_broken_links_fifos_and_devices_are_refused(tmp_path: Path) -> None:
    """Otherwise an ingest would hang on a pipe that nobody writes to."""
    write_files(tmp_path, {"a.txt": "x"})
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="is a FIFO"):
        listed(text_source(tmp_path))
    with pytest.raises(InputError, match="is a device"):
        listed(text_source(Path("/dev/null")))
    (tmp_path / "pipe.txt").unlink()
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="broken link"):
        listed(text_source(tmp_path))


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Otherwise writing its id would fail at the end of the work."""
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    with pytest.raises(InputError, match="not UTF-8"):
        listed(text_source(tmp_path))


def test_target_files_are_paired_and_are_no_records(tmp_path: Path) -> None:
    """Otherwise the answers would be learnt as inputs."""
    write_files(tmp_path, {"a.txt": "x", "a.out.txt": "y"})
    source = text_source(tmp_path, task="translate", target=Target(from_="file", suffix=".out.txt"))
    files = hash_files(list_files(source, Path(), default=["*.txt"]))
    assert [file.path for file in files] == ["a.txt"]
    assert files[0].beside_sha256


def test_label_tables_are_no_records(tmp_path: Path) -> None:
    """Otherwise a table of labels beside the recordings would be read as a recording."""
    write_files(tmp_path, {"labels.csv": "id,y\na.csv,1\n", "a.csv": "1\n2\n"})
    label = Field(from_="table", table="labels.csv", key="id", column="y")
    source = Source(domain="eeg", path=str(tmp_path), label=label)
    assert listed(source, "*.csv") == ["a.csv"]
    assert len(table_digests(source, Path())) == 1


def expanded(tmp_path: Path, data: bytes, *, cap: int = BIG) -> bytes:
    (tmp_path / "a.txt.gz").write_bytes(data)
    file = SourceFile(path="a.txt.gz", full=str(tmp_path / "a.txt.gz"), size_bytes=len(data))
    return read_bytes(file, max_expanded_bytes=cap)


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(0, 3))
def test_gzip_members_expand_to_their_content(parts: list[bytes], padding: int) -> None:
    """Otherwise the later members of a joined file would be lost."""
    data = b"".join(gzip.compress(part) for part in parts) + b"\0" * padding
    with tempfile.TemporaryDirectory() as folder:
        assert expanded(Path(folder), data) == b"".join(parts)


def test_gzip_cut_in_the_middle_is_found(tmp_path: Path) -> None:
    """Otherwise a broken download would be a smaller dataset, without a word."""
    data = gzip.compress(random.Random(0).randbytes(5000))
    for cut in (0, 1, 5, 100, len(data) - 8, len(data) - 1):
        with pytest.raises(InputError, match=r"ends in the middle|does not hold gzip"):
            expanded(tmp_path, data[:cut])


def bgzf_block(payload: bytes) -> bytes:
    """One block of block gzip: a member with the extra field BC."""
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(payload) + packer.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
    return head + body + struct.pack("<II", zlib.crc32(payload), len(payload))


def test_block_gzip_cut_between_blocks_is_found(tmp_path: Path) -> None:
    """Otherwise whole blocks could be missing at the end, and gzip itself would be content."""
    whole = bgzf_block(b">a\nACGT\n") + bgzf_block(b">b\nACGT\n")
    assert expanded(tmp_path, whole + bgzf_block(b"")) == b">a\nACGT\n>b\nACGT\n"
    with pytest.raises(InputError, match="lacks its end mark"):
        expanded(tmp_path, whole)


def test_junk_after_gzip_is_found(tmp_path: Path) -> None:
    """Otherwise content that was appended by mistake would be left out silently."""
    with pytest.raises(InputError, match="something that is not gzip follows") as caught:
        expanded(tmp_path, gzip.compress(b"abc") + b"junk")
    assert caught.value.reason == "bad_gzip"


def test_flipped_bits_in_gzip_are_found(tmp_path: Path) -> None:
    """Otherwise damaged content would be learnt from."""
    data = bytearray(gzip.compress(random.Random(1).randbytes(3000)))
    data[1500] ^= 1
    with pytest.raises(InputError, match="damaged"):
        expanded(tmp_path, bytes(data))


def test_a_gzip_bomb_is_stopped_at_the_cap(tmp_path: Path) -> None:
    """Otherwise a file of 100 KB could fill the memory."""
    data = gzip.compress(bytes(100 * 2**20))
    with pytest.raises(InputError, match="max_expanded_bytes = 1000000 bytes"):
        expanded(tmp_path, data, cap=1_000_000)


def test_a_plain_file_named_gz_is_refused(tmp_path: Path) -> None:
    """Otherwise its compressed neighbours and it would be read in different ways."""
    with pytest.raises(InputError, match="does not hold gzip data"):
        expanded(tmp_path, b"plain text")


def test_streams_give_the_same_bytes_in_any_portions(tmp_path: Path) -> None:
    """Otherwise records at a block's edge would change."""
    content = random.Random(2).randbytes(3 * 2**20 + 17)
    write_files(tmp_path, {"a.bin": content, "b.bin.gz": content})
    for name in ("a.bin", "b.bin.gz"):
        file = SourceFile(path=name, full=str(tmp_path / name))
        with SourceStream(file, max_expanded_bytes=BIG) as stream:
            assert b"".join(iter(lambda: stream.read(70_001), b"")) == content


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_byte_order_marks_are_obeyed_and_removed(codec: str) -> None:
    """Otherwise the first word of a document would carry an invisible character."""
    assert decode("caf\xe9 \u20ac".encode(codec), encoding="auto") == ("caf\xe9 \u20ac", False)


def found(field: Field, path: str, **place: str) -> str:
    return FieldReader(given=field, key="label").find(SourceFile(path=path), **place)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field(from_="folder"), "pos"),
        (Field(from_="file"), "cv1_2"),
        (Field(from_="path"), "set/pos/cv1_2.txt"),
        (Field(from_="path", pattern="cv(\\d)"), "1"),
        (Field(from_="header", pattern="label=(\\w+)"), "x"),
        (Field(from_="column", column="y"), "7"),
        (Field(from_="folder", values={"pos": "good"}), "good"),
    ],
)
def test_each_place_gives_its_value(field: Field, value: str) -> None:
    """Otherwise labels would come from another place than the one that was named."""
    assert found(field, "set/pos/cv1_2.txt", header="n label=x", cell="7") == value


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Field(from_="folder"), "the file lies in no folder"),
        (Field(from_="file", pattern="z(.)"), "finds nothing in 'a'"),
        (Field(from_="file", values={"b": "c"}), "'a' is not among"),
        (Field(from_="column", column="y"), "nothing stands in its column"),
    ],
)
def test_a_value_that_is_not_found_says_why(field: Field, message: str) -> None:
    """Otherwise a person would not know which key to change."""
    with pytest.raises(FieldError, match=message):
        found(field, "a.txt")


def test_tables_give_values_by_name_id_or_path(tmp_path: Path) -> None:
    """Otherwise ids of one kind would have to be rewritten to another by hand."""
    write_files(tmp_path, {"ids.tsv": "id\ty\nr1\tA\na.fa#1\tB\nb.fa\tC\n", "a.fa": ">x\nA\n"})
    field = Field(from_="table", table="ids.tsv", key="id", column="y")
    source = Source(domain="dna", path=str(tmp_path), label=field)
    reader = field_reader(field, source, Path(), key="label")
    assert reader is not None
    assert reader.find(SourceFile(path="a.fa"), name="r1", id_="a.fa#0") == "A"
    assert reader.find(SourceFile(path="a.fa"), name="r2", id_="a.fa#1") == "B"
    assert reader.find(SourceFile(path="b.fa"), name="r3", id_="b.fa#0") == "C"
    with pytest.raises(FieldError, match=r"'r9' is not in column 'id' of ids\.tsv"):
        reader.find(SourceFile(path="c.fa"), name="r9", id_="c.fa#0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,z\na,1\n", "no column 'y'"),
        ("id,y\na,1\na,2\n", "line 3: 'a' has two values"),
        ("id,y\na\n", "line 2: has 1 cells, too few"),
    ],
)
def test_bad_label_tables_are_refused_with_their_line(
    tmp_path: Path, content: str, message: str
) -> None:
    """Otherwise records would get one of two labels by chance."""
    write_files(tmp_path, {"t.csv": content, "a.fa": ">x\nA\n"})
    field = Field(from_="table", table="t.csv", key="id", column="y")
    source = Source(domain="dna", path=str(tmp_path), label=field)
    with pytest.raises(SeqprepError, match=message):
        field_reader(field, source, Path(), key="label")
