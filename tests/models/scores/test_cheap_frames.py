"""Bases come back from tokens, and reading frames tell classes without flattering themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.scores import cheap_frames
from models.scores.cheap_frames import OpenFrame, Spelling
from seqprep.examples import Examples
from seqprep.ragged import Ragged, to_lists
from seqprep.tokens import encode_kmers
from tests.synthetic import example_table, facts_of_task

RECORDS = ["ACGTACGTTTGACC", "GGNCATTTATGAAA", "TTTTTTT"]


def pipeline(*steps: str, **tokens: Any) -> dict[str, Any]:
    return {"prepare": {"tokens": {"unit": "kmer", **tokens}, "steps": [{s: {}} for s in steps]}}


def encoded(records: list[str], *, k: int, stride: int = 1) -> tuple[Ragged, list[str]]:
    """Ids of k-mers in a vocabulary of all that occur, as preparation would give them."""
    found = encode_kmers(pa.array(records), k=k, stride=stride)
    present, places = np.unique(found.ids.values, return_inverse=True)
    ids = Ragged(places + 2, found.ids.offsets)
    return ids, [found.tokens[int(place)].as_py() for place in present]


def spelling_of(vocabulary: list[str], recipe: Any, **changes: Any) -> Spelling | None:
    facts = facts_of_task("classify", {"tokens": []}, vocab_size=2 + len(vocabulary))
    fitted = json.dumps({"vocabulary": vocabulary}).encode()
    return Spelling.of(replace(facts, **changes), fitted, recipe)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (2, 1), (3, 1), (3, 3), (5, 2), (4, 3)])
def test_bases_come_back_from_tokens(k: int, stride: int) -> None:
    """A codon would be read across a gap, or the last letters of a record be lost."""
    ids, vocabulary = encoded(RECORDS, k=k, stride=stride)
    spelling = spelling_of(vocabulary, pipeline(k=k, stride=stride))
    assert spelling is not None
    for record, row in zip(RECORDS, to_lists(spelling.bases(ids)), strict=True):
        whole = record[: (len(record) - k) // stride * stride + k]
        assert len(row) == len(whole)
        told = [(base, number) for base, number in zip(whole, row, strict=True) if number < 4]
        assert all("ACGT".index(base) == number for base, number in told)
        assert len(told) >= len(whole) - (2 * k if "N" in whole else 0)


def test_a_base_that_one_token_lacks_is_told_by_another() -> None:
    """Rare k-mers become unknown: a base is in up to k of them."""
    ids, vocabulary = encoded(["ACGTACCT"], k=3)
    spelling = spelling_of(vocabulary, pipeline(k=3))
    assert spelling is not None
    ids.values[2] = 1
    assert to_lists(spelling.bases(ids)) == [[0, 1, 2, 3, 0, 1, 1, 3]]


def test_tokens_that_do_not_spell_the_record_have_no_frames() -> None:
    """Frames of a record with bases taken out, or of either strand mixed, would be no frames."""
    words = ["AAC", "ACG"]
    assert spelling_of(words, pipeline("truncate", "windows", k=3)) is not None
    assert spelling_of(words, pipeline("summarize", k=3)) is None
    assert spelling_of(words, pipeline(k=3, stride=4)) is None
    assert spelling_of(words, pipeline(k=3, canonical=True)) is None
    assert spelling_of(words, pipeline(k=2)) is None
    assert spelling_of(words, None) is None
    assert spelling_of(words, pipeline(k=3), domain="text") is None
    assert spelling_of(words, pipeline(k=3), vocab_size=9) is None
    drawn = {"prepare": {"tokens": {"k": 3}, "steps": [{"remove_steps": {"when": "train"}}]}}
    assert spelling_of(words, drawn) is not None


def test_a_recipe_that_turns_rows_round_says_that_strands_are_not_known() -> None:
    """A gene on the other strand would have no frame."""
    one, both = (
        spelling_of(["AAC"], pipeline(*steps, k=3)) for steps in ((), ("reverse_complement",))
    )
    assert one is not None and not one.either_strand
    assert both is not None and both.either_strand


def examples_of(records: list[str], labels: list[int]) -> tuple[Examples, Spelling]:
    """Rows of bases as tokens, and how they spell them."""
    rows = [["--ACGT".index(base) for base in record] for record in records]
    data = {"tokens": rows, "label": labels}
    facts = facts_of_task("classify", data, vocab_size=6)
    spelling = spelling_of(list("ACGT"), pipeline())
    assert spelling is not None
    return Examples.of(example_table(data, facts), facts), spelling


def genes(label: np.ndarray, rng: np.random.Generator, *, codons: int) -> list[str]:
    """Frames of equal length within bases without a start; the class shows in codons alone."""
    usage = [["GCA", "GCT", "AAA", "TGG"], ["GCC", "GCG", "AAA", "TGG"]]
    ends = ["".join(rng.choice(["GCC", "CCG"], 10)) for _ in label]
    return [
        end + "ATG" + "".join(rng.choice(usage[code], codons)) + "TGA" + end
        for end, code in zip(ends, label, strict=True)
    ]


def accuracy(baseline: OpenFrame, test: Examples) -> float:
    assert test.labels is not None
    return float((baseline.answers(test).argmax(1) == test.labels).mean())


def test_codons_tell_where_length_does_not() -> None:
    """Both classes have frames of one length; only which codons stand in them differs."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    every, spelling = examples_of(genes(label, rng, codons=20), label.tolist())
    baseline = OpenFrame(2, spelling)
    for some in (np.arange(50), np.arange(50, 120)):  # fitted in parts
        baseline.add(every.take(some))
    assert accuracy(baseline, every.take(np.arange(120, 200))) == 1


