"""DNA: FASTA files, cleaned to upper-case A, C, G, T and the IUPAC codes that the policy leaves.

Lines are joined, lower case raised, U becomes T; the gap characters `-`, `.` and `*` and white
space are left out (counted); `;` lines are comments (counted). X, the older code for any base,
counts as an ambiguity code. A record with other letters is rejected, as `protein` if it looks like
one.
Use it for any FASTA whose records are sequences of their own; not for alignments whose gaps matter.
Source: Biopython's SimpleFastaParser; IUPAC codes: Cornish-Bowden 1985, doi:10.1093/nar/13.9.3021
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from Bio.Data.CodonTable import standard_dna_table
from Bio.Data.IUPACData import ambiguous_dna_complement
from Bio.SeqIO.FastaIO import SimpleFastaParser

from seqprep.domains.fasta_lines import FastaStream, record_lines
from seqprep.errors import NotBuiltError, Rejection
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, no_facts
from seqprep.source import Source

INCLUDE = ("*.fa", "*.fasta", "*.fna", "*.ffn", "*.frn", "*.fas", "*.seq")
GAPS = b"-.*"
AMBIGUOUS = b"RYKMSWBDHVNX"
_AMINO_ONLY = b"EFILPQZJO"
_INVALID = b"!"
_HEAD = 64
"""Bases compared first to find the smaller strand."""
_COMPLEMENT = bytes.maketrans(
    "".join(ambiguous_dna_complement).encode(), "".join(ambiguous_dna_complement.values()).encode()
)


@dataclass(frozen=True, slots=True)
class Alphabet:
    """How bytes become bases: a table for `bytes.translate` and the bytes it leaves out."""

    table: bytes
    delete: bytes

    @classmethod
    def of(cls, ambiguity: str) -> Alphabet:
        """The alphabet of a policy: `n`, `keep`, `drop` or `reject`."""
        table = bytearray(_INVALID * 256)
        for letter, base in zip(b"ACGTU", b"ACGTT", strict=True):
            table[letter] = table[letter + 32] = base
        for letter in AMBIGUOUS:
            kept = letter if ambiguity in ("keep", "reject") and letter != ord("X") else ord("N")
            table[letter] = table[letter + 32] = kept
        delete = GAPS + b" \t\r\n\v\f"
        if ambiguity == "drop":
            delete += AMBIGUOUS + AMBIGUOUS.lower()
        return cls(bytes(table), delete)


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The records of FASTA files, in order.

    Raises:
        InputError: where bases stand before the first header, or the file cannot be expanded.
    """
    if context.source.target is not None and context.source.target.from_ != "codons":
        raise NotBuiltError(f"source.target.from: {context.source.target.from_} for DNA")
    builder = RecordBuilder(context)
    alphabet = Alphabet.of(context.source.ambiguity)
    for file in files:
        yield from _read_file(file, context, builder, alphabet)
    yield builder.take()


def _read_file(
    file: SourceFile, context: Context, builder: RecordBuilder, alphabet: Alphabet
) -> Iterator[Batch]:
    stream = FastaStream(file, max_expanded_bytes=context.source.max_expanded_bytes)
    names = _Names(unique=context.source.on_repeated_name != "keep")
    pending: list[Rejection] = []
    record = -1
    with io.TextIOWrapper(
        io.BufferedReader(stream, 2**20), encoding="latin-1", newline="\n"
    ) as handle:
        for record, (title, letters) in enumerate(SimpleFastaParser(handle)):
            raw = letters.encode("latin-1")
            del letters
            late: list[Rejection] = []
            rejected = _add(file, record, title, raw, context, builder, alphabet, names, late)
            late += [] if rejected is None else [rejected]
            pending += [one for one in late if builder.lists(file, one.reason)]
            if builder.full:
                yield builder.take()
        builder.count(file, "comment_lines", stream.comments)
        stream.tell_members(builder.notice(file))
    builder.count(file, "repeated_name", names.repeats())
    if record < 0:
        builder.reject(file, "empty", "the file holds no record", record=None, line=None)
    lines = record_lines(
        file,
        [rejection.record or 0 for rejection in pending],
        max_expanded_bytes=context.source.max_expanded_bytes,
    )
    for rejection in pending:
        assert rejection.record is not None
        builder.list_rejection(replace(rejection, line=lines[rejection.record]))


class _Names:
    """Notices names that occurred before; 8 bytes a record where they are only counted."""

    def __init__(self, *, unique: bool) -> None:
        self._unique = unique
        self._seen: set[str] = set()
        self._hashes: list[bytes] = []
        self._repeats = 0

    def repeated(self, name: str) -> bool:
        """Whether the name was seen; where repeats are kept, they are only counted at the end."""
        if not self._unique:
            self._hashes.append(hashlib.blake2b(name.encode(), digest_size=8).digest())
            return False
        if name in self._seen:
            self._repeats += 1
            return True
        self._seen.add(name)
        return False

    def repeats(self) -> int:
        """How many records had a name that an earlier one had."""
        if self._unique:
            return self._repeats
        hashes = np.frombuffer(b"".join(self._hashes), np.uint64)
        return len(hashes) - len(np.unique(hashes))


