"""The very steps that random techniques draw: the same of (seed, id, view) on every machine.

The literals are what the code gave when they were written. If draws are ever changed on purpose,
every stored view and bundle changes with them: raise the `version` of the techniques, run
`python -m tests.seqprep.test_drawn_values`, and put what it prints in the place of the literals.
"""

from __future__ import annotations

import hashlib
import pprint
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep import splits
from seqprep.batches import BatchSource
from seqprep.fitted import Fitted
from seqprep.plan import BatchSettings
from seqprep.prepare import prepare
from seqprep.ragged import Ragged, row_keys, to_offsets
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.snapshot import Snapshot, read_shard
from seqprep.table import Table
from seqprep.transforms import TRANSFORMS
from seqprep.transforms.options import ViewOptions
from seqprep.views import apply_view
from tests.synthetic import write_sequences

SEED = 5
LETTERS = {"a": "abcdefghijklmnopqrst", "b": "uvwxyz0123456", "c": "789"}
BASES = {"a": "AAACCCGGT", "b": "ACGTTTTA", "c": "G"}
CASES: dict[str, list[dict[str, dict[str, Any]]]] = {
    "truncate": [{"truncate": {"length": 5, "keep": "random"}}],
    "subsequences, forbid": [{"subsequences": {"pieces": 2, "piece": 3, "overlap": "forbid"}}],
    "subsequences, allow": [{"subsequences": {"pieces": 2, "piece": 3, "overlap": "allow"}}],
    "remove_steps": [{"remove_steps": {"length": 6}}],
    "shift": [{"shift": {"max": 7, "stride": 2}}],
    "reverse_complement": [{"reverse_complement": {"p": 0.5}}],
    "of windows": [{"windows": {"length": 8}}, {"remove_steps": {"length": 4}}],
}
DRAWN: dict[str, dict[str, list[str]]] = {
    "truncate": {
        "a": ["defgh", "cdefg", "opqrs"],
        "b": ["yz012", "12345", "uvwxy"],
        "c": ["789", "789", "789"],
    },
    "subsequences, forbid": {
        "a": ["defklm", "cdenop", "noprst"],
        "b": ["xyz012", "z01234", "uvw012"],
        "c": ["789", "789", "789"],
    },
    "subsequences, allow": {
        "a": ["efgjkl", "defnop", "qrsrst"],
        "b": ["yz0z01", "012345", "uvwz01"],
        "c": ["789", "789", "789"],
    },
    "remove_steps": {
        "a": ["chijkq", "bilnot", "cfijlt"],
        "b": ["z12346", "vxy045", "uvw356"],
        "c": ["789", "789", "789"],
    },
    "shift": {
        "a": ["abcdefghijklmnopqrst", "abcdefghijklmnopqrst", "ghijklmnopqrst"],
        "b": ["yz0123456", "0123456", "uvwxyz0123456"],
        "c": ["789", "789", "789"],
    },
    "reverse_complement": {
        "a": ["ACCGGGTTT", "ACCGGGTTT", "AAACCCGGT"],
        "b": ["ACGTTTTA", "ACGTTTTA", "TAAAACGT"],
        "c": ["C", "C", "C"],
    },
    "of windows": {
        "a": ["abef", "jknp", "qrst", "bcfg", "knop", "qrst", "bceg", "lmno", "qrst"],
        "b": ["uwy0", "2356", "vwx1", "2345", "uvxy", "2456"],
        "c": ["789", "789", "789"],
    },
}
"""What is left of each record: of view 0, 1 and 2, and of each of these its windows in order.

A reduction is view 0; stored views are 1 and 2, and epoch n draws view n + 1.
"""
STACKED = {
    "a": ["efghijklmnopqrst", "hijk", "efghijklmnopqrst", "efghijk"],
    "b": ["z0123456", "456", "z0123456", "0123456"],
    "c": ["89", "89", "789", "89"],
}
"""Of stored views 0 and 1 of each record: what `shift` on the fly makes of them in two epochs."""
FOLDS = ["001000001002002100011212", "021002001200000202011011"]
ORDER = "b1 a2 c4 a5 b4 a0 a1 c3 c2 b3 c5 a3 b0 b5 c1 c0 a4 b2"

