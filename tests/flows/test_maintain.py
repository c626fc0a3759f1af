"""What `gc`, `remove` and `verify` say and do on a store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from flows.cli import app
from flows.maintain import collect_path, print_collected, verify_path
from flows.show import describe
from flows.show_print import print_description
from flows.training.run_files import check_run, seal_run
from seqprep.errors import CorruptError
from seqprep.upkeep.collect import collect
from tests.seqprep.test_collect import LATER_S, grow
from tests.seqprep.test_derived_withdrawal import coded, prepared_codes, trained_on
from tests.stores import SECRET_ID, add_run, documents_of, ingested, prepared


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A dataset that was ingested and prepared, with a training on it."""
    ingested(tmp_path, documents_of())
    add_run(tmp_path, prepared(tmp_path))
    return tmp_path / "store"


def test_remove_says_first_and_acts_when_told(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person would delete without having seen what goes, or not be told what to do next."""
    arguments = ["remove", str(store / "d"), "--id", SECRET_ID, "--group", "bob", "--erase"]
    app(arguments, exit_on_error=False, result_action="return_value")
    told = capsys.readouterr().out
    assert "would go    3 records" in told and "--apply does it and cannot be undone" in told
    assert "examples-default version 0: would be erased" in told
    assert "run, unfinished: 3 in train" in told
    app([*arguments, "--apply", "--json"], exit_on_error=False, result_action="return_value")
    done = capsys.readouterr().out
    assert "removed     3 records" in done and '"applied": true' in done
    assert "examples-default version 0: erased" in done
    print_description(describe(store))
    shown = capsys.readouterr().out
    assert "erased" in shown and "withdrawn   ids 3, groups 1" in shown
    assert "run was trained on withdrawn records: train 3" in shown
    assert verify_path(store)["files"] > 5


def test_remove_names_the_codes_of_the_record_first_and_acts_when_told(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Codes of a withdrawn record would go, or stay, without anybody being told."""
    coded(store.parent)
    trained_on(store.parent, prepared_codes(store.parent), "codes")
    arguments = ["remove", str(store / "d"), "--id", SECRET_ID, "--erase"]
    app(arguments, exit_on_error=False, result_action="return_value")
    told = capsys.readouterr().out.partition("codes ─")[2]
    assert "made from   records of d\n  would go    1 record\n" in told
    assert "sequences version 0: would be erased" in told and "run, unfinished: 1 in" in told
    assert told.count("nothing was changed; --apply does it and cannot be undone") == 1
    app([*arguments, "--apply", "--json"], exit_on_error=False, result_action="return_value")
    done = capsys.readouterr().out
    assert "made from   records of d\n  removed     1 record\n" in done
    body = json.loads(done[done.index("\n{") :])
    assert [(one["dataset"], one["applied"]) for one in body["derived"]] == [("codes", True)]
    assert verify_path(store)["files"] > 5


def test_gc_says_what_stays_and_what_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person could not tell which versions are left."""
    grow(tmp_path, 3)
    print_collected(collect_path(tmp_path / "store", keep=1, apply=False))
    told = capsys.readouterr().out
    assert "versions 0, 1, 2 (versions 0, 1 only since less than a day old)" in told
    assert "nothing was changed; --apply does it" in told
    done = collect(tmp_path / "store" / "d", keep=1, now_s=LATER_S, apply=True)
    print_collected([asdict(done)])
    told = capsys.readouterr().out
    assert (
        "given up    sequences versions 0, 1" in told and "stays       sequences version 2" in told
    )
    print_description(describe(tmp_path / "store"))
    assert "collected" in capsys.readouterr().out


def test_any_altered_file_of_a_training_is_named(store: Path) -> None:
    """The report, the predictions or the job of a model could be changed unseen."""
    run = store / "d" / "models" / "run"
    (run / "report").mkdir()
    for name in ("report/report.md", "metrics.jsonl", "train.log"):
        (run / name).write_text(name)
    seal_run(run)
    assert list(check_run(run)) == [None] * 4
    for name in ("report/report.md", "metrics.jsonl", "job.json", "files.json"):
        data = (run / name).read_bytes()
        for place in range(0, len(data), 9):
            (run / name).write_bytes(data[:place] + bytes([data[place] ^ 2]) + data[place + 1 :])
            with pytest.raises(CorruptError, match=f"run/{name}: "):
                verify_path(store)
        (run / name).unlink()
        if name != "files.json":
            with pytest.raises(CorruptError, match=f"run/{name}: the file is missing"):
                verify_path(store)
        (run / name).write_bytes(data)
    assert verify_path(store)["files"] > 5
