"""DNA: FASTA files, cleaned to upper-case A, C, G, T and the IUPAC codes that the policy leaves.

Lines are joined, lower case raised, U becomes T; the gap characters `-`, `.` and `*` and white
space are left out (counted); `;` lines are comments (counted). X, the older code for any base,
counts as an ambiguity code. A record with other letters is rejected, as `protein` if these are
amino acids; so is one of ten letters or more, mostly codes other than N, whatever the policy.
Use it for any FASTA whose records are sequences of their own; not for alignments whose gaps matter.
Source: Biopython's SimpleFastaParser; the standard genetic code as Biopython's CodonTable has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from Bio.Data.CodonTable import standard_dna_table

from seqprep.arrays import as_strings
from seqprep.bases import Letters, Scratch, are_bases
from seqprep.domains.dna_letters import (
    MANY_BYTES,
    MAX_BASES,
    Alphabet,
    clean,
    strand_hashes,
)
from seqprep.domains.fasta_lines import FastaStream, record_lines
from seqprep.domains.fasta_records import RawRecords, record_blocks
from seqprep.errors import NotBuiltError, Rejection
from seqprep.hashing import Ints
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_block import RecordBlock, block_rows
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, no_facts
from seqprep.kernels import to_offsets
from seqprep.source import Source

INCLUDE = ("*.fa", "*.fasta", "*.fna", "*.ffn", "*.frn", "*.fas", "*.seq")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The records of FASTA files, in order.

    Raises:
        InputError: where bases stand before the first header, or the file cannot be expanded.
    """
    if context.source.target is not None and context.source.target.from_ != "codons":
        raise NotBuiltError(f"source.target.from: {context.source.target.from_} for DNA")
    builder = RecordBuilder(context)
    for file in files:
        yield from _read_file(file, context, builder)
    yield builder.take()


def _read_file(file: SourceFile, context: Context, builder: RecordBuilder) -> Iterator[Batch]:
    cap = context.source.max_expanded_bytes
    reader = _FileReader(file, context, builder)
    pending: list[Rejection] = []
    with FastaStream(file, max_expanded_bytes=cap) as stream:
        for records in record_blocks(stream):
            found = reader.add(records)
            pending += [one for one in found if builder.lists(file, one.reason)]
            if builder.full:
                yield builder.take()
        builder.count(file, "comment_lines", stream.comments)
        stream.tell_members(builder.notice(file))
    builder.count(file, "repeated_name", reader.names.repeats())
    if not reader.count:
        builder.reject(file, "empty", "the file holds no record", record=None, line=None)
    numbers = [rejection.record or 0 for rejection in pending]
    lines = record_lines(file, numbers, max_expanded_bytes=cap)
    for rejection in pending:
        assert rejection.record is not None
        builder.list_rejection(replace(rejection, line=lines[rejection.record]))


class _Names:
    """Notices names that occurred before; 8 bytes a record where they are only counted."""

    def __init__(self, *, unique: bool) -> None:
        self._unique = unique
        self._seen: set[str] = set()
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._repeats = 0

    def repeated(self, names: pa.StringArray) -> set[int]:
        """Places of names seen before; where repeats are kept, they are counted at the end."""
        if not self._unique:
            hashed = pl.Series(pl.from_arrow(names)).hash()
            self._hashes.append(hashed.to_numpy())
            return set()
        found = set()
        for place, name in enumerate(names.to_pylist()):
            if name in self._seen:
                found.add(place)
            self._seen.add(name)
        self._repeats += len(found)
        return found

    def repeats(self) -> int:
        """How many records had a name that an earlier one had."""
        if self._unique:
            return self._repeats
        hashes = np.sort(np.concatenate([np.zeros(0, np.uint64), *self._hashes]))
        return int((hashes[1:] == hashes[:-1]).sum())


