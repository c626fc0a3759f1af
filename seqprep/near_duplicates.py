"""Records that are nearly equal: sketches of their shingles, pairs of like sketches, and groups.

A record is the set of its shingles: every k letters of DNA, of whichever strand is smaller, or
every w words. How like two records are is the Jaccard index of their sets, the share of all
shingles of both that both hold. A sketch of `hashes` numbers estimates it without the sets: the
share of places where two sketches are equal, within a standard deviation of
sqrt(J (1 - J) / hashes), somewhat more for records with fewer shingles than that. Only records
whose sketches agree in a whole band of places are compared, so that the work follows the records
and not their pairs.

Use it before trusting a score: isoforms, reposted articles and corrected editions on both sides of
a split are answers known by heart. Not for signals, which no shingle describes, and not for equal
records, whose content hash tells (`duplicates`). Memory: 4 x `hashes` bytes a record, 512 at 128.

A sketch here hashes each shingle once and keeps the least value of each of `hashes` bins; a bin
that no shingle met borrows from one that was met. Libraries hash each shingle `hashes` times, in a
Python loop over records: datasketch 2.0 took 3.5 times the processor time of this file on 2,225
news articles, for the same pairs but two of 156, and 19 times a base on transcripts.

Sources: Broder 1997, doi:10.1109/SEQUEN.1997.666900 (resemblance, shingles); Indyk & Motwani 1998,
doi:10.1145/276698.276876 (bands of hashes); Li, Owen & Zhang 2012, "One permutation hashing";
Shrivastava 2017, "Optimal densification for fast and accurate minwise hashing" (borrowing).
Legend: R records, N shingles of all records, H hashes, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Keys, Ragged, mix, row_keys
from seqprep.tokens import encode_words, kmer_codes

Signatures = npt.NDArray[np.uint32]
"""`(R, H)`; a record without a shingle has EMPTY everywhere."""

EMPTY = np.uint32(2**32 - 1)
SHINGLES = {"dna": 16, "text": 5}
"""Letters or words of a shingle, by domain: what two records seldom share by chance."""
FOUND = 0.995
"""Share of the pairs exactly at the threshold that some band brings together."""
NEIGHBOURS = 32
"""In a bucket each record is compared with so many that follow: all pairs would be quadratic."""
_BLOCK = 2**16
"""Shingles, or pairs, at a time: what is worked on stays in the cache."""
_STEP = np.uint64(0xD6E8FEB86659FD93)
_SHINGLE, _BIN, _BORROW, _BAND = 301, 302, 303, 304


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Pairs of like records, each once, sorted.

    Args:
        left, right: `(P,)` numbers of the records, left < right.
        similarity: `(P,)` estimated Jaccard index.
    """

    left: Ints
    right: Ints
    similarity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left)


def dna_shingles(bases: pa.Array | pa.ChunkedArray, *, size: int) -> Ragged:
    """A 64-bit hash of every `size` letters; equal for both strands, none where a letter is N.

    >>> both = dna_shingles(pa.array(["AACGG", "CCGTT", "ANG"]), size=4)
    >>> sorted(both.values[:2]) == sorted(both.values[2:]), both.lengths.tolist()
    (True, [2, 2, 0])
    """
    codes = kmer_codes(bases, k=size, canonical=True)
    known = ragged.keep(codes, codes.values < 4**size)
    return Ragged(mix(known.values.astype(np.uint64), _SHINGLE), known.offsets)


def word_shingles(text: pa.Array | pa.ChunkedArray, *, size: int) -> Ragged:
    """A 64-bit hash of every `size` words in a row, without regard to case.

    >>> word_shingles(pa.array(["to be or not", "To  be OR", "to"]), size=3).lengths.tolist()
    [2, 1, 0]
    """
    words = encode_words(text, lowercase=True)
    lengths = np.maximum(words.ids.lengths - size + 1, 0)
    starts = ragged.ranges(words.ids.offsets[:-1], lengths)
    keys = row_keys(words.tokens)[words.ids.values]
    hashed = np.zeros(len(starts), dtype=np.uint64)
    for place in range(size):
        hashed = hashed * _STEP + keys[starts + place]
    return Ragged(mix(hashed, _SHINGLE), ragged.to_offsets(lengths))


