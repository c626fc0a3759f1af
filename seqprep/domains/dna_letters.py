"""Letters of FASTA records to bases, by the stated policy; and both strands to one digest.

Use it for the body of one record. Most records hold nothing but A, C, G, T and line ends, so that
is asked first, at the speed of memory.
Source: IUPAC codes, Cornish-Bowden 1985, doi:10.1093/nar/13.9.3021
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from Bio.Data.IUPACData import ambiguous_dna_complement

from seqprep.bases import Letters, Scratch, are_bases, other_strand
from seqprep.domains.fasta_records import joined_lines
from seqprep.hashing import Ints

GAPS = b"-.*"
AMBIGUOUS = b"RYKMSWBDHVNX"
MAX_BASES = 2_000_000_000
"""Of a record: an Arrow column counts bytes in 32 bits, and others may stand beside it."""
_SPACES = b" \t\r\n\v\f"
_PLAIN = b"ACGTUacgtu" + GAPS + _SPACES
_AMINO_ONLY = b"EFILPQZJO"
_INVALID = b"!"
_HEAD = 64
"""Bases compared first to find the smaller strand."""
MANY_BYTES = 2**24
"""Letters that are handled all at a time; what is more holds a long record."""
_LOCK_KEPT, _LOCK_FREED = 2047, 2**15
"""Bytes up to which hashlib keeps the interpreter lock, and from which giving it up pays."""
_COMPLEMENT = bytes.maketrans(
    "".join(ambiguous_dna_complement).encode(), "".join(ambiguous_dna_complement.values()).encode()
)


@dataclass(frozen=True, slots=True)
class Alphabet:
    """How bytes become bases: a table for `bytes.translate` and the bytes it leaves out.

    Args:
        ambiguity: the policy for IUPAC codes: `n`, `keep`, `drop` or `reject`.
        table: of `bytes.translate`.
        delete: what it leaves out.
    """

    ambiguity: str
    table: bytes
    delete: bytes

    @classmethod
    def of(cls, ambiguity: str) -> Alphabet:
        """The alphabet of a policy."""
        table = bytearray(_INVALID * 256)
        for letter, base in zip(b"ACGTU", b"ACGTT", strict=True):
            table[letter] = table[letter + 32] = base
        for letter in AMBIGUOUS:
            kept = letter if ambiguity in ("keep", "reject") and letter != ord("X") else ord("N")
            table[letter] = table[letter + 32] = kept
        delete = GAPS + _SPACES
        if ambiguity == "drop":
            delete += AMBIGUOUS + AMBIGUOUS.lower()
        return cls(ambiguity, bytes(table), delete)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What came of one record.

    Args:
        bases: upper case; void where there is a fault.
        fault: reason and detail of a rejection.
        gaps: whether it held gap characters. ambiguous: whether it held IUPAC codes.
    """

    bases: bytes
    fault: tuple[str, str] | None = None
    gaps: bool = False
    ambiguous: bool = False


def clean(body: bytes, alphabet: Alphabet) -> Cleaned:
    r"""Bases from the lines of one record, or the reason why not.

    >>> clean(b"ac-\ngu\n", Alphabet.of("n"))
    Cleaned(bases=b'ACGT', fault=None, gaps=True, ambiguous=False)
    """
    left = body.translate(None, b"ACGT\n")
    if not left:
        bases = body.replace(b"\n", b"")
        return Cleaned(bases, None if bases else _empty(body))
    others = left.translate(None, _PLAIN)
    gaps = any(gap in left for gap in (b"-", b".", b"*"))
    del left
    if not others:
        bases = body.translate(alphabet.table, alphabet.delete)
        return Cleaned(bases, None if bases else _empty(body), gaps)
    return _clean_odd(body, others, alphabet, gaps=gaps)


def _clean_odd(body: bytes, others: bytes, alphabet: Alphabet, *, gaps: bool) -> Cleaned:
    """A record that holds `others`: neither bases, nor gaps, nor white space of ASCII."""
    strange = others.upper().translate(None, AMBIGUOUS)
    if strange:
        body = joined_lines(body)
        others = body.translate(None, _PLAIN)
        strange = others.upper().translate(None, AMBIGUOUS)
    if strange:
        return Cleaned(b"", _invalid(body, strange))
    coded = others.translate(None, b"NXnx")
    letters = len(body.translate(None, _SPACES)) if coded else 0
    if 2 * len(coded) > letters >= 10:
        return Cleaned(b"", ("protein", _vague(len(coded), letters)))
    if others and alphabet.ambiguity == "reject":
        detail = f"{len(others)} letters such as {_shown(others)}"
        return Cleaned(b"", ("ambiguous_bases", detail))
    bases = body.translate(alphabet.table, alphabet.delete)
    return Cleaned(bases, None if bases else _empty(body), gaps, bool(others))


