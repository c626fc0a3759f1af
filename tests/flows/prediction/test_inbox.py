"""New files of a folder are predicted once each, whatever happens in between."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from flows.commands.predict_paths import check_inbox
from flows.maintain import verify_path
from flows.predict import predict_files
from flows.predict_new import predict_new_files
from flows.prediction.answers import Predictor
from flows.prediction.inbox import Predicted, predict_inbox
from flows.prediction.told import new_files_page, told_of_new_files
from seqprep.errors import ConfigError, CorruptError, SeqprepError
from seqprep.inbox.predictions import Predictions
from seqprep.ingestion import source_chunks
from tests.flows.stages import trained
from tests.flows.training.test_job import pipeline
from tests.sources import write_files

FILES = {"a.txt": "warm words", "b/c.txt": "cold and colder", "d.txt.gz": "number 7 and so on"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Predictor]:
    """Two models of the same dataset."""
    root = tmp_path_factory.mktemp("models")
    spec = pipeline(root)
    other = replace(spec, train=replace(spec.train, seed=1))
    one, two = (trained(each, root / "store") / "bundle" for each in (spec, other))
    return Predictor.read(one), Predictor.read(two)


def run(root: Path, predictor: Predictor, **options: Any) -> Predicted:
    """Look into `root/in`, and predict into `root/out`."""
    return predict_inbox(predictor, root / "in", root / "out", **{"settle_s": 0, **options})


def stored(root: Path) -> list[dict[str, Any]]:
    """All rows that a reader of Delta sees, by id."""
    return pl.read_delta(str(root / "out" / "predictions")).sort("id").to_dicts()


def plain(root: Path, predictor: Predictor) -> list[dict[str, Any]]:
    """What `predict` writes of the same folder, by id."""
    out = root / "plain.parquet"
    with disable_run_logger():
        predict_files.fn(str(predictor.folder), [str(root / "in")], out=str(out))
    return pq.read_table(out).sort_by("id").to_pylist()


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """The same rows; probabilities to 1e-6, as batches of other rows add in another order."""
    assert [row["id"] for row in found] == [row["id"] for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        for name in ("source", "prediction", "windows", "error"):
            assert one[name] == other[name], one["id"]
        assert one["probabilities"] == (
            None
            if other["probabilities"] is None
            else pytest.approx(other["probabilities"], abs=1e-6)
        )


def test_each_file_is_predicted_once_and_as_predict_does(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """A folder that is looked into twice would have other, or twice as many, answers."""
    write_files(tmp_path / "in", FILES)
    done = run(tmp_path, models[0])
    assert (done.files, done.rows, done.errors, done.version) == (3, 3, 0, 0)
    write_files(tmp_path / "in", {"e.txt": "later words"})
    assert run(tmp_path, models[0]).files == 1
    last = run(tmp_path, models[0])
    assert (last.files, last.known, last.version) == (0, {models[0].digest: 4}, 1)
    assert_same(stored(tmp_path), plain(tmp_path, models[0]))
    assert {row["bundle"] for row in stored(tmp_path)} == {models[0].digest}
    assert all(len(row["source_sha256"]) == 64 for row in stored(tmp_path))


def test_a_file_that_cannot_be_read_is_one_error_and_done(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """It would be tried every minute for ever, or hold up the others."""
    cut = gzip.compress(b"words " * 500, mtime=0)[:-9]
    write_files(tmp_path / "in", {"a.txt": "warm", "empty.txt": " "})
    (tmp_path / "in" / "cut.txt.gz").write_bytes(cut)
    done = run(tmp_path, models[0])
    assert (done.files, done.rows, done.errors) == (3, 3, 2)
    assert_same(stored(tmp_path), plain(tmp_path, models[0]))
    errors = {row["source"]: row["error"] for row in stored(tmp_path) if row["error"]}
    assert sorted(errors) == ["cut.txt.gz", "empty.txt"]
    assert run(tmp_path, models[0]).files == 0


def test_only_files_that_cannot_be_read_are_no_failure(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """One bad file alone in the folder would fail each look until somebody takes it away."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.txt.gz").write_bytes(b"\x1f\x8bno")
    done = run(tmp_path, models[0])
    assert (done.files, done.errors) == (1, 1) and run(tmp_path, models[0]).files == 0


