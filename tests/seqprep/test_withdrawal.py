"""A record that was withdrawn is gone, stays gone, and can be erased to the last byte."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import re
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqprep.errors import CorruptError, SeqprepError
from seqprep.ingest import ingest
from seqprep.ingestion import source_chunks
from seqprep.ingestion.withdrawn import STATE
from seqprep.recipe import Tokens
from seqprep.snapshot import Snapshot, read_shard
from seqprep.source import Source
from seqprep.table import Table
from seqprep.upkeep.gone import GoneError, gone_reason
from seqprep.upkeep.in_use import InUseError, using
from seqprep.upkeep.removal import remove
from tests.sources import stored_rows, write_files
from tests.stores import (
    RECIPE,
    SECRET,
    SECRET_ID,
    add_run,
    documents_of,
    ingested,
    prepared,
    source_of,
    stored_texts,
)

RECIPES = {
    "one": replace(RECIPE, recipe="one", tokens=Tokens(unit="character")),
    "two": replace(RECIPE, recipe="two", steps=({"truncate": {"length": 2, "keep": "head_tail"}},)),
}


def folder_of(root: Path) -> Path:
    return root / "store" / "d"


def ids(root: Path) -> set[str]:
    return {row["id"] for row in stored_rows(root / "store", "d")}


def holding(root: Path, text: str) -> list[str]:
    return [path.name for path, content in stored_texts(root / "store") if text in content]


def test_without_apply_nothing_changes_and_all_is_told(tmp_path: Path) -> None:
    """A slip would delete what cannot be brought back."""
    ingested(tmp_path, documents_of())
    done = prepared(tmp_path)
    add_run(tmp_path, done)
    before = {path: path.read_bytes() for path in folder_of(tmp_path).rglob("*") if path.is_file()}
    told = remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True)
    assert (told.applied, told.records, told.copies) == (False, 1, 0)
    assert told.examples_versions == {"default": (0,)}
    assert told.files > 0 and told.size_bytes > 0
    assert [(model.name, sum(model.records.values())) for model in told.models] == [("run", 1)]
    after = {path: path.read_bytes() for path in folder_of(tmp_path).rglob("*") if path.is_file()}
    assert after == before


def test_a_removed_record_leaves_the_rows_and_the_counts(tmp_path: Path) -> None:
    """A person who withdrew would still be trained on, or the numbers no longer add up."""
    ingested(tmp_path, documents_of())
    prepared(tmp_path)
    done = remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    assert (done.applied, done.version, done.records) == (True, 1, 1)
    assert SECRET_ID not in ids(tmp_path) and len(ids(tmp_path)) == 19
    counts = Table(folder_of(tmp_path) / "sequences").info().counts
    assert (counts["rows"], counts["rejected"]) == (19, 1)
    assert counts["rejections"] == {"withdrawn": 1}
    assert counts["labels"] == {"neg": 9, "pos": 10}
    # Older versions keep it, for the models that were trained on it.
    assert len(stored_rows(tmp_path / "store", "d", 0)) == 20
    fresh = prepared(tmp_path)
    snapshot = Snapshot.read(Path(fresh.snapshot))
    rows = [row for shard in snapshot.shards for row in read_shard(snapshot, shard).to_pylist()]
    assert SECRET_ID not in {row["id"] for row in rows} and len(rows) == 19


def test_later_ingests_obey_whatever_brings_the_record(tmp_path: Path) -> None:
    """The next run of the schedule would bring the record back."""
    files = documents_of()
    ingested(tmp_path, files)
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    assert ingested(tmp_path).reused
    # The same content under another name, and new content under the same id.
    done = ingested(tmp_path, {"pos/zed-0.txt": files["neg/ann-0.txt"], "neg/ann-0.txt": "new"})
    assert done.new_files == 2 and not {SECRET_ID, "pos/zed-0.txt#0"} & ids(tmp_path)
    assert done.rejections == {"withdrawn": 2}
    # Other options read everything anew.
    other = Source(domain="text", path=str(tmp_path / "in"), normalize="NFC")
    again = ingest(other, dataset="d", store=tmp_path / "store")
    assert again.rejections == {"withdrawn": 2} and again.rows == 19
    table = Table(folder_of(tmp_path) / "sequences")
    lines = table.state.get(table.info().state["rejections"]).splitlines()
    assert {json.loads(line)["detail"] for line in lines} == {
        "this id was withdrawn",
        "this content was withdrawn",
    }


def test_a_withdrawal_equals_a_folder_that_never_had_the_record(tmp_path: Path) -> None:
    """Rows would depend on when somebody withdrew."""
    files = documents_of()
    ingested(tmp_path, files)
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    del files["neg/ann-0.txt"]
    write_files(tmp_path / "without", files)
    source = Source(domain="text", path=str(tmp_path / "without"), group=source_of(tmp_path).group)
    ingest(source, dataset="d", store=tmp_path / "other")
    assert stored_rows(tmp_path / "store", "d") == stored_rows(tmp_path / "other", "d")


def test_a_group_goes_with_all_its_records_of_today_and_tomorrow(tmp_path: Path) -> None:
    """A person's later recordings would come in although the person withdrew."""
    ingested(tmp_path, documents_of())
    done = remove(folder_of(tmp_path), groups=["bob"], apply=True)
    assert done.records == 2
    assert not {name for name in ids(tmp_path) if "bob" in name}
    later = ingested(tmp_path, {"pos/bob-7.txt": "new words", "pos/bobby-1.txt": "other words"})
    assert later.rejections == {"withdrawn": 3}
    assert "pos/bobby-1.txt#0" in ids(tmp_path)


