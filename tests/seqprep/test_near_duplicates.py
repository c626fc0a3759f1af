"""Nearly equal records are found, whatever their strand, case, order or chunk; others are not."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from seqprep import ragged
from seqprep.near_duplicates import (
    EMPTY,
    NEIGHBOURS,
    Pairs,
    band_rows,
    components,
    dna_shingles,
    similar_pairs,
    sketch,
    word_shingles,
)
from seqprep.ragged import Ragged


def sets_of(*rows: range) -> Ragged:
    """Shingles that are plain numbers, so that Jaccard indices are known."""
    return ragged.from_lists([[number + 1 for number in row] for row in rows])


def signatures(*rows: range, hashes: int = 128) -> np.ndarray:
    shingles = sets_of(*rows)
    return sketch(Ragged(shingles.values.astype(np.uint64), shingles.offsets), hashes=hashes)


def pairs_of(found: Pairs) -> set[tuple[int, int]]:
    return set(zip(found.left.tolist(), found.right.tolist(), strict=True))


def test_sketches_estimate_the_share_of_common_shingles() -> None:
    """The threshold would stand for another likeness than the stated one."""
    for common in (0, 300, 600, 900, 1000):
        one, two = signatures(range(1000), range(1000 - common, 2000 - common), hashes=1024)
        true = common / (2000 - common)
        assert abs((one == two).mean() - true) < 4 * np.sqrt(max(true * (1 - true), 0.01) / 1024)


def test_records_of_few_shingles_are_estimated_without_bias() -> None:
    """Short records would look more alike than they are, since their empty bins agree."""
    rows = [range(n * 10, n * 10 + 6) for n in range(200)]
    halves = [range(n * 10 + 3, n * 10 + 9) for n in range(200)]
    left, right = signatures(*rows), signatures(*halves)
    assert abs((left == right).mean() - 3 / 9) < 0.04


def test_a_record_without_shingles_is_like_no_other() -> None:
    """All records shorter than a shingle would be one group."""
    none = signatures(range(0), range(0), range(3), range(3))
    assert (none[:2] == EMPTY).all() and (none[2:] != EMPTY).all()
    assert pairs_of(similar_pairs(none, threshold=0.5)) == {(2, 3)}


def test_repeated_shingles_and_chunks_change_nothing() -> None:
    """A sketch would depend on which records stand beside it, or on how often a phrase comes."""
    shingles = ragged.from_lists([[1, 2, 3], [4, 5], [3, 1, 2, 2, 1]])
    whole = sketch(Ragged(shingles.values.astype(np.uint64), shingles.offsets), hashes=64)
    assert (whole[0] == whole[2]).all()
    alone = sketch(Ragged(np.array([4, 5], np.uint64), np.array([0, 2])), hashes=64)
    assert (whole[1] == alone[0]).all()


def test_both_strands_are_one_record() -> None:
    """A reverse complement on the other side of the split would pass unseen."""
    draw = random.Random(0)
    bases = "".join(draw.choices("ACGT", k=400))
    other = bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
    changed = f"{other[:200]}N{other[201:]}"
    table = pa.array([bases, changed, "".join(draw.choices("ACGT", k=400))])
    found = similar_pairs(sketch(dna_shingles(table, size=16), hashes=128), threshold=0.8)
    assert pairs_of(found) == {(0, 1)}


def test_long_letters_words_do_not_overflow() -> None:
    """Words of more than 15 letters would share numbers, and unrelated records look alike."""
    same_tail = pa.array(["A" * 8 + "ACGTTGCAACGTTGCA", "C" * 8 + "ACGTTGCAACGTTGCA"])
    shingles = dna_shingles(same_tail, size=24)
    assert shingles.lengths.tolist() == [1, 1]
    assert shingles.values[0] != shingles.values[1]


def test_a_corrected_article_is_found_and_another_is_not() -> None:
    """Reposts with a changed word would be on both sides of a split."""
    draw = random.Random(1)
    words = [f"w{draw.randrange(500)}" for _ in range(300)]
    corrected = [*words[:150], "corrected", *words[151:]]
    others = [[f"w{draw.randrange(500)}" for _ in range(300)] for _ in range(20)]
    texts = [" ".join(words), " ".join(corrected).upper(), *(" ".join(one) for one in others)]
    found = similar_pairs(sketch(word_shingles(pa.array(texts), size=5), hashes=128), threshold=0.8)
    assert pairs_of(found) == {(0, 1)}
    assert found.similarity[0] == pytest.approx(291 / 301, abs=0.06)


def test_pairs_at_the_threshold_are_found() -> None:
    """Bands would be so long that pairs just over the threshold share none."""
    rows = band_rows(0.8, hashes=128)
    assert 1 - (1 - 0.8**rows) ** (128 // rows) >= 0.995
    sets = [range(n * 5000, n * 5000 + 900) for n in range(100)]
    like = [range(n * 5000 + 50, n * 5000 + 950) for n in range(100)]  # 850 / 950 = 0.89
    found = similar_pairs(signatures(*sets, *like), threshold=0.8)
    assert {(n, n + 100) for n in range(100)} - pairs_of(found) == set()
    assert len(found) == 100


def test_a_large_group_holds_together() -> None:
    """Comparing all of a large group would be quadratic; comparing too few would tear it."""
    count = 3 * NEIGHBOURS
    found = similar_pairs(signatures(*[range(50)] * count, range(100, 150)), threshold=0.9)
    assert components(found, total=count + 1).tolist() == [0] * count + [count]
    assert len(found) < count * (NEIGHBOURS + 1)


def test_components_equal_a_plain_search() -> None:
    """A group would be torn where its records hang together only through others."""
    draw = np.random.default_rng(3)
    links = {tuple(sorted(pair)) for pair in draw.integers(0, 40, (25, 2)).tolist()}
    edges = np.array(sorted(pair for pair in links if pair[0] != pair[1]))
    found = components(
        Pairs(left=edges[:, 0], right=edges[:, 1], similarity=np.ones(len(edges))), total=40
    )
    plain = list(range(40))
    for _ in range(40):
        for one, two in edges.tolist():
            plain[one] = plain[two] = min(plain[one], plain[two])
    assert found.tolist() == plain
    assert (
        components(Pairs(left=edges[:0, 0], right=edges[:0, 1], similarity=np.ones(0)), total=2)[1]
        == 1
    )


@pytest.mark.real
def test_near_duplicates_among_news_articles(datasets: Path) -> None:
    """Only the 98 equal files would be found: over fifty more differ in a word or a headline."""
    files = sorted((datasets / "text_bbc_news").glob("*/*.txt"))
    texts = [path.read_bytes().decode(errors="replace") for path in files]
    shingles = word_shingles(pa.array(texts), size=5)
    found = similar_pairs(sketch(shingles, hashes=128), threshold=0.8)
    sets = [set(row.tolist()) for row in np.split(shingles.values, shingles.offsets[1:-1])]
    holders: dict[int, list[int]] = {}
    for number, held in enumerate(sets):
        for shingle in held:
            holders.setdefault(shingle, []).append(number)
    met = {pair for some in holders.values() if len(some) < 40 for pair in combinations(some, 2)}
    true = {(a, b) for a, b in met if len(sets[a] & sets[b]) >= 0.8 * len(sets[a] | sets[b])}
    assert len(true) == 157
    assert len(true - pairs_of(found)) <= 2 and len(pairs_of(found) - true) <= 2
