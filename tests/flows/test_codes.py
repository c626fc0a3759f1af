"""Codes of an autoencoder as a dataset on which a classifier is prepared and trained."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flows.codes import make_codes, store_codes
from flows.pipeline_file import Pipeline, build, load
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from seqprep.errors import SeqprepError
from seqprep.ingest import ingest
from seqprep.options.split import Split
from seqprep.prepare import Prepared, prepare
from seqprep.snapshot import Snapshot, read_shard
from seqprep.table import Table
from seqprep.upkeep.in_use import InUseError
from seqprep.upkeep.removal import remove
from tests.flows.stages import ingest_and_prepare, trained
from tests.synthetic import documents, write_sequences

MODEL = {"name": "autoencoder", "hidden": 6, "code_every": 4, "bidirectional": False}


def signals(root: Path) -> Pipeline:
    """An autoencoder of 24 recordings of 6 subjects, half of them twice as loud."""
    rng = np.random.default_rng(0)
    for number in range(24):
        kind = ("calm", "loud")[number % 2]
        values = rng.normal(size=(30 + number, 2)) * (1 + 3 * (number % 2))
        path = root / "in" / f"s{number % 6}-{kind}-{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "\n".join(f"{a:.4f},{b:.4f}" for a, b in values)
        path.write_text(f"left,right\n{rows}\n")
    return build(
        {
            "dataset": "signals",
            "source": {
                "domain": "eeg",
                "path": str(root / "in"),
                "rate_hz": 100,
                "task": "reconstruct",
                "label": {"from": "file", "pattern": "-(calm|loud)-"},
                "group": {"from": "file", "pattern": "(s\\d)"},
            },
            "split": {"by": "path", "pattern": "(s\\d)", "validation": ["s4"], "test": ["s5"]},
            "train": {"model": MODEL, "epochs": 2, "max_rows": 8, "threads": 1, "device": "cpu"},
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Path]:
    root = tmp_path_factory.mktemp("codes")
    store = root / "store"
    bundle = trained(signals(root), store) / "bundle"
    done = make_codes(str(bundle), dataset="codes", store=store, source_dataset=None)
    return store, done, bundle


def sequences(store: Path, dataset: str) -> pa.Table:
    table = Table(store / dataset / "sequences")
    return pa.concat_tables([table.read_group(*place) for place in table.row_groups()])


def test_records_keep_what_they_are_and_gain_their_error(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """A code that lost its id, label or group could be in training and test at once."""
    store, done, _ = made
    before, after = sequences(store, "signals"), sequences(store, "codes")
    for name in ("id", "group", "label", "source", "record", "content_hash"):
        assert after[name].to_pylist() == before[name].to_pylist()
    steps = before["length"].to_numpy()
    assert after["length"].to_pylist() == (-(-steps // 4)).tolist()
    assert [len(row) for row in after["values"].to_pylist()] == (-(-steps // 4) * 6).tolist()
    errors = [json.loads(row)["reconstruction_error"] for row in after["attributes"].to_pylist()]
    loud = np.asarray([label == "loud" for label in after["label"].to_pylist()])
    assert np.mean(np.asarray(errors)[loud]) > np.mean(np.asarray(errors)[~loud]) > 0
    assert done["task"] == "classify" and done["channels"] == 6


def test_the_normal_flow_trains_on_them_with_the_same_split(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """Groups that the autoencoder was not to see must not train the classifier, either."""
    store, done, _ = made
    spec = load(Path(done["pipeline"]), overrides=["train.epochs=1", "train.model.hidden=4"])
    prepared: Prepared = ingest_and_prepare(spec, store)
    snapshot = Snapshot.read(Path(prepared.snapshot))
    for split, subjects in (("train", "0123"), ("validation", "4"), ("test", "5")):
        ids = {
            id_
            for shard in snapshot.of(split)  # type: ignore[arg-type]
            for id_ in read_shard(snapshot, shard)["id"].to_pylist()
        }
        assert len(ids) == 4 * len(subjects) and {id_[1] for id_ in ids} == set(subjects)
    job, _ = write_job(spec, asdict(prepared), store=store)
    report = json.loads(train(read_job(job)).read_bytes())
    assert report["labels"] == ["calm", "loud"]
    assert report["metrics"]["test"]["records"] == 4


def split_by_table(root: Path) -> tuple[Pipeline, dict[str, str]]:
    """The autoencoder of `signals` with a split that codes cannot repeat, and the split by name."""
    spec = signals(root)
    names = sorted(path.name for path in (root / "in").iterdir())
    sets = [{"s1": "validation", "s2": "test"}.get(name[:2], "train") for name in names]
    lines = [f"{name},{one}" for name, one in zip(names, sets, strict=True)]
    (root / "sets.csv").write_text("file,set\n" + "\n".join(lines) + "\n")
    split = {"by": "table", "table": str(root / "sets.csv"), "key": "file", "column": "set"}
    listed = {name: [name] for name in ("train", "validation", "test")}
    wanted = dict(zip(names, sets, strict=True))
    return replace(spec, split=Split(**split, **listed)), wanted


def prepared_as_written(store: Path, file: Path) -> Prepared:
    """The codes, prepared as the pipeline file beside them says."""
    spec = load(file)
    return prepare(
        dataset="codes",
        store=store,
        domain=spec.source.domain,
        task=spec.source.task,
        split=spec.split,
        recipe=spec.prepare,
        base=file.parent,
    )


def test_a_split_that_codes_cannot_repeat_is_written_down(tmp_path: Path) -> None:
    """Records that tested the autoencoder once trained the classifier on its codes."""
    spec, wanted = split_by_table(tmp_path)
    store = tmp_path / "store"
    done = make_codes(
        str(trained(spec, store) / "bundle"), dataset="codes", store=store, source_dataset=None
    )
    found = prepared_as_written(store, Path(done["pipeline"]))
    assert found.rows == {"train": 16, "validation": 4, "test": 4}
    snapshot = Snapshot.read(Path(found.snapshot))
    for shard in snapshot.shards:
        for id_ in read_shard(snapshot, shard)["id"].to_pylist():
            assert wanted[id_.partition("#")[0]] == shard.split


def test_codes_obey_what_was_withdrawn_from_the_records(tmp_path: Path) -> None:
    """A person who withdrew would come back as codes, or their pipeline file fail without them."""
    spec, wanted = split_by_table(tmp_path)
    store = tmp_path / "store"
    bundle = str(trained(spec, store) / "bundle")
    make_codes(bundle, dataset="codes", store=store, source_dataset=None)
    gone = f"{next(name for name, one in wanted.items() if one == 'train')}#0"
    from_codes = f"{next(name for name, one in wanted.items() if one == 'test')}#0"
    remove(store / "codes", ids=[from_codes], apply=True)
    done = remove(store / "signals", ids=[gone], erase=True, apply=True)
    assert [(one.dataset, one.records) for one in done.derived] == [("codes", 1)]
    again = make_codes(bundle, dataset="codes", store=store, source_dataset=None)
    assert (again["rows"], again["withdrawn"]) == (22, 1)
    assert gone not in sequences(store, "codes")["id"].to_pylist()
    assert from_codes not in sequences(store, "codes")["id"].to_pylist()
    found = prepared_as_written(store, store / "codes" / "pipeline.yaml")
    assert found.rows == {"train": 15, "validation": 4, "test": 3}


def test_no_record_is_withdrawn_while_it_becomes_a_code(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """A removal would find no codes of the record, and a moment later there would be some."""
    store, _, bundle = made
    told: list[str] = []

    def meanwhile(what: str, done: int, total: int) -> None:
        with pytest.raises(InUseError, match="signals"):
            remove(store / "signals", groups=["s0"], apply=True)
        told.append(what)

    store_codes(str(bundle), dataset="slow", store=store, source_dataset=None, progress=meanwhile)
    assert told == ["records"] and len(sequences(store, "slow")) == 24
    assert Table(store / "signals" / "sequences").version() == 0


def test_nothing_is_made_twice_and_nothing_is_ingested(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """Running again must find the codes, and ingest must not replace them by other records."""
    store, done, bundle = made
    again = make_codes(str(bundle), dataset="codes", store=store, source_dataset=None)
    assert again == done
    spec = load(Path(done["pipeline"]))
    found = ingest(spec.source, dataset="codes", store=store, base=Path(done["pipeline"]).parent)
    assert found.reused and found.version == done["version"] and found.rows == 24
    Table(store / "codes" / "sequences").verify()


def test_codes_never_replace_a_dataset_of_records(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """A name typed wrong must not cost a person the data."""
    store, _, bundle = made
    with pytest.raises(SeqprepError, match="name of their own"):
        make_codes(str(bundle), dataset="signals", store=store, source_dataset=None)
    write_sequences(store, documents(3), dataset="letters")
    with pytest.raises(SeqprepError, match="ingested records"):
        make_codes(str(bundle), dataset="letters", store=store, source_dataset=None)


def test_records_of_another_kind_are_refused(
    made: tuple[Path, dict[str, Any], Path],
) -> None:
    """Channels read as if they were others would give codes of nothing."""
    store, _, bundle = made
    with pytest.raises(SeqprepError, match=r"channels code_0.*the model reads left, right"):
        make_codes(str(bundle), dataset="more", store=store, source_dataset="codes")


def test_only_an_autoencoder_has_codes(
    made: tuple[Path, dict[str, Any], Path], tmp_path: Path
) -> None:
    """States of a classifier would pass for codes whose error nobody measured."""
    spec = signals(tmp_path)
    spec = replace(
        spec,
        source=replace(spec.source, task="classify"),
        train=replace(spec.train, model=replace(spec.train.model, name="lstm", code_every=None)),
    )
    bundle = trained(spec, tmp_path / "store") / "bundle"
    with pytest.raises(SeqprepError, match="made by an autoencoder"):
        make_codes(str(bundle), dataset="c", store=tmp_path / "store", source_dataset=None)