def test_copies_of_the_content_go_with_it(tmp_path: Path) -> None:
    """The content would stay under another name."""
    files = documents_of()
    ingested(tmp_path, {**files, "pos/kim-0.txt": files["neg/ann-0.txt"]})
    told = remove(folder_of(tmp_path), ids=[SECRET_ID])
    assert (told.records, told.copies) == (2, 1)
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    assert holding(tmp_path, SECRET) != []
    # The copy's name may hold other content one day; the named record's may not.
    later = ingested(tmp_path, {"pos/kim-0.txt": "words of kim", "neg/ann-0.txt": "words of ann"})
    assert later.rejections == {"withdrawn": 1} and "pos/kim-0.txt#0" in ids(tmp_path)


def test_a_name_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    """A misspelt id would look like a withdrawal that was done."""
    ingested(tmp_path, documents_of())
    with pytest.raises(SeqprepError, match=r"no version holds id 'neg/ann\.txt', group 'bobb'"):
        remove(folder_of(tmp_path), ids=["neg/ann.txt"], groups=["bobb"], apply=True)
    with pytest.raises(SeqprepError, match="name what to remove"):
        remove(folder_of(tmp_path), apply=True)
    with pytest.raises(SeqprepError, match="no dataset here"):
        remove(tmp_path / "store" / "other", ids=["a"])
    with pytest.raises(SeqprepError, match="needs --erase"):
        remove(folder_of(tmp_path), ids=[SECRET_ID], models=True)
    assert Table(folder_of(tmp_path) / "sequences").version() == 0


def test_removing_again_changes_nothing(tmp_path: Path) -> None:
    """A command that ran twice would make versions without end."""
    ingested(tmp_path, documents_of())
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    again = remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    assert (again.version, again.records) == (1, 0)


def test_all_records_can_be_withdrawn(tmp_path: Path) -> None:
    """The last person of a dataset could not withdraw."""
    ingested(tmp_path, documents_of("ann bob"))
    done = remove(folder_of(tmp_path), groups=["ann", "bob"], erase=True, apply=True)
    assert done.records == 4 and ids(tmp_path) == set()
    assert ingested(tmp_path).rows == 0
    assert ingested(tmp_path, documents_of("ann bob cyd")).rows == 2


def test_a_record_of_an_older_version_alone_can_be_withdrawn(tmp_path: Path) -> None:
    """What a changed file held before could neither be refused nor erased."""
    ingested(tmp_path, documents_of())
    ingested(tmp_path, {"neg/ann-0.txt": "another text"})
    done = remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    assert done.sequences_versions == (0, 1)
    assert holding(tmp_path, SECRET) == []
    again = ingested(tmp_path, {"pos/new-0.txt": f"common {SECRET} text"})
    assert again.rejections["withdrawn"] == 2


