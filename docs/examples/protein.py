"""Proteins: FASTA files of amino acids. Letters become upper case; a closing stop (`*`) goes.

Use it for whole proteins. Not for nucleotides: domain `dna` knows that a strand has two sides.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial

from Bio.SeqIO.FastaIO import SimpleFastaParser

from seqprep.ingestion.expand import read_bytes
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, no_facts


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The proteins of some files, in order."""
    builder = RecordBuilder(context)
    for file in files:
        data = read_bytes(file, max_expanded_bytes=context.source.max_expanded_bytes)
        records = list(SimpleFastaParser(io.StringIO(data.decode(errors="replace"))))
        if not records:
            builder.reject(file, "empty", "no line begins with >", record=None, line=None)
        for record, (header, letters) in enumerate(records):
            content = letters.upper().removesuffix("*").encode()
            if not content.isalpha():
                builder.reject(file, "unreadable", "not only letters", record=record, line=None)
                continue
            builder.add_letters(file, record=record, content=content, header=header)
            if builder.full:
                yield builder.take()
    yield builder.take()


_files = partial(list_files, default=("*.faa", "*.fasta", "*.fa"))
READER = Reader(version=1, workers="processes", list_files=_files, probe=no_facts, read=read)