LONG: dict[str, tuple[dict[str, Any], str]] = {
    "truncate": ({"length": 100_000, "keep": "random"}, "dd75a0b1d5b2fe9f"),
    "subsequences, forbid": (
        {"pieces": 50, "piece": 1000, "overlap": "forbid"},
        "acc67a545d9e4a1d",
    ),
    "subsequences, allow": ({"pieces": 50, "piece": 1000, "overlap": "allow"}, "6f7afd5fdb7beeaf"),
    "remove_steps, many": ({"length": 900}, "f04548d42a67f64d"),
    "remove_steps, few": ({"length": 200_000}, "b5651fbc68779ba2"),
    "shift": ({"max": 100_000, "stride": 1}, "018b17b2cc5fceb4"),
    "reverse_complement": ({"p": 0.5, "complement": [3, 2, 1, 0, 4]}, "666b98b0fa0bf645"),
}
"""Of rows of up to 300,000 steps: the options, and a digest of the steps that are left."""


def drawn(
    store: Path,
    steps: list[dict[str, dict[str, Any]]],
    *,
    recipe: str,
    rows: dict[str, str] = LETTERS,
) -> tuple[Path, Fitted]:
    """Prepare the literal records; the snapshot, and what was fitted."""
    dna = "reverse_complement" in steps[-1]
    content, rows = ("bases", BASES) if dna else ("text", rows)
    texts = [("v", "GATTACA" if dna else "val"), ("t", "TTGACA" if dna else "test"), *rows.items()]
    records = [
        {"id": name, "source": f"{name}.txt", content: text, "label": "xy"[n % 2]}
        for n, (name, text) in enumerate(texts)
    ]
    domain: Any = "dna" if dna else "text"
    write_sequences(store, records, domain=domain)
    done = prepare(
        dataset="synthetic",
        store=store,
        domain=domain,
        task="classify",
        split=Split(
            by="path", pattern="^(.)", train=("a", "b", "c"), validation=("v",), test=("t",)
        ),
        recipe=Prepare(
            recipe=recipe,
            tokens=Tokens() if dna else Tokens(unit="character"),
            steps=tuple(steps),
            buckets=1,
            seed=SEED,
        ),
        workers=1,
    )
    examples = Table(store / "synthetic" / f"examples-{recipe}")
    state = examples.info(done.version).state["fitted"]
    return Path(done.snapshot), Fitted.from_bytes(examples.state.get(state))


def stored(path: Path, fitted: Fitted) -> dict[str, list[str]]:
    """The training rows as text, by record, in order of view and window."""
    snapshot = Snapshot.read(path)
    rows = [r for s in snapshot.of("train") for r in read_shard(snapshot, s).to_pylist()]
    rows.sort(key=lambda row: (row["id"], row["view"], row["window"]))
    return by_record([(row["id"], row["tokens"]) for row in rows], fitted)


def on_the_fly(path: Path, fitted: Fitted, *, epochs: int = 2) -> dict[str, list[str]]:
    """The training rows as batches give them, by record, in order of epoch, view and window."""
    settings = BatchSettings(batch_tokens=60, seed=SEED)
    source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=settings)
    rows: list[tuple[int, int, int, str, list[int]]] = []
    for epoch in range(epochs):
        for batch in source.batches(source.plan(epoch)):
            for number, name, ids, steps in zip(
                batch.rows, batch.ids.to_pylist(), batch.inputs, batch.lengths, strict=True
            ):
                view, first = int(source.views[number]), int(source.first_steps[number])
                rows.append((epoch, view, first, name, ids[:steps].tolist()))
    return by_record([(name, ids) for *_, name, ids in sorted(rows)], fitted)


def by_record(rows: list[tuple[str, list[int]]], fitted: Fitted) -> dict[str, list[str]]:
    """The text of each row of ids, by record."""
    names = np.array(["", "?", *fitted.vocabulary])
    found: dict[str, list[str]] = {}
    for name, ids in rows:
        found.setdefault(name, []).append("".join(names[ids]))
    return dict(sorted(found.items()))


def with_options(
    steps: list[dict[str, dict[str, Any]]], **options: Any
) -> list[dict[str, dict[str, Any]]]:
    """The steps with options of the last one added."""
    ((name, given),) = steps[-1].items()
    return [*steps[:-1], {name: {**given, **options}}]


def test_every_technique_that_draws_has_a_case() -> None:
    """A random technique would be added whose draws may change unseen."""
    drawing = {name for name, kind in TRANSFORMS.items() if issubclass(kind, ViewOptions)}
    assert drawing == {name for steps in CASES.values() for name in steps[-1]}