def _empty(body: bytes) -> tuple[str, str]:
    if joined_lines(body):
        return "empty", "nothing is left of the record without gaps and dropped codes"
    return "empty", "the record has a header and no bases"


def _vague(coded: int, letters: int) -> str:
    """What is said of a record whose letters could be those of either: no amino acid shows."""
    return (
        f"{coded} of {letters} letters are IUPAC codes other than N: DNA too ambiguous to tell, or "
        f"a protein without {', '.join(map(chr, _AMINO_ONLY[:-1]))} or {chr(_AMINO_ONLY[-1])}"
    )


def _invalid(letters: bytes, strange: bytes) -> tuple[str, str]:
    amino = len(strange) - len(strange.translate(None, _AMINO_ONLY))
    if amino == len(strange) and amino * 50 > len(letters):
        return "protein", f"holds {_shown(strange)}, which are amino acids and not bases"
    upper = letters.upper()
    place = min(upper.find(letter) for letter in _distinct(strange))
    return "bad_bases", f"holds {_shown(strange)}, first at base {place + 1}"


def _distinct(letters: bytes) -> list[int]:
    return [letter for letter in range(256) if letter in letters]


def _shown(letters: bytes) -> str:
    return ", ".join(repr(chr(letter)) for letter in _distinct(letters)[:6])


def strand_hashes(
    bases: Letters, offsets: Ints, *, plain: bool = False, scratch: Scratch | None = None
) -> list[bytes]:
    """The strand hash of each record, `offsets` `(R + 1,)` in `bases`.

    Args:
        bases: of all records.
        offsets: where each starts, and the last one's end.
        plain: whether it is known that there are no ambiguity codes.
        scratch: memory for the other strands.
    """
    places = offsets.tolist()
    if len(bases) > MANY_BYTES:
        return [strand_hash(bases[start:stop].tobytes()) for start, stop in pairwise(places)]
    forward = _forward_are_smaller(bases, offsets)
    turned = memoryview(b"") if all(forward) else _turned(bases, plain, scratch)
    view, total = bases.data, len(bases)
    smaller = (
        view[start:stop] if ahead else turned[total - stop : total - start]
        for ahead, (start, stop) in zip(forward, pairwise(places), strict=True)
    )
    if np.diff(offsets).max(initial=0) <= _LOCK_KEPT:
        return [hashlib.sha256(strand).digest() for strand in smaller]
    return [_digest(strand) for strand in smaller]


def _digest(letters: memoryview) -> bytes:
    """SHA-256, in parts so small that the interpreter lock is kept.

    To give it up and to wait for it takes longer than to hash a few thousand bases.
    """
    size = len(letters)
    if not _LOCK_KEPT < size < _LOCK_FREED:
        return hashlib.sha256(letters).digest()
    digest = hashlib.sha256(letters[:_LOCK_KEPT])
    for start in range(_LOCK_KEPT, size, _LOCK_KEPT):
        digest.update(letters[start : start + _LOCK_KEPT])
    return digest.digest()


def _turned(bases: Letters, plain: bool, scratch: Scratch | None) -> memoryview:
    if plain or are_bases(bases):
        return other_strand(bases, scratch=scratch).data
    return memoryview(bases.tobytes().translate(_COMPLEMENT)[::-1])


def _forward_are_smaller(letters: Letters, offsets: Ints) -> list[bool]:
    """Whether each record is the smaller strand: by its first and last eight bases, mostly."""
    eight = np.arange(8)
    lengths = np.diff(offsets)
    heads = letters[np.minimum(offsets[:-1, None] + eight, len(letters) - 1)]
    tails = letters[np.maximum(offsets[1:, None] - 1 - eight, 0)]
    mirrored = np.frombuffer(_COMPLEMENT, np.uint8)[tails]
    head, mirror = (np.ascontiguousarray(part).view(">u8")[:, 0] for part in (heads, mirrored))
    forward: list[bool] = (head < mirror).tolist()
    for row in np.flatnonzero((head == mirror) | (lengths < 8)).tolist():
        forward[row] = _forward_is_smaller(letters[offsets[row] : offsets[row + 1]].tobytes())
    return forward


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
