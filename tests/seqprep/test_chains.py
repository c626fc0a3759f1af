"""Random chains of techniques: what no chain may do, whatever its steps and their order.

Steps that are right by themselves may be wrong together, as a rule by token before the view of the
other strand was. A chain is refused with one message, or its rows hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.prepare import Prepared, apply_fitted, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.table import Table
from tests.seqprep.test_prepare import fitted_of, rows_of
from tests.synthetic import write_sequences

CHAINS = 25
WORDS = [f"w{number}" for number in range(30)]
OFTEN = [1 / (number + 1) for number in range(30)]
TOKENS: dict[str, list[Tokens]] = {
    "text": [Tokens(unit="word"), Tokens(unit="word", max_vocab=5), Tokens(unit="character")],
    "dna": [Tokens(unit="kmer", k=3, stride=2), Tokens(unit="kmer", k=2, canonical=True)],
    "eeg": [Tokens(unit="value"), Tokens(unit="symbol", block=4, alphabet=3)],
}
Draw = Callable[[random.Random], dict[str, Any]]


def views(rng: random.Random) -> dict[str, Any]:
    return rng.choice([{}, {"views": 2}, {"views": 2, "original": "drop"}, {"when": "train"}])


STEPS: dict[str, Draw] = {
    "summarize": lambda rng: {
        key: rng.randint(1, most)
        for key, most in (("drop_top", 3), ("min_count", 5), ("min_records", 4), ("max_vocab", 12))
        if rng.random() < 0.5
    },
    "usefulness": lambda rng: {"keep": rng.randint(1, 12)},
    "truncate": lambda rng: {"length": rng.randint(1, 40), "keep": rng.choice(["tail", "random"])},
    "remove_steps": lambda rng: {"length": rng.randint(1, 30), **views(rng)},
    "subsequences": lambda rng: {"pieces": 2, "piece": rng.randint(1, 15), **views(rng)},
    "shift": lambda rng: {"max": rng.randint(1, 9), **views(rng)},
    "windows": lambda rng: {"length": rng.randint(5, 40), "stride": rng.randint(1, 5)},
    "reverse_complement": lambda rng: rng.choice([{"views": 2}, {"p": 0.5}]),
    "one_hot": lambda rng: {},
    "hash": lambda rng: {"n": 2, "block": rng.randint(1, 20), "features": 8},
    "block_means": lambda rng: {"block": rng.randint(1, 9)},
    "sax": lambda rng: {"block": rng.randint(1, 9), "alphabet": rng.randint(2, 6)},
    "differences": lambda rng: {"n": rng.randint(1, 4)},
    "resample": lambda rng: {"to_hz": rng.choice([16, 50, 128])},
    "spectrum": lambda rng: {"window_s": 0.5, "stride_s": 0.25},
}


def records_of(domain: str, rng: random.Random) -> list[dict[str, Any]]:
    """Records of a few and of many steps, twenty in each split."""
    records = []
    for number in range(60):
        length = rng.choice([1, 3, 20, 60])
        one: dict[str, Any] = {"label": "ab"[number % 2], "source": f"f{number:04d}.x"}
        if domain == "text":
            one["text"] = " ".join(rng.choices(WORDS, OFTEN, k=length))
        elif domain == "dna":
            one["bases"] = "".join(rng.choices("ACGTN", [5, 5, 5, 5, 1], k=3 * length))
        else:
            one |= {"values": [rng.gauss(0, 1) for _ in range(6 * length)], "length": 3 * length}
        records.append(one)
    return records


def check_rows(done: Prepared) -> None:
    """No padding, no id beyond the vocabulary, no empty row, nothing that is not finite."""
    rows = rows_of(done)
    assert len(rows) == sum(done.rows.values())
    assert 0 <= done.removed_share <= 1 and 0 <= done.kept_share <= 1
    for row in rows:
        assert row["length"] >= 1
        if "tokens" in row:
            assert len(row["tokens"]) == row["length"]
            assert min(row["tokens"]) > 0 and max(row["tokens"]) < (done.vocab_size or 0)
        else:
            assert len(row["values"]) % row["length"] == 0 and np.isfinite(row["values"]).all()


def check_prediction(store: Path, table: Table, done: Prepared, options: dict[str, Any]) -> None:
    """Rows outside training are those that a prediction would make."""
    fitted = Fitted.from_bytes(fitted_of(store, done))
    records = table.read_group(table.files()[0], 0)
    stored = {(row["id"], row["window"]): row for row in rows_of(done) if row["split"] != "train"}
    for row in apply_fitted(records, fitted=fitted, **options).to_pylist():
        if (expected := stored.get((row["id"], row["window"]))) is not None:
            column = "tokens" if "tokens" in row else "values"
            assert row[column] == expected[column]


@pytest.mark.parametrize("domain", list(TOKENS))
def test_no_chain_breaks_its_rows_or_the_prediction(tmp_path: Path, domain: str) -> None:
    """Padding would be learnt from, or a model be given other rows than it was trained on."""
    rng = random.Random(domain)
    facts: dict[str, Any] = {"channels": ["x", "y"], "rate_hz": 64.0} if domain == "eeg" else {}
    table = write_sequences(
        tmp_path, records_of(domain, rng), domain=domain, chunk_rows=60, **facts
    )
    split = Split(by="path", pattern=r"f\d\d\d(\d)", validation=("8",), test=("9", "4"))
    made = 0
    while made < CHAINS:
        names = rng.choices(list(STEPS), k=rng.randint(1, 3))
        steps = tuple({name: STEPS[name](rng)} for name in names)
        recipe = Prepare(tokens=rng.choice(TOKENS[domain]), steps=steps, buckets=2)
        options: dict[str, Any] = {"domain": domain, "task": "classify", "recipe": recipe}
        try:
            done = prepare(
                dataset="synthetic", store=tmp_path, split=split, refit=True, workers=1, **options
            )
        except ConfigError:
            continue  # said before anything is read
        made += 1
        check_rows(done)
        check_prediction(tmp_path, table, done, options)