def _add(
    file: SourceFile,
    record: int,
    title: str,
    raw: bytes,
    context: Context,
    builder: RecordBuilder,
    alphabet: Alphabet,
    names: _Names,
    late: list[Rejection],
) -> Rejection | None:
    """Add one record to the builder, or say why not, here or in `late`."""
    header = title.strip()
    if not header.isascii():
        header = _decode_header(header)
    name = header.split(None, 1)[0] if header else ""

    def rejection(reason: str, detail: str) -> Rejection:
        return Rejection(source=file.path, record=record, line=None, reason=reason, detail=detail)

    if names.repeated(name):
        return rejection("repeated_name", f"an earlier record is also called {name!r}")
    bases, fault = clean(raw, alphabet, ambiguity=context.source.ambiguity)
    if fault is not None:
        return rejection(*fault)
    if len(bases) != len(raw):
        builder.count(file, "gaps", int(any(gap in raw for gap in (b"-", b".", b"*"))))
    if bases is not raw:
        builder.count(file, "ambiguous_bases", int(bool(_others(raw))))
    target = None
    if context.source.target is not None and not context.predicting:
        target = codons_to_protein(bases)
        if not target:
            return rejection("bad_target", "no codon before the first stop codon")
    builder.add(
        file,
        record=record,
        content=bases,
        size_bytes=len(bases),
        length=len(bases),
        content_hash=strand_hash(bases),
        name=name,
        header=header,
        target=target,
        later=late,
    )
    return None


def _decode_header(header: str) -> str:
    raw = header.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _others(raw: bytes) -> bytes:
    """The letters that are neither bases nor gaps nor white space."""
    return raw.translate(None, b"ACGTUacgtu-.* \t\r\n\v\f")


def clean(
    raw: bytes, alphabet: Alphabet, *, ambiguity: str
) -> tuple[bytes, tuple[str, str] | None]:
    """Bases from the letters of one record, or the reason why not.

    >>> clean(b"ac-gu", Alphabet.of("n"), ambiguity="n")
    (b'ACGT', None)
    """
    if not raw.translate(None, b"ACGT"):
        return raw, None if raw else ("empty", "the record has a header and no bases")
    bases = raw.translate(alphabet.table, alphabet.delete)
    if _INVALID in bases:
        return bases, _invalid(raw)
    others = _others(raw)
    coded = others.translate(None, b"NXnx")
    if 2 * len(coded) > len(raw) and len(raw) >= 10:
        return bases, (
            "protein",
            f"{len(coded)} of {len(raw)} letters are rare IUPAC codes, as in a protein",
        )
    if others and ambiguity == "reject":
        return bases, ("ambiguous_bases", f"{len(others)} letters such as {_shown(others)}")
    if not bases:
        return bases, ("empty", "nothing is left of the record without gaps and dropped codes")
    return bases, None


def _invalid(raw: bytes) -> tuple[str, str]:
    strange = _others(raw).upper().translate(None, AMBIGUOUS)
    amino = len(strange) - len(strange.translate(None, _AMINO_ONLY))
    if amino == len(strange) and amino * 50 > len(raw):
        return "protein", f"holds {_shown(strange)}, which are amino acids and not bases"
    place = next(place for place, letter in enumerate(raw.upper()) if letter in strange)
    return "bad_bases", f"holds {_shown(strange)}, first at base {place + 1}"


def _shown(letters: bytes) -> str:
    return ", ".join(repr(chr(letter)) for letter in sorted(set(letters))[:6])


def strand_hash(bases: bytes) -> bytes:
    """SHA-256 of the smaller of the two strands, so that both have the same hash.

    >>> strand_hash(b"AACG") == strand_hash(b"CGTT")
    True
    """
    if _forward_is_smaller(bases):
        return hashlib.sha256(bases).digest()
    digest = hashlib.sha256()
    # In blocks from the end: no second copy of a chromosome.
    for stop in range(len(bases), 0, -(2**20)):
        digest.update(bases[max(0, stop - 2**20) : stop].translate(_COMPLEMENT)[::-1])
    return digest.digest()


def _forward_is_smaller(bases: bytes) -> bool:
    size = _HEAD
    for start in range(0, len(bases), size):
        head = bases[start : start + size]
        stop = len(bases) - start
        other = bases[max(0, stop - size) : stop].translate(_COMPLEMENT)[::-1]
        if head != other:
            return head < other
    return True


def _codon_table() -> np.ndarray:
    """Amino acid (ASCII) of 5 x 5 x 5 codes; 4 is any ambiguous base, which gives X."""
    table = np.full((5, 5, 5), ord("X"), np.uint8)
    for codon, amino in standard_dna_table.forward_table.items():
        table[tuple("ACGT".index(base) for base in codon)] = ord(amino)
    for codon in standard_dna_table.stop_codons:
        table[tuple("ACGT".index(base) for base in codon)] = ord("*")
    return table


_CODONS = _codon_table()
_CODES = np.full(256, 4, np.uint8)
_CODES[list(b"ACGT")] = range(4)


def codons_to_protein(bases: bytes) -> str:
    """The protein of the first reading frame up to the first stop codon, standard genetic code.

    >>> codons_to_protein(b"ATGGCNTGGTAAATG")
    'MXW'
    """
    codes = _CODES[np.frombuffer(bases, np.uint8)[: len(bases) // 3 * 3]].reshape(-1, 3)
    protein: bytes = _CODONS[codes[:, 0], codes[:, 1], codes[:, 2]].tobytes()
    return protein.split(b"*", 1)[0].decode()


def _list(source: Source, base: Path) -> list[SourceFile]:
    return list_files(source, base, default=INCLUDE)


READER = Reader(version=1, workers="processes", list_files=_list, probe=no_facts, read=read)