@pytest.mark.parametrize("case", CASES)
def test_a_reduction_draws_these_steps(case: str, tmp_path: Path) -> None:
    """Another machine, or a later version, would keep other steps of every record."""
    found = stored(*drawn(tmp_path, CASES[case], recipe="once"))
    assert found == {name: rows[: len(rows) // 3] for name, rows in DRAWN[case].items()}


@pytest.mark.parametrize("case", CASES)
def test_stored_views_are_these_steps(case: str, tmp_path: Path) -> None:
    """A dataset that is prepared anew would hold other views than the one a model was trained on.

    View 0 is the record as it is.
    """
    found = stored(*drawn(tmp_path, with_options(CASES[case], views=2), recipe="stored"))
    many = {name: len(rows) // 3 for name, rows in DRAWN[case].items()}
    assert {name: rows[many[name] :] for name, rows in found.items()} == {
        name: rows[many[name] :] for name, rows in DRAWN[case].items()
    }


@pytest.mark.parametrize("case", CASES)
def test_epochs_draw_these_steps(case: str, tmp_path: Path) -> None:
    """A run that is resumed or repeated elsewhere would train on other views."""
    found = on_the_fly(*drawn(tmp_path, with_options(CASES[case], when="train"), recipe="fly"))
    assert found == {name: rows[len(rows) // 3 :] for name, rows in DRAWN[case].items()}


def stacked(store: Path) -> dict[str, list[str]]:
    """Stored views of pieces, each of them shifted in two epochs."""
    steps = [{"truncate": {"length": 9, "keep": "random", "views": 1}}, {"shift": {"max": 7}}]
    return on_the_fly(*drawn(store, with_options(steps, when="train"), recipe="both"))


def test_stored_views_draw_these_steps_apart_in_every_epoch(tmp_path: Path) -> None:
    """Views on the fly of stored views would change between versions or machines."""
    assert stacked(tmp_path) == STACKED


def long_digest(case: str) -> str:
    """Of view 1 of rows of which some are longer than what is worked on at a time."""
    sizes = np.array([300_000, 7, 1_000, 270_000])
    step = {"name": case.partition(",")[0], "position": 0, **LONG[case][0]}
    places = np.concatenate([np.arange(size) for size in sizes])
    if "complement" in step:
        places = places * places % 7 % 5
    rows = Ragged(places.astype(np.int32), to_offsets(sizes))
    left = apply_view(rows, step, row_keys(pa.array(list("abcd"))), seed=SEED, view=1)
    return hashlib.sha256(left.values.astype("<i8").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("case", LONG)
def test_long_rows_keep_these_steps(case: str) -> None:
    """Rows that are worked on in parts would draw otherwise than those that fit at once."""
    assert long_digest(case) == LONG[case][1]


def folds() -> list[str]:
    """The splits of 24 groups in the first and the last of three folds."""
    ids = [f"g{n}" for n in range(24)]
    rows = pa.table(dict.fromkeys(("id", "name", "source", "group"), ids))
    ways = (Split(by="folds", count=3, fold=n, validation=0.3, seed=SEED) for n in (0, 2))
    return ["".join(map(str, splits.assign(way, rows).tolist())) for way in ways]


def test_folds_and_hashed_validation_put_groups_there() -> None:
    """A new version would score a fold on groups that the other folds have tested on, too."""
    assert folds() == FOLDS


def order(store: Path) -> str:
    """The records of the rows of a shard."""
    rows = {f"{letter}{n}": f"{letter} {n}" for n in range(6) for letter in "abc"}
    path, _ = drawn(store, [{"truncate": {"length": 9}}], recipe="order", rows=rows)
    snapshot = Snapshot.read(path)
    (shard,) = snapshot.of("train")
    return " ".join(read_shard(snapshot, shard, columns=["id"])["id"].to_pylist())


def test_rows_lie_in_shards_in_this_order(tmp_path: Path) -> None:
    """The same data prepared elsewhere would be another snapshot: other bytes, other batches."""
    assert order(tmp_path) == ORDER


def main() -> None:
    """Print what stands above: of each case view 0, 1 and 2 of each record."""
    found: dict[str, dict[str, list[str]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, steps in CASES.items():
            once = stored(*drawn(folder / case, steps, recipe="once"))
            fly = with_options(steps, when="train")
            rest = on_the_fly(*drawn(folder / case, fly, recipe="fly"))
            found[case] = {record: once[record] + rest[record] for record in once}
        others: dict[str, Any] = {
            "STACKED": stacked(folder),
            "FOLDS": folds(),
            "ORDER": order(folder / "order"),
        }
    others["LONG"] = {case: long_digest(case) for case in LONG}
    pprint.pp({"DRAWN": found, **others}, width=100)


if __name__ == "__main__":
    main()