def test_erasing_leaves_no_byte_of_the_record(tmp_path: Path) -> None:
    """A withdrawn text would live on in an older version, a shard or a vocabulary."""
    ingested(tmp_path, documents_of("bob cyd dee eve fay gus hal ivy joe kim"))
    prepared(tmp_path)
    ingested(tmp_path, documents_of())
    for name in ("one", "two"):
        prepared(tmp_path, recipe=RECIPES[name])
    prepared(tmp_path, refit=True)
    ingested(tmp_path, {"pos/late-0.txt": "late"})
    prepared(tmp_path)
    assert len(holding(tmp_path, SECRET)) >= 4
    done = remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    assert holding(tmp_path, SECRET) == []
    # Shards hold tokens, so there the id tells.
    assert not [name for name in holding(tmp_path, SECRET_ID) if name.endswith(".parquet")]
    # Whatever has not seen it stays.
    assert done.sequences_versions == (0, 1, 2)
    tables = [Table(path.parent) for path in folder_of(tmp_path).glob("*/_delta_log")]
    for table in tables:
        for version, _, _ in table.history():
            if gone_reason(table.path, version) is None:
                table.verify(version)
            else:
                with pytest.raises(GoneError, match=r"was erased, because it held a record"):
                    table.files(version)
    assert ids(tmp_path) and SECRET_ID not in ids(tmp_path)
    fresh = prepared(tmp_path)
    assert not fresh.reused and fresh.frozen_from is None
    assert ingested(tmp_path).reused


def test_versions_that_never_saw_the_record_survive_its_erasure(tmp_path: Path) -> None:
    """Erasing one record would throw the work of a whole dataset away."""
    few = documents_of("bob cyd dee eve fay gus hal ivy joe")
    few.pop("neg/ann-0.txt", None)
    ingested(tmp_path, few)
    first = prepared(tmp_path)
    ingested(tmp_path, documents_of())
    remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    sequences = Table(folder_of(tmp_path) / "sequences")
    sequences.verify(0)
    assert [gone_reason(sequences.path, version) for version in range(3)] == [None, "erased", None]
    Snapshot.read(Path(first.snapshot)).verify()


def test_state_that_was_kept_from_a_version_with_the_record_goes_too(tmp_path: Path) -> None:
    """A vocabulary that learnt the record's words would be used for ever."""
    ingested(tmp_path, documents_of())
    prepared(tmp_path)
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    kept = prepared(tmp_path)
    assert kept.frozen_from == 0
    assert any(SECRET in content for _, content in stored_texts(folder_of(tmp_path) / "state"))
    done = remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    assert done.examples_versions == {"default": (0, 1)}
    assert holding(tmp_path, SECRET) == []
    assert prepared(tmp_path).frozen_from is None


def test_models_that_saw_the_record_are_named_before_and_after(tmp_path: Path) -> None:
    """Nobody would know which models to train again."""
    ingested(tmp_path, documents_of())
    seen = add_run(tmp_path, prepared(tmp_path), "seen")
    bob = remove(folder_of(tmp_path), groups=["bob"], apply=True)
    assert [model.name for model in bob.models] == ["seen"]
    add_run(tmp_path, prepared(tmp_path), "later")
    told = remove(folder_of(tmp_path), ids=[SECRET_ID])
    assert [model.name for model in told.models] == ["later", "seen"]
    remove(folder_of(tmp_path), groups=["bob"], erase=True, apply=True)
    again = remove(folder_of(tmp_path), groups=["bob"])
    assert [model.name for model in again.models] == ["seen"]
    assert sum(again.models[0].records.values()) == 2
    done = remove(folder_of(tmp_path), groups=["bob"], erase=True, models=True, apply=True)
    assert done.models_deleted == ("seen",) and not seen.exists()


def test_a_live_training_or_ingest_is_not_disturbed(tmp_path: Path) -> None:
    """A run would fail in the middle for lack of its files."""
    ingested(tmp_path, documents_of())
    run = add_run(tmp_path, prepared(tmp_path))
    handle = os.open(run / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(InUseError, match="a training runs on data that would be erased"):
        remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    assert Table(folder_of(tmp_path) / "sequences").version() == 0
    os.close(handle)
    with using(folder_of(tmp_path)), pytest.raises(InUseError, match="run again when it has ended"):
        remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    assert remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True).applied


