"""Each technique for tokens on real texts and DNA, by plain Python on the raw files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Seq import Seq
from scipy.stats import entropy

from seqprep.recipe import Tokens
from seqprep.transforms import TRANSFORMS
from tests.seqprep import test_real_signals
from tests.seqprep.real_techniques import (
    OOV,
    PROMOTERS,
    REVIEWS,
    Made,
    documents,
    made,
    promoters,
    write_reference,
)

pytestmark = pytest.mark.real
Words = dict[str, list[str]]


def training(run: Made, raw: Words) -> dict[str, list[str]]:
    """The raw words of the training records, by id."""
    ids = {row["id"] for row in run.rows if row["split"] == "train"}
    return {name: words for name, words in raw.items() if name in ids}


def held(rows: Mapping[str, Iterable[str]]) -> Counter[str]:
    """How many records hold each word."""
    return Counter(word for words in rows.values() for word in set(words))


def check_summarize(run: Made, raw: Words) -> None:
    """The 30 most frequent words of training go, and so do those that occur once."""
    counts = Counter(word for words in training(run, raw).values() for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word.encode()))
    kept = {word for word in ranked[30:] if counts[word] >= 2}
    assert {"the", ",", "."}.isdisjoint(kept) and len(kept) > 1000
    for row in run.rows:
        assert run.texts(row) == [word for word in raw[row["id"]] if word in kept]


def check_usefulness(run: Made, raw: Words) -> None:
    """The 50 words stay whose presence tells most of the class: H(class) + H(word) - H(both)."""
    rows = {name: set(words) for name, words in training(run, raw).items()}
    classes = [{n: words for n, words in rows.items() if n.startswith(c)} for c in ("neg", "pos")]
    counts = [held(one) for one in classes]
    words, totals = list(held(rows)), [len(one) for one in classes]
    with_VC = np.array([[count[word] for count in counts] for word in words])
    both = np.stack([with_VC, totals - with_VC], axis=1)
    joint = entropy(both.reshape(len(words), -1), axis=1)
    information = entropy(totals) + entropy(both.sum(axis=2), axis=1) - joint
    tells = dict(zip(words, information.tolist(), strict=True))
    found = set(run.fitted.vocabulary)
    assert len(found) == 50
    least = min(tells[word] for word in found)
    assert least >= max(score for word, score in tells.items() if word not in found) - 1e-9
    for row in run.rows:
        assert run.texts(row) == ([word for word in raw[row["id"]] if word in found] or [OOV])


def check_idf(run: Made, raw: Words, news: Words) -> None:
    """The words stay that are rarer or more common than in news by a factor e or more."""
    rows = training(run, raw)

    def idf(word: str, counts: Counter[str], records: int) -> float:
        return float(np.log((1 + records) / (1 + counts[word])) + 1)

    here, there = held(rows), held(news)
    differs = {w: idf(w, here, len(rows)) - idf(w, there, len(news)) for w in here}
    kept = {word for word, by in differs.items() if abs(by) >= 1}
    assert {"film", "movie"} <= kept and {"the", ".", "of"}.isdisjoint(kept)
    for row in run.rows:
        words = [w if w in kept else OOV for w in raw[row["id"]] if w in kept or w not in here]
        assert run.texts(row) == words


def check_hash(run: Made, raw: Words) -> None:
    """Vectors of whole documents are as alike as their exact counts of words and pairs are."""
    grams = [Counter([*words, *pairwise(words)]) for words in (raw[row["id"]] for row in run.rows)]
    hashed = np.array([run.values(row).sum(axis=0, dtype=float) for row in run.rows])
    exact, found = [], []
    for first, one in enumerate(grams):
        for second, other in enumerate(grams[:first]):
            exact.append(sum(many * other[gram] for gram, many in one.items()))
            found.append(hashed[first] @ hashed[second])
    assert np.corrcoef(exact, found)[0, 1] > 0.999
    np.testing.assert_allclose(np.sum(found), np.sum(exact), rtol=0.02)
    for row, one in zip(run.rows, grams, strict=True):
        assert row["length"] == 1
        assert (hashed[run.rows.index(row)].sum() - one.total()) % 2 == 0


def check_truncate(run: Made, raw: Words) -> None:
    """The last 100 words of each document, however long it is."""
    known = set(run.fitted.vocabulary)
    for row in run.rows:
        last = raw[row["id"]][-100:]
        assert run.texts(row) == [word if word in known else OOV for word in last]


def check_remove_steps(run: Made, raw: Words) -> None:
    """Exactly 120 words in their order; another choice in each view."""
    for row in run.rows:
        rest = iter(raw[row["id"]])
        if row["view"]:
            assert row["length"] == min(120, len(raw[row["id"]]))
        assert all(word == OOV or word in rest for word in run.texts(row))
    views = {(row["id"], row["view"]): run.texts(row) for row in run.rows}
    training_ids = {name for name, view in views if view}
    assert all(views[name, 1] != views[name, 2] for name in training_ids if len(raw[name]) > 150)


def check_windows(run: Made, raw: Words) -> None:
    """Every word stands in the window or windows where it should, the last ones too."""
    for row in run.rows:
        start = 40 * row["window"]
        words = raw[row["id"]][start : start + 64]
        assert row["length"] == len(words)
        assert all(a in (OOV, b) for a, b in zip(run.texts(row), words, strict=True))
    counts = Counter(row["id"] for row in run.rows)
    assert counts == {
        name: len(
            [at for at in range(0, len(raw[name]), 40) if at == 0 or at + 24 < len(raw[name])]
        )
        for name in counts
    }


Bases = dict[str, str]


def check_one_hot(run: Made, raw: Bases) -> None:
    """A single one for each base, in the channel of that name."""
    names = np.array(run.fitted.outputs)
    assert sorted(names) == ["A", "C", "G", "OOV", "T"]
    for row in run.rows:
        values = run.values(row)
        assert (values.sum(axis=1) == 1).all() and set(values.ravel().tolist()) == {0, 1}
        assert "".join(names[values.argmax(axis=1)]) == raw[row["id"]]


def check_reverse_complement(run: Made, raw: Bases) -> None:
    """View 1 is the k-mers of the strand that Biopython gives."""
    for row in run.rows:
        bases = raw[row["id"]]
        strand = str(Seq(bases).reverse_complement()) if row["view"] else bases
        assert run.texts(row) == [strand[at : at + 3] for at in range(len(strand) - 2)]
    assert sum(row["view"] for row in run.rows) > 500


def check_subsequences(run: Made, raw: Bases) -> None:
    """Two pieces of 20 bases that stand in the record in this order and do not overlap."""
    for row in run.rows:
        text, bases = "".join(run.texts(row)), raw[row["id"]]
        if not row["view"]:
            assert text == bases
            continue
        first = bases.find(text[:20])
        assert len(text) == 40 and first >= 0 and text[20:] in bases[first + 20 :]
    assert len({"".join(run.texts(row)) for row in run.rows if row["view"]}) > 1500


def check_shift(run: Made, raw: Bases) -> None:
    """Whole codons go from the head, all numbers of them about as often, and nothing else."""
    dropped: Counter[int] = Counter()
    for row in run.rows:
        text, bases = "".join(run.texts(row)), raw[row["id"]]
        assert bases.endswith(text)
        if row["view"]:
            dropped[len(bases) - len(text)] += 1
        else:
            assert text == bases
    assert dropped.keys() == {0, 3, 6, 9}
    assert min(dropped.values()) > 0.8 * max(dropped.values())


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[..., None]]] = {
    "hash": (REVIEWS, {"n": 2, "block": 10_000, "features": 4096}, check_hash),
    "idf": (REVIEWS, {"reference": "news.parquet", "tau": 1}, check_idf),
    "one_hot": (PROMOTERS, {}, check_one_hot),
    "remove_steps": (REVIEWS, {"length": 120, "views": 2}, check_remove_steps),
    "reverse_complement": (PROMOTERS, {"views": 1}, check_reverse_complement),
    "shift": (PROMOTERS, {"max": 11, "stride": 3, "views": 2}, check_shift),
    "subsequences": (PROMOTERS, {"pieces": 2, "piece": 20, "views": 2}, check_subsequences),
    "summarize": (REVIEWS, {"drop_top": 30, "min_count": 2}, check_summarize),
    "truncate": (REVIEWS, {"length": 100, "keep": "tail"}, check_truncate),
    "usefulness": (REVIEWS, {"keep": 50}, check_usefulness),
    "windows": (REVIEWS, {"length": 64, "stride": 40}, check_windows),
}


def test_every_technique_is_tried_on_real_data() -> None:
    """A technique would be added that has only ever seen literal rows."""
    assert CASES.keys() | test_real_signals.CASES.keys() == TRANSFORMS.keys()


@pytest.mark.parametrize("name", CASES)
def test_real_records_become_what_plain_python_says(
    name: str, datasets: Path, tmp_path: Path
) -> None:
    """A technique that is right on small literal rows would be wrong on real texts and DNA."""
    source, options, check = CASES[name]
    recipe: dict[str, Any] = {}
    beside = []
    if name == "idf":
        beside.append(write_reference(datasets, tmp_path))
    if name == "reverse_complement":
        recipe["tokens"] = Tokens(k=3)
    run = made(datasets, tmp_path, source, {name: options}, **recipe)
    raw = promoters(datasets) if source is PROMOTERS else documents(datasets, "reviews")
    assert {row["id"] for row in run.rows} <= raw.keys()
    check(run, raw, *beside)