def test_other_bytes_replace_the_rows_and_another_name_is_another_file(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """A corrected file would keep its wrong answer; a renamed one must be found by its new name."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path, models[0])
    write_files(tmp_path / "in", {"a.txt": "cold and corrected"})
    done = run(tmp_path, models[0])
    assert (done.files, done.replaced) == (1, 1)
    assert_same(stored(tmp_path), plain(tmp_path, models[0]))
    (tmp_path / "in" / "a.txt").rename(tmp_path / "in" / "z.txt")
    done = run(tmp_path, models[0])
    assert (done.files, done.replaced) == (1, 0)
    rows = {row["source"]: row for row in stored(tmp_path)}
    assert sorted(rows) == ["a.txt", "b/c.txt", "d.txt.gz", "z.txt"]
    assert rows["a.txt"]["source_sha256"] == rows["z.txt"]["source_sha256"]


def test_a_newer_model_leaves_old_files_unless_it_is_asked(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """Each new model would go over years of files, and change answers that were given."""
    old, new = models
    write_files(tmp_path / "in", FILES)
    run(tmp_path, old)
    write_files(tmp_path / "in", {"e.txt": "later words"})
    done = run(tmp_path, new)
    assert (done.files, done.known) == (1, {old.digest: 3})
    lines = told_of_new_files({**plain_of(done), "digest": new.digest})
    assert "  3 files done before, 3 of them by other models: --again predicts these anew" in lines
    page = new_files_page({**plain_of(done), "digest": new.digest, "dataset": "d", "bundle": "b"})
    assert "| files predicted | 1 |" in page and f"| {old.digest[:12]} | 3 |" in page
    done = run(tmp_path, new, again=True)
    assert (done.files, done.replaced, done.known) == (3, 3, {new.digest: 1})
    assert_same(stored(tmp_path), plain(tmp_path, new))
    assert run(tmp_path, new, again=True).files == 0


def plain_of(done: Predicted) -> dict[str, Any]:
    """As the flow returns it."""
    return {name: getattr(done, name) for name in Predicted.__slots__} | {
        "folder": "in",
        "out": "out",
    }


def on_files(act: Callable[[int], None]) -> Callable[[str, int, int], None]:
    """A progress that acts when so many files are handled, before the next is read."""
    return lambda what, done, total: act(done) if what == "files" else None


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_look(
    tmp_path: Path, models: tuple[Predictor, Predictor]
) -> None:
    """Its rows would be those of bytes that its SHA-256 does not name."""
    write_files(tmp_path / "in", FILES)

    def write(done: int) -> None:
        with (tmp_path / "in" / "a.txt").open("a") as file:
            file.write(" and more")
        (tmp_path / "in" / "d.txt.gz").unlink(missing_ok=True)

    done = run(tmp_path, models[0], progress=on_files(write))
    assert done.files == 1 and [row["source"] for row in stored(tmp_path)] == ["b/c.txt"]
    assert done.waiting == dict.fromkeys(["a.txt", "d.txt.gz"], "changed while it was read")
    assert run(tmp_path, models[0]).files == 1
    assert_same(stored(tmp_path), plain(tmp_path, models[0]))
    assert len(list((tmp_path / "out" / "predictions").glob("*.parquet"))) == 2  # none left over


def test_a_run_that_ends_in_between_keeps_the_groups_it_finished(
    tmp_path: Path, models: tuple[Predictor, Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week of files would be predicted from the start after every restart."""
    monkeypatch.setattr(source_chunks, "CHUNK_FILES", 2)
    write_files(tmp_path / "in", {f"{number}.txt": f"words {number}" for number in range(5)})

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, models[0], progress=on_files(stop))
    assert len(stored(tmp_path)) == 2
    done = run(tmp_path, models[0])
    assert (done.files, sum(done.known.values()), done.version) == (3, 2, 2)
    assert_same(stored(tmp_path), plain(tmp_path, models[0]))


def test_places_that_would_harm_something_are_refused(tmp_path: Path) -> None:
    """Predictions would be read as new files, or the upkeep of a dataset would delete them."""
    write_files(tmp_path, {"in/a.txt": "a", "file": "x"})
    (tmp_path / "data" / "sequences" / "_delta_log").mkdir(parents=True)
    with pytest.raises(SeqprepError, match="no such folder to look into"):
        check_inbox(tmp_path / "none", tmp_path / "out")
    for out in ("in", "in/out", "."):
        with pytest.raises(ConfigError, match="must not lie in each other"):
            check_inbox(tmp_path / "in", tmp_path / out)
    with pytest.raises(ConfigError, match="is a file"):
        check_inbox(tmp_path / "in", tmp_path / "file")
    with pytest.raises(ConfigError, match="is a dataset"):
        check_inbox(tmp_path / "in", tmp_path / "data")
    check_inbox(tmp_path / "in", tmp_path / "out")


def test_the_task_tells_what_it_did_and_verify_finds_an_altered_byte(
    tmp_path: Path, models: tuple[Predictor, Predictor], capsys: pytest.CaptureFixture[str]
) -> None:
    """A person would not know whether all is there, or that a disk has changed it."""
    write_files(tmp_path / "in", FILES)
    out = tmp_path / "out"
    with disable_run_logger():
        done = predict_new_files.fn(
            str(models[0].folder), str(tmp_path / "in"), out=str(out), settle_s=0
        )
    assert done["files"] == 3 and done["digest"] == models[0].digest
    assert f"3 files: 3 rows (0 errors) in {out}/predictions, version 0" in capsys.readouterr().err
    assert verify_path(out)["files"] > 2
    info = Predictions(out).table.info()
    assert info.counts == {
        "files": 3,
        "rows": 3,
        "errors": 0,
        "models": {models[0].digest: 3},
        "added": {"files": 3, "rows": 3, "errors": 0, "replaced": 0},
    }
    (path,) = (out / "predictions").glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=path.name):
        verify_path(out)