def test_nothing_is_ingested_without_the_list(tmp_path: Path) -> None:
    """A lost file would bring every withdrawn record back."""
    ingested(tmp_path, documents_of())
    remove(folder_of(tmp_path), ids=[SECRET_ID], apply=True)
    table = Table(folder_of(tmp_path) / "sequences")
    (table.state.path / table.info().state[STATE]).unlink()
    with pytest.raises(CorruptError, match="list of withdrawn records is missing or altered"):
        ingested(tmp_path, {"pos/new-0.txt": "new"})


def test_rejections_do_not_quote_a_withdrawn_record(tmp_path: Path) -> None:
    """The reason why a record was refused today may quote what it held."""
    ingested(tmp_path, documents_of())
    table = Table(folder_of(tmp_path) / "sequences")
    info = table.info()
    line = {"detail": f"saw {SECRET}", "line": 1, "reason": "empty"}
    told = {**line, "source": "neg/ann-0.txt", "record": 0}
    other = {**line, "source": "neg/joe-1.txt", "record": None, "detail": "empty"}
    lines = "".join(json.dumps(one) + "\n" for one in (told, other)).encode()
    state = {**info.state, "rejections": table.state.put(lines, "jsonl")}
    table.commit(
        schema=table.read_group(table.files()[0], 0).schema,
        files=(),
        info=replace(info, state=state),
        base=0,
    )
    remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    kept = table.state.get(table.info().state["rejections"]).decode()
    assert SECRET not in kept and "neg/joe-1.txt" in kept


def test_tables_and_plots_that_commands_wrote_go_with_the_record(tmp_path: Path) -> None:
    """A table of words beside the dataset would still hold a name that no other record has."""
    ingested(tmp_path, documents_of())
    folder = folder_of(tmp_path)
    (folder / "plots").mkdir()
    codes = folder / "studies" / "codes" / "c" / "sequences"
    codes.mkdir(parents=True)
    written = [folder / "usefulness-r-masking.parquet", folder / "plots" / "drift-r-v1.png"]
    written.append(codes / "part-0.parquet")  # of a study: made of the record, too
    for path in written:
        path.write_bytes(b"table")
    plan = remove(folder, ids=[SECRET_ID], erase=True)
    assert all(path.exists() for path in written) and plan is not None
    remove(folder, ids=[SECRET_ID], erase=True, apply=True)
    assert not any(path.exists() for path in written)


def test_a_record_is_removed_beside_an_older_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Rows of files that can be read and of those that cannot would not fit together."""
    ingested(tmp_path, {**documents_of(), "neg/zoe-0.txt": "z"})
    (old,) = (folder_of(tmp_path) / "sequences").glob("*.parquet")
    ingested(tmp_path, {"neg/zoe-0.txt": "zz"})
    old.write_bytes(b"PAR1")
    done = remove(folder_of(tmp_path), ids=[SECRET_ID], erase=True, apply=True)
    assert done.applied and SECRET_ID not in ids(tmp_path) and not old.exists()
    assert not holding(tmp_path, SECRET)


@pytest.mark.parametrize("domain", [pytest.param("dna", marks=pytest.mark.slow), "text"])
def test_an_ingest_on_a_machine_of_many_cores_starts_eight_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domain: Any
) -> None:
    """Memory would grow with the machine: 64 processes that read FASTA take 17 GB."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(source_chunks, "PARALLEL_BYTES", 0)
    monkeypatch.setattr(source_chunks, "CHUNK_FILES", 1)
    ending, content = {"dna": ("fa", ">a\nACGT\n"), "text": ("txt", "words " * 2**18)}[domain]
    write_files(tmp_path / "in", {f"{number}.{ending}": content for number in range(12)})
    source = Source(domain=domain, path=str(tmp_path / "in"), task="reconstruct")
    started: set[str] = set()

    def look(what: str, done: int, total: int) -> None:
        started.update(child.name for child in multiprocessing.active_children())
        started.update(thread.name for thread in threading.enumerate())

    ingest(source, dataset="d", store=tmp_path / "store", progress=look)
    pools = Counter(re.split(r"[-_]\d+$", name)[0] for name in started)
    del pools["Thread"]
    assert max(pools.values()) == 8, started
