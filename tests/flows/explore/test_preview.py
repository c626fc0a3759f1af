"""`seqprep preview` as a person meets it: before any ingest, and after one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.explore.preview import preview
from flows.explore.side_by_side import curves, shortened
from flows.references import resolve
from seqprep.batches import BatchSource
from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.plan import BatchSettings
from seqprep.snapshot import Snapshot
from seqprep.table import Table
from tests.flows.stages import ingest_and_prepare
from tests.sources import write_files

PIPELINE = """
dataset: d
source: {domain: text, path: in}
split: {train: 0.5, validation: 0.25, test: 0.25}
prepare:
  recipe: r
  steps: [{summarize: {drop_top: 1}}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Forty documents, the same word most frequent in all."""
    files: dict[str, bytes | str] = {
        f"in/{'ab'[n % 2]}/{n}.txt": f"the {'x' if n % 2 else 'y'} word{n} the" for n in range(40)
    }
    write_files(tmp_path, {**files, "p.yaml": PIPELINE})
    return tmp_path / "p.yaml"


def test_nothing_is_committed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look would change the store."""
    done = preview(str(file), store=str(tmp_path / "store"), settings=[], records=10, out=None)
    assert [path.name for path in (tmp_path / "store" / "d").iterdir()] == ["preview-r.png"]
    assert "40 records of 40 source files, nothing ingested" in done["read"]
    assert done["cuts"][0]["most"][0][0] == "the"
    assert done["steps"][0]["steps"] == [160, 80]
    assert len(done["side_by_side"]) == 10
    first = done["side_by_side"][0]
    assert (first["steps_before"], first["steps_after"]) == (4, 2)
    assert first["before"].startswith("the ") and not first["after"].startswith("the")
    shown = capsys.readouterr().out
    for part in ("summarize", "1 different token cut", "vocabulary", "plot"):
        assert part in shown


def test_stored_sequences_are_used_where_they_fit(file: Path, tmp_path: Path) -> None:
    """Gigabytes would be read again, or records of another source be previewed."""
    from flows.explore.frequencies import frequencies

    store = str(tmp_path / "store")
    frequencies(str(file), store=store, settings=[], out=None, top=3)
    options = {"store": store, "records": 1, "out": tmp_path / "plots"}
    done = preview(str(file), settings=[], **options)
    assert done["read"] == "sequences version 0, 40 records"
    assert (tmp_path / "plots" / "preview-r.png").is_file()
    other = preview(str(file), settings=["source.on_control_characters=drop"], **options)
    assert "not yet ingested so: source.on_control_characters was 'keep'" in other["read"]


def test_what_preparation_refuses_is_refused(file: Path, tmp_path: Path) -> None:
    """A recipe that cannot run would look fine."""
    settings = ["prepare.steps=[{idf: {reference: no.parquet, tau: 1}}]"]
    with pytest.raises(ConfigError, match=r"no\.parquet does not exist"):
        preview(str(file), store=str(tmp_path), settings=settings, records=1, out=None)


def test_windows_that_records_do_not_fill_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spectrum of mostly zeros would be trained on without a word."""
    rows = ["time,x", *(f"{step / 100},{step % 7}" for step in range(50))]
    files = {f"in/{'ab'[n % 2]}/{n}.csv": "\n".join([*rows, f"0.5,{n}"]) for n in range(40)}
    lines = PIPELINE.replace("text", "eeg").replace(
        "summarize: {drop_top: 1}", "spectrum: {window_s: 2, stride_s: 1}"
    )
    write_files(tmp_path, {**files, "p.yaml": lines})
    store = str(tmp_path / "store")
    done = preview(str(tmp_path / "p.yaml"), store=store, settings=[], records=1, out=None)
    assert done["steps"][0]["window"] == {"steps": 200, "short_rows": 40}
    shown = " ".join(capsys.readouterr().out.split())
    assert "spectrum: 40 of 40 rows are shorter than a window of 200 steps" in shown
    settings = ["prepare.steps=[{spectrum: {window_s: 0.5, stride_s: 0.5}}]"]
    preview(str(tmp_path / "p.yaml"), store=store, settings=settings, records=1, out=None)
    assert "shorter than a window" not in capsys.readouterr().out


def test_long_records_show_both_ends() -> None:
    """A record would fill the screen, or its end, which a tail keeps, be hidden."""
    text = "first " + "middle " * 500 + "last"
    told = shortened(text)
    assert told.startswith("first middle") and told.endswith("middle last")
    assert len(told) <= 190
    assert shortened("a\n b") == "a b"


def test_curves_follow_the_values() -> None:
    """A flat line, or a channel for another, would be shown."""
    rising = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
    first, second = curves(rising).split("\n")
    assert first.startswith("▁") and "█ 0 to 99" in first
    assert second == "▁" * 22 + " 0 to 0"
    assert curves(np.zeros((5, 5))).endswith("and 2 more channels")


@pytest.mark.parametrize("chosen", ["views: 2", "when: train"])
def test_training_records_are_shown_as_training_reads_them(
    file: Path, tmp_path: Path, chosen: str
) -> None:
    """Whole records would stand there, as if augmentation did nothing."""
    files = {n: [f"w{n}", *(f"{'xy'[n % 2]}{step}" for step in range(30))] for n in range(40)}
    write_files(tmp_path, {f"in/{'ab'[n % 2]}/{n}.txt": " ".join(files[n]) for n in files})
    settings = [
        f"prepare.steps=[{{subsequences: {{pieces: 1, piece: 3, {chosen}}}}}]",
        f"source.path={tmp_path / 'in'}",
    ]
    store = tmp_path / "store"
    found = preview(str(file), store=str(store), settings=settings, records=40, out=None)
    shown = {one["id"]: one for one in found["side_by_side"] if one["split"] == "train"}

    spec, _ = resolve(str(file), None, settings)
    done = ingest_and_prepare(spec, store)
    examples = Table(store / "d" / "examples-r")
    fitted = Fitted.from_bytes(examples.state.get(examples.info(done.version).state["fitted"]))
    source = BatchSource.of_snapshot(
        Snapshot.read(Path(done.snapshot)), "train", settings=BatchSettings(seed=spec.train.seed)
    )
    read: dict[str, list[str]] = {}
    for batch in source.batches(source.plan(0)):
        names = batch.held.take(pa.array(batch.places)).to_pylist()
        for name, row, ids, size in zip(
            names, batch.rows, batch.inputs, batch.lengths, strict=True
        ):
            if source.views[row] <= 1:
                words = [fitted.vocabulary[number - 2] for number in ids[:size].tolist()]
                read.setdefault(name, []).append(" ".join(words))
    assert len(shown) > 10
    for name, one in shown.items():
        assert one["steps_after"] == 3 and one["after"] in read[name]
        assert (one["view"], one["drawn"]) == ((1, False) if "views" in chosen else (0, True))
