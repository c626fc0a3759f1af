"""The longest open reading frame is the one that a plain loop over codons finds."""

from __future__ import annotations

import numpy as np
from Bio.Seq import Seq
from hypothesis import example, given
from hypothesis import strategies as st

from models.scores.open_frames import CODONS, longest_frames, other_strand
from seqprep.ragged import Ragged, from_lists, to_lists

STOPS = {"TAA", "TAG", "TGA"}
PIECES = ("A", "C", "G", "T", "N", "ATG", "TAA", "TGA")
RECORDS = st.lists(
    st.binary(max_size=40).map(lambda drawn: "".join(PIECES[byte % 8] for byte in drawn)),
    min_size=1,
    max_size=5,
)
"""Bytes are drawn at once: letter by letter a busy machine is too slow for Hypothesis."""


def rows_of(records: list[str]) -> Ragged:
    return from_lists([["ACGTN".index(base) for base in record] for record in records])


def codes_of(bases: str) -> list[int]:
    """Numbers in base 4 of whole codons; 64 for one that is not known."""
    codons = [bases[at : at + 3] for at in range(0, len(bases) - len(bases) % 3, 3)]
    number = {base: place for place, base in enumerate("ACGT")}
    return [
        CODONS if "N" in codon else 16 * number[codon[0]] + 4 * number[codon[1]] + number[codon[2]]
        for codon in codons
    ]


def by_hand(record: str) -> tuple[int, list[int], int]:
    """Start and codons of the longest frame, and the longest run without a stop."""
    best, start, longest = "", 0, 0
    for phase in range(3):
        frame, run, begin = "", 0, 0
        for at in range(phase, len(record) - 2, 3):
            codon = record[at : at + 3]
            if codon in STOPS:
                frame, run = "", 0
                continue
            run += 1
            if frame or codon == "ATG":
                begin = begin if frame else at
                frame += codon
            longest = max(longest, run)
            if len(frame) > len(best):
                best, start = frame, begin
    return start, codes_of(best), longest


@given(RECORDS)
@example(["ATGTAA", "ATG", "", "TAAATG", "AT", "CATGAAATGATGTGA"])
def test_frames_are_those_of_a_plain_loop(records: list[str]) -> None:
    """A frame over the end of a record, of another phase, or through a stop would be found."""
    found = longest_frames(rows_of(records))
    wanted = [by_hand(record) for record in records]
    assert found.starts.tolist() == [start for start, _, _ in wanted]
    assert to_lists(found.codons) == [codons for _, codons, _ in wanted]
    assert found.runs.tolist() == [run for _, _, run in wanted]


@given(RECORDS)
def test_the_other_strand_is_the_reverse_complement(records: list[str]) -> None:
    """Genes of the other strand would be read backwards."""
    turned = [str(Seq(record).reverse_complement()) for record in records]
    assert to_lists(other_strand(rows_of(records))) == to_lists(rows_of(turned))


@given(RECORDS)
def test_of_two_strands_the_longer_frame_counts(records: list[str]) -> None:
    """Where the strand is not known a record and its reverse complement must say the same."""
    rows = rows_of(records)
    one, two = longest_frames(rows), longest_frames(other_strand(rows))
    found = one.longer(two)
    lengths = np.stack([one.codons.lengths, two.codons.lengths])
    assert found.codons.lengths.tolist() == lengths.max(0).tolist()
    assert found.runs.tolist() == np.maximum(one.runs, two.runs).tolist()
    for number, second in enumerate((lengths[1] > lengths[0]).tolist()):
        chosen = two if second else one
        assert to_lists(found.codons)[number] == to_lists(chosen.codons)[number]
        assert found.starts[number] == chosen.starts[number]