class _FileReader:
    """Cleans the records of one file, block by block.

    Args:
        file: the source file. context: as for a reader. builder: takes rows and oddities.
    """

    def __init__(self, file: SourceFile, context: Context, builder: RecordBuilder) -> None:
        self._file, self._context, self._builder = file, context, builder
        self._alphabet = Alphabet.of(context.source.ambiguity)
        self._codons = context.source.target is not None and not context.predicting
        self.names = _Names(unique=context.source.on_repeated_name != "keep")
        self.count = 0
        self._scratch = Scratch()

    def add(self, records: RawRecords) -> list[Rejection]:
        """Add the next records to the builder; those that cannot be used, in order."""
        count = len(records)
        if not count:
            return []
        headers, names = records.titles()
        repeated = self.names.repeated(names)
        places: Ints = np.arange(count)
        faults: dict[int, tuple[str, str]] = {}
        plain = None if repeated or self._codons else _plain(records)
        if plain is not None:
            bases, offsets = plain
        else:
            places, cleaned, faults = self._clean_each(records, names, repeated)
            offsets = to_offsets(np.fromiter(map(len, cleaned), np.int64, len(cleaned)))
            raw = cleaned[0] if len(cleaned) == 1 else b"".join(cleaned)
            cleaned.clear()  # no second copy of a long record
            bases = np.frombuffer(raw, np.uint8)
            names, headers = names.take(pa.array(places)), headers.take(pa.array(places))
        rejections = [self._rejection(place, *fault) for place, fault in faults.items()]
        if len(places):
            is_plain = plain is not None
            hashes = strand_hashes(bases, offsets, plain=is_plain, scratch=self._scratch)
            rejections += self._add_block(places, bases, offsets, hashes, names, headers)
        self.count += count
        return sorted(rejections, key=lambda one: one.record or 0)

    def _clean_each(
        self, records: RawRecords, names: pa.StringArray, repeated: set[int]
    ) -> tuple[Ints, list[bytes], dict[int, tuple[str, str]]]:
        """Places and bases of the records that can be used, and why not by place for the others."""
        places: list[int] = []
        cleaned: list[bytes] = []
        faults: dict[int, tuple[str, str]] = {}
        for place in range(len(records)):
            if place in repeated:
                called = f"an earlier record is also called {names[place].as_py()!r}"
                faults[place] = "repeated_name", called
                continue
            bases, fault = self._clean(records.take_body(place))
            if fault is None:
                places.append(place)
                cleaned.append(bases)
            else:
                faults[place] = fault
        return np.array(places, np.int64), cleaned, faults

    def _clean(self, body: bytes) -> tuple[bytes, tuple[str, str] | None]:
        found = clean(body, self._alphabet)
        if found.fault is not None:
            return b"", found.fault
        if len(found.bases) > MAX_BASES:
            detail = f"{len(found.bases)} bases, over the limit of {MAX_BASES}; split the record"
            return b"", ("too_long", detail)
        self._builder.count(self._file, "gaps", int(found.gaps))
        self._builder.count(self._file, "ambiguous_bases", int(found.ambiguous))
        if self._codons and not codons_to_protein(found.bases):
            return b"", ("bad_target", "no codon before the first stop codon")
        return found.bases, None

    def _add_block(
        self,
        places: Ints,
        bases: Letters,
        offsets: Ints,
        hashes: list[bytes],
        names: pa.StringArray,
        headers: pa.StringArray,
    ) -> list[Rejection]:
        proteins = None
        if self._codons:
            spans = pairwise(offsets.tolist())
            proteins = [codons_to_protein(bases[start:stop].tobytes()) for start, stop in spans]
        rows, rejections = block_rows(
            RecordBlock(
                records=(places + self.count).astype(np.int32),
                content=as_strings(bases, offsets),
                lengths=np.diff(offsets),
                content_hashes=hashes,
                names=names,
                headers=headers,
                target_text=proteins,
            ),
            self._file,
            self._context,
        )
        self._builder.extend(rows)
        return rejections

    def _rejection(self, place: int, reason: str, detail: str) -> Rejection:
        number = self.count + place
        return Rejection(
            source=self._file.path, record=number, line=None, reason=reason, detail=detail
        )


def _plain(records: RawRecords) -> tuple[Letters, Ints] | None:
    """The bases of records that all hold some and nothing else, and their offsets; else None."""
    if records.size_bytes > MANY_BYTES:
        return None
    bases, offsets = records.joined()
    if not np.diff(offsets).all() or not are_bases(bases):
        return None
    return bases, offsets


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


READER = Reader(version=2, workers="processes", list_files=_list, probe=no_facts, read=read)
