"""FASTA: the same records as Biopython's, cleaned by the stated policy."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from Bio.Seq import Seq
from Bio.SeqIO.FastaIO import SimpleFastaParser
from hypothesis import given
from hypothesis import strategies as st

from seqprep.bases import Letters
from seqprep.domains import dna
from seqprep.domains.dna_letters import strand_hash, strand_hashes
from seqprep.domains.fasta_headers import split_headers
from seqprep.domains.fasta_lines import FastaStream, record_lines
from seqprep.domains.fasta_records import joined_lines, record_blocks
from seqprep.ingestion.files import SourceFile
from seqprep.kernels import to_offsets
from seqprep.source import Field, Source, Target
from tests.sources import read_source, write_files

NO_LABEL = Field(from_="none")


def fasta(tmp_path: Path, content: bytes | str, **keys: object) -> Source:
    write_files(tmp_path, {"a.fa": content})
    return Source(domain="dna", path=str(tmp_path), **{"label": NO_LABEL, **keys})  # type: ignore[arg-type]


def bases(tmp_path: Path, content: bytes | str, **keys: object) -> list[str]:
    rows, _ = read_source(fasta(tmp_path, content, **keys))
    return [row["bases"] for row in rows]


HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
LETTERS = st.text("ACGTUacgtuRYKMSWBDHVNn", min_size=1, max_size=200)


@given(
    st.lists(st.tuples(HEADER, LETTERS), min_size=1, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 70),
    st.booleans(),
)
def test_records_are_those_of_biopython(
    records: list[tuple[str, str]], end: str, width: int, final: bool
) -> None:
    """Otherwise names, order or bases would differ from what every other tool reads."""
    lines = []
    for header, letters in records:
        lines.append(f">{header} rest")
        lines += [letters[at : at + width] for at in range(0, len(letters), width)]
    text = end.join(lines) + (end if final else "")
    expected = [
        (title, letters.upper().replace("U", "T"))
        for title, letters in SimpleFastaParser(io.StringIO(text, newline=None))
    ]
    with tempfile.TemporaryDirectory() as folder:
        source = fasta(Path(folder), text.encode(), ambiguity="keep")
        rows, seen = read_source(source)
        found = {row["record"]: (row["header"], row["bases"]) for row in rows}
        for one in seen.rejections:
            # Only a record of mostly rare codes may be taken for a protein.
            assert one.reason == "protein"
            assert one.record is not None
            found[one.record] = expected[one.record]
    assert [found[number] for number in range(len(expected))] == expected


ODD_LINES = st.lists(
    st.sampled_from([b">", b"A", b"c", b" ", b"\t", b"-", b"\x1c", b"\x85", b"\xa0", b"\xc3"])
    | st.sampled_from([b"\n", b"\n>"]),
    max_size=40,
).map(b"".join)


def as_letters(text: str) -> Letters:
    """Text as the kernels take it."""
    return np.frombuffer(text.encode(), np.uint8)


@given(st.lists(st.text("ab \t\x1f\x0b\x01\x85é", max_size=6), min_size=1, max_size=6))
def test_headers_are_cut_into_words_as_python_cuts_them(headers: list[str]) -> None:
    """Otherwise the white space or letters of one header would shift the names of others."""
    raw = [header.encode() for header in headers]
    letters = np.frombuffer(b"".join(raw), np.uint8)
    found, names = split_headers(letters, to_offsets([len(one) for one in raw]))
    assert found.to_pylist() == [header.strip() for header in headers]
    assert names.to_pylist() == [(header.split(None, 1) or [""])[0] for header in headers]


@given(ODD_LINES, st.integers(1, 9), st.integers(1, 20))
def test_odd_text_is_cut_as_biopython_cuts_it(odd: bytes, read: int, cut: int) -> None:
    """Otherwise white space, `>` inside lines or the edges of blocks would make other records."""
    text = b">first\n" + odd
    expected = [
        (title.encode("latin-1"), letters.encode("latin-1"))
        for title, letters in SimpleFastaParser(io.StringIO(text.decode("latin-1"), newline="\n"))
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqprep.ingestion.expand.BLOCK_BYTES", read)
        patch.setattr("seqprep.domains.fasta_records.BLOCK_BYTES", cut)
        path = Path(folder, "a.fa")
        path.write_bytes(text)
        with FastaStream(SourceFile(path="a.fa", full=str(path)), max_expanded_bytes=99) as stream:
            blocks = list(record_blocks(stream))
    headers = [
        block.text[start + 1 : stop].decode("latin-1")
        for block in blocks
        for start, stop in block.lines[block.heads].tolist()
    ]
    titles = [header.rstrip().encode("latin-1") for header in headers]
    bodies = [
        joined_lines(block.take_body(place)) for block in blocks for place in range(len(block))
    ]
    found = zip(titles, bodies, strict=True)
    assert list(found) == expected


def test_lines_are_joined_raised_and_rna_becomes_dna(tmp_path: Path) -> None:
    """Otherwise one gene would have several spellings."""
    assert bases(tmp_path, ">a\nacgu\nAC GT\t\n\nNn\n") == ["ACGTACGTNN"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(tmp_path: Path, end: str) -> None:
    """Otherwise files of Windows or old Macs would be one long header."""
    rows, seen = read_source(
        fasta(tmp_path, end.join([">a x", "AC", "GT", "", ">b", "TT"]).encode())
    )
    assert [(row["name"], row["header"], row["bases"]) for row in rows] == [
        ("a", "a x", "ACGT"),
        ("b", "b", "TT"),
    ]
    assert not seen.rejections


def test_a_name_after_a_blank_is_a_name(tmp_path: Path) -> None:
    """Otherwise `> 6400` would have the empty name, and all such records the same."""
    rows, _ = read_source(fasta(tmp_path, "> 6400 plus\nAC\n>\nGT\n"))
    assert [(row["name"], row["header"]) for row in rows] == [("6400", "6400 plus"), ("", "")]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("n", ["ACNNNT"]), ("keep", ["ACRYNT"]), ("drop", ["ACT"]), ("reject", [])],
)
def test_ambiguity_codes_follow_the_policy(
    tmp_path: Path, policy: str, expected: list[str]
) -> None:
    """Otherwise codes would be bases for one person and noise for another, unsaid."""
    source = fasta(tmp_path, ">a\nACryxT\n".replace("x", "N"), ambiguity=policy)
    rows, seen = read_source(source)
    assert [row["bases"] for row in rows] == expected
    if policy == "reject":
        assert seen.reasons == [("a.fa", 1, "ambiguous_bases")]
    else:
        assert seen.oddities == {"ambiguous_bases": 1}


def test_x_counts_as_any_base(tmp_path: Path) -> None:
    """Otherwise genomes masked with X would be rejected."""
    assert bases(tmp_path, ">a\nACGTXXXACGT\n", ambiguity="keep") == ["ACGTNNNACGT"]


def test_gaps_are_left_out_and_counted(tmp_path: Path) -> None:
    """Otherwise an alignment's gaps would be bases, or vanish without a word."""
    rows, seen = read_source(fasta(tmp_path, ">a\nAC--G.T*\n>b\nACGT\n"))
    assert [row["bases"] for row in rows] == ["ACGT", "ACGT"]
    assert seen.oddities == {"gaps": 1}