def sketch(shingles: Ragged, *, hashes: int) -> Signatures:
    """The signatures of R records.

    Args:
        shingles: hashes of their shingles; repeats count once.
        hashes: H.
    """
    rows = np.repeat(np.arange(len(shingles)), shingles.lengths)
    met = np.full(len(shingles) * hashes, EMPTY, dtype=np.uint32)
    for start in range(0, len(rows), _BLOCK):
        drawn = mix(shingles.values[start : start + _BLOCK], _BIN)
        bins = ((drawn >> np.uint64(32)) * np.uint64(hashes)) >> np.uint64(32)
        place = rows[start : start + _BLOCK] * hashes + bins.astype(np.int64)
        np.minimum.at(met, place, np.minimum(drawn.astype(np.uint32), EMPTY - np.uint32(1)))
    return _borrow(met.reshape(-1, hashes))


def _borrow(met: Signatures) -> Signatures:
    """Give each bin that was not met the value of one that was, the same bin for all records."""
    hashes = met.shape[1]
    missing = met == EMPTY
    missing &= ~missing.all(axis=1, keepdims=True)
    rows, bins = np.nonzero(missing)
    filled, attempt = met.copy(), 0
    while len(rows):
        lender = mix(np.arange(hashes, dtype=np.uint64), _BORROW, attempt) % np.uint64(hashes)
        value = met[rows, lender[bins]]
        found = value != EMPTY
        filled[rows[found], bins[found]] = value[found]
        rows, bins, attempt = rows[~found], bins[~found], attempt + 1
    return filled


def band_rows(threshold: float, *, hashes: int) -> int:
    """The most places a band may have so that FOUND of the pairs at the threshold share a band.

    >>> band_rows(0.8, hashes=128), band_rows(0.5, hashes=128)
    (6, 3)
    """
    rows = 1
    while rows < hashes and 1 - (1 - threshold ** (rows + 1)) ** (hashes // (rows + 1)) >= FOUND:
        rows += 1
    return rows


def similar_pairs(signatures: Signatures, *, threshold: float) -> Pairs:
    """Pairs whose estimated Jaccard index is at least the threshold.

    In a group of more than NEIGHBOURS like records not every pair is listed, but enough to hold the
    group together.

    Args:
        signatures: `(R, H)`.
        threshold: in (0, 1].
    """
    total, hashes = signatures.shape
    present = np.flatnonzero(signatures[:, 0] != EMPTY) if hashes else np.zeros(0, np.int64)
    rows = band_rows(threshold, hashes=hashes)
    found = np.zeros(0, dtype=np.int64)
    for first in range(0, hashes - rows + 1, rows):
        left, right = _bucket_pairs(_band_keys(signatures[present, first : first + rows]))
        pairs = np.setdiff1d(present[left] * total + present[right], found)
        like = _similarity(signatures, pairs // total, pairs % total) >= threshold
        found = np.union1d(found, pairs[like])
    left, right = found // max(total, 1), found % max(total, 1)
    return Pairs(left=left, right=right, similarity=_similarity(signatures, left, right))


def _band_keys(places: Signatures) -> Keys:
    keys = np.zeros(len(places), dtype=np.uint64)
    for column in range(places.shape[1]):
        keys = keys * _STEP + places[:, column].astype(np.uint64)
    return mix(keys, _BAND)


def _bucket_pairs(keys: Keys) -> tuple[Ints, Ints]:
    """Pairs of rows with equal keys: each with the next NEIGHBOURS of them."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    lefts, rights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for distance in range(1, min(NEIGHBOURS, len(keys) - 1) + 1):
        same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        if not len(same):
            break
        lefts.append(order[same])
        rights.append(order[same + distance])
    return np.concatenate(lefts), np.concatenate(rights)


def _similarity(signatures: Signatures, left: Ints, right: Ints) -> npt.NDArray[np.float64]:
    block = max(_BLOCK // max(signatures.shape[1], 1), 1)
    parts = [np.zeros(0)]
    for start in range(0, len(left), block):
        some = slice(start, start + block)
        parts.append((signatures[left[some]] == signatures[right[some]]).mean(axis=1))
    return np.concatenate(parts)


def components(pairs: Pairs, *, total: int) -> Ints:
    """The first record of the group that each of `total` records belongs to, through any chain.

    >>> chain = Pairs(left=np.array([1, 3]), right=np.array([3, 4]), similarity=np.ones(2))
    >>> components(chain, total=5).tolist()
    [0, 1, 2, 1, 1]
    """
    from scipy.sparse import coo_array  # slow to import, and used by reports only
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs.left, pairs.right)), (total, total))
    _, group = connected_components(links, directed=False)
    first = np.full(total, total, dtype=np.int64)
    np.minimum.at(first, group, np.arange(total))
    return first[group]