def test_the_length_of_a_frame_tells() -> None:
    """Equal bases in another phase to the start: only the frame differs."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 120)
    records = [
        ("ATG" if code else "CAT") + "".join(rng.choice(["GCA", "CCT"], 30)) + "TAA"
        for code in label
    ]
    every, spelling = examples_of(records, label.tolist())
    baseline = OpenFrame(2, spelling)
    baseline.add(every.take(np.arange(60)))
    assert accuracy(baseline, every.take(np.arange(60, 120))) == 1


def test_both_strands_say_the_same_where_strands_are_not_known() -> None:
    """Half of the genes would be lost."""
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, 80)
    records = genes(label, rng, codons=30)
    turned = [record.translate(str.maketrans("ACGT", "TGCA"))[::-1] for record in records]
    given, spelling = examples_of(records, label.tolist())
    other, _ = examples_of(turned, label.tolist())
    for either in (False, True):
        baseline = OpenFrame(2, replace(spelling, either_strand=either))
        baseline.add(given)
        same = np.isclose(baseline.answers(given), baseline.answers(other)).mean()
        assert bool(same > 0.9) is either


def test_a_rows_own_codons_do_not_count_for_it() -> None:
    """Rare pairs would seem to tell every training row apart, and what is real would not count."""
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 400)
    long = np.where(rng.random(400) < 0.9, label, 1 - label)
    frames = ["".join(rng.choice(list("ACG"), 3 * (60 + 60 * code))) for code in long]
    every, spelling = examples_of([f"ATG{frame}TAA" for frame in frames], label.tolist())
    baseline = OpenFrame(2, spelling)
    baseline.add(every.take(np.arange(60)))
    assert accuracy(baseline, every.take(np.arange(60, 400))) > 0.85


def test_own_counts_are_left_out_exactly() -> None:
    """The odds of a row are those that a table without it would give."""
    rng = np.random.default_rng(4)
    rows = Ragged(rng.integers(0, 65, 90), np.array([0, 20, 20, 50, 90]))
    labels = np.array([0, 1, 1, 0])
    for bag in cheap_frames._bags(rows):
        tables = np.zeros((4, 2, bag.codes))
        for row, code, times in zip(bag.row, bag.code, bag.times, strict=True):
            for without in range(4):
                tables[without, labels[row], code] += times * (row != without)
        whole = np.zeros((2, bag.codes))
        np.add.at(whole, (labels[bag.row], bag.code), bag.times)
        found = cheap_frames._odds(bag, whole, labels=labels)
        for row in range(4):
            np.testing.assert_allclose(
                found[row], cheap_frames._odds(bag, tables[row])[row], atol=1e-12
            )
        assert (found[1] == 0).all()


def test_pairs_of_codons_stay_within_a_row_and_are_known() -> None:
    """The last codon of a record and the first one of the next would be a pair."""
    codons = Ragged(np.array([1, 2, 64, 3, 1, 2, 1, 2]), np.array([0, 4, 4, 8]))
    single, pairs = cheap_frames._bags(codons)
    found = [
        list(zip(bag.row.tolist(), bag.code.tolist(), bag.times.tolist(), strict=True))
        for bag in (single, pairs)
    ]
    assert found[0] == [(0, 1, 1), (0, 2, 1), (0, 3, 1), (2, 1, 2), (2, 2, 2)]
    assert found[1] == [(0, 64 + 2, 1), (2, 64 + 2, 2), (2, 2 * 64 + 1, 1)]


def test_rows_that_come_after_an_answer_count() -> None:
    """A model that was fitted on a part of the rows would answer for all."""
    rng = np.random.default_rng(5)
    label = rng.integers(0, 2, 60)
    every, spelling = examples_of(genes(label, rng, codons=8), label.tolist())
    late, whole = OpenFrame(2, spelling), OpenFrame(2, spelling)
    late.add(every.take(np.arange(20)))
    late.answers(every)
    late.add(every.take(np.arange(20, 60)))
    whole.add(every)
    np.testing.assert_allclose(late.answers(every), whole.answers(every), atol=1e-9)