def test_comments_are_left_out_wherever_they_stand(tmp_path: Path) -> None:
    """Otherwise the words of a comment would be read as bases."""
    text = ";old style\n>a; not this\nAC\n; here\n;;and here\nGT\n>b\nTT\n;end"
    rows, seen = read_source(fasta(tmp_path, text))
    assert [(row["header"], row["bases"]) for row in rows] == [("a; not this", "ACGT"), ("b", "TT")]
    assert seen.oddities == {"comment_lines": 4}


@pytest.mark.parametrize("size", range(3, 24))
def test_block_edges_change_nothing(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a comment, a CRLF or a header across two blocks would be cut."""
    monkeypatch.setattr("seqprep.ingestion.expand.BLOCK_BYTES", size)
    text = b"\xef\xbb\xbf\r\n;c1\r\n>a h;\r\nAC\r\n;c2 > x\r\nGT\r\n\r\n>b\rTT\n"
    rows, seen = read_source(fasta(tmp_path, text))
    assert [(row["header"], row["bases"]) for row in rows] == [("a h;", "ACGT"), ("b", "TT")]
    assert seen.oddities == {"comment_lines": 2}


@given(st.lists(st.sampled_from([b">x", b"AC", b"", b";c", b" >y"]), max_size=12), st.booleans())
def test_lines_of_records_are_found(lines: list[bytes], crlf: bool) -> None:
    """Otherwise an error would send a person to the wrong line of a large file."""
    expected = [number for number, line in enumerate(lines, start=1) if line.startswith(b">")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.fa")
        path.write_bytes((b"\r\n" if crlf else b"\n").join(lines))
        file = SourceFile(path="a.fa", full=str(path))
        found = record_lines(file, range(len(expected)), max_expanded_bytes=2**30)
    assert [found[record] for record in range(len(expected))] == expected


def test_repeated_names_are_counted_or_rejected(tmp_path: Path) -> None:
    """Otherwise a table keyed by names would silently lose records."""
    text = ">a 1\nAC\n>b\nGG\n>a 2\nGT\n>a 3\nTT\n"
    rows, seen = read_source(fasta(tmp_path, text))
    assert len(rows) == 4
    assert seen.oddities == {"repeated_name": 2}
    rows, seen = read_source(fasta(tmp_path, text, on_repeated_name="reject"))
    assert [row["id"] for row in rows] == ["a.fa#0", "a.fa#1"]
    assert seen.reasons == [("a.fa", 5, "repeated_name"), ("a.fa", 7, "repeated_name")]


@given(st.lists(st.text("ACGTRYN", min_size=1, max_size=40), min_size=1, max_size=9))
def test_both_strands_have_one_hash(records: list[str]) -> None:
    """Otherwise a reverse complement could stand in the test set beside its twin in training."""
    mirrored = [str(Seq(letters).reverse_complement()) for letters in records]
    smaller = [min(pair).encode() for pair in zip(records, mirrored, strict=True)]
    expected = [hashlib.sha256(letters).digest() for letters in smaller]
    for strand in (records, mirrored):
        offsets = to_offsets([len(letters) for letters in strand])
        assert strand_hashes(as_letters("".join(strand)), offsets) == expected


def test_a_long_record_is_hashed_in_blocks() -> None:
    """Otherwise a chromosome's smaller strand would be another one than that of the whole."""
    letters = b"T" + b"ACGGT" * 500_000 + b"C"
    mirrored = str(Seq(letters.decode()).reverse_complement()).encode()
    assert strand_hash(letters) == strand_hash(mirrored)
    found = strand_hashes(as_letters(letters.decode()), to_offsets([len(letters)]))
    assert found == [strand_hash(letters)]


def test_a_record_is_the_same_on_one_line_wrapped_and_compressed(tmp_path: Path) -> None:
    """Otherwise the layout of a chromosome's file would decide its rows."""
    letters = "ACGTTGCATN" * 300_000
    wrapped = "\n".join(letters[at : at + 60] for at in range(0, len(letters), 60))
    found = []
    for name, body in (("a.fa", letters), ("a.fa", wrapped), ("a.fa.gz", wrapped)):
        folder = tmp_path / str(len(found))
        write_files(folder, {name: f">one\nAC\n>chr1 x\n{body}\n>last\nGT"})
        source = Source(domain="dna", path=str(folder), include="*.fa", label=NO_LABEL)
        rows, seen = read_source(source)
        found.append([(row["name"], row["bases"], row["content_hash"]) for row in rows])
        assert not seen.rejections
    assert [len(bases) for _, bases, _ in found[0]] == [2, 3_000_000, 2]
    assert found[1] == found[0] and found[2] == found[0]


@given(st.text("ACGT", max_size=120))
def test_codons_are_translated_as_biopython_does(letters: str) -> None:
    """Otherwise models would learn another genetic code."""
    whole = letters[: len(letters) // 3 * 3]
    assert dna.codons_to_protein(letters.encode()) == str(Seq(whole).translate(to_stop=True))


def test_proteins_are_the_target_of_codons(tmp_path: Path) -> None:
    """Otherwise a record without a protein would train the model on nothing."""
    source = fasta(
        tmp_path,
        ">a\nATGGCTTAAGG\n>b\nTAAATG\n>c\nAT\n",
        task="translate",
        target=Target(from_="codons"),
    )
    rows, seen = read_source(source)
    assert [row["target_text"] for row in rows] == ["MA"]
    assert seen.reasons == [("a.fa", 3, "bad_target"), ("a.fa", 5, "bad_target")]


def test_headers_may_hold_labels_and_groups(tmp_path: Path) -> None:
    """Otherwise the most common place of a FASTA label could not be used."""
    source = fasta(
        tmp_path,
        ">a kind=x chr=1\nAC\n>b kind=y chr=2\nGT\n>c\nTT\n",
        label=Field(from_="header", pattern="kind=(\\w)"),
        group=Field(from_="header", pattern="chr=(\\w)"),
    )
    rows, seen = read_source(source)
    assert [(row["label"], row["group"]) for row in rows] == [("x", "1"), ("y", "2")]
    assert [one.reason for one in seen.rejections] == ["no_label"]


@pytest.mark.slow
def test_a_chromosome_on_one_line_is_read(tmp_path: Path) -> None:
    """Otherwise the largest human chromosome would need to be wrapped first."""
    (tmp_path / "a.fa").write_bytes(b">chr1\n" + b"ACGTN" * 50_000_000 + b"\n")
    rows, seen = read_source(Source(domain="dna", path=str(tmp_path), label=NO_LABEL))
    assert [row["length"] for row in rows] == [250_000_000]
    assert not seen.rejections
