"""A version appears through one commit, never changes, and any altered byte is found."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from seqprep.errors import CorruptError
from seqprep.preparation.spill import collect_spills
from seqprep.staging import StagedFile, StagedWriter, collect_stale
from seqprep.state import StateDir
from seqprep.table import CommitInfo, ConflictError, Table

SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("length", pa.int32())])


def stage(table: Table, name: str, ids: list[str]) -> StagedFile:
    with StagedWriter(table.path, name, SCHEMA, partition={"split": "train"}) as writer:
        writer.write(pa.table({"id": ids, "length": pa.array([3] * len(ids), pa.int32())}))
    return writer.staged


def commit(table: Table, files: list[StagedFile], *, base: int | None, remove="all", print_="a"):
    info = CommitInfo(kind="examples", fingerprint=print_)
    return table.commit(
        schema=SCHEMA, files=files, info=info, base=base, remove=remove, partition_by=["split"]
    )


def ids_of(table: Table, version: int | None = None) -> list[str]:
    return [
        value
        for file, group in table.row_groups(version)
        for value in table.read_group(file, group)["id"].to_pylist()
    ]


def test_staged_rows_are_invisible_before_the_commit(tmp_path: Path) -> None:
    """Would break if a reader could see half of a version."""
    table = Table(tmp_path / "t")
    stage(table, "0", ["a"])
    assert table.version() is None
    assert commit(table, [stage(table, "0", ["a"])], base=None) == 0
    assert ids_of(table) == ["a"]


def test_an_older_version_stays_readable_after_a_replacement(tmp_path: Path) -> None:
    """Would break if a commit changed published files."""
    table = Table(tmp_path / "t")
    commit(table, [stage(table, "0", ["a"]), stage(table, "1", ["b"])], base=None)
    commit(table, [stage(table, "0", ["c"])], base=0, print_="b")
    assert (ids_of(table, 0), ids_of(table)) == (["a", "b"], ["c"])
    assert [(number, info.fingerprint) for number, _, info in table.history()] == [
        (0, "a"),
        (1, "b"),
    ]


def test_files_shared_with_the_version_before_stay(tmp_path: Path) -> None:
    """Would break if a replacement removed and added the same path in one commit."""
    table = Table(tmp_path / "t")
    commit(table, [stage(table, "0", ["a"]), stage(table, "1", ["b"])], base=None)
    commit(table, [stage(table, "0", ["a"]), stage(table, "1", ["c"])], base=0, print_="b")
    assert ids_of(table) == ["a", "c"]
    assert sorted(DeltaTable(table.path).to_pyarrow_table()["id"].to_pylist()) == ["a", "c"]


def test_a_file_written_again_as_it_was_stays_for_every_reader(tmp_path: Path) -> None:
    """Would break if a file named as removed and written again was lost to readers of the log."""
    table = Table(tmp_path / "t")
    one, two = stage(table, "0", ["a"]), stage(table, "1", ["b"])
    commit(table, [one, two], base=None)
    commit(table, [stage(table, "0", ["a"])], base=0, remove=[one.path, two.path], print_="b")
    assert ids_of(table) == ["a"]
    assert DeltaTable(table.path).to_pyarrow_table()["id"].to_pylist() == ["a"]
    commit(table, [stage(table, "0", ["a"])], base=1, remove=[one.path], print_="c")
    assert DeltaTable(table.path).to_pyarrow_table()["id"].to_pylist() == ids_of(table) == ["a"]


def test_appending_keeps_what_was_there(tmp_path: Path) -> None:
    """Would break if new rows replaced old ones."""
    table = Table(tmp_path / "t")
    commit(table, [stage(table, "0", ["a"])], base=None)
    commit(table, [stage(table, "1", ["b"])], base=0, remove=(), print_="b")
    assert sorted(ids_of(table)) == ["a", "b"]


def test_a_stale_commit_fails_clearly(tmp_path: Path) -> None:
    """Would break if two runs that started from one version both landed."""
    table = Table(tmp_path / "t")
    commit(table, [stage(table, "0", ["a"])], base=None)
    commit(table, [stage(table, "1", ["b"])], base=0, remove=(), print_="b")
    with pytest.raises(ConflictError, match="another run committed version 1"):
        commit(table, [stage(table, "2", ["c"])], base=0, remove=(), print_="c")
    assert sorted(ids_of(table)) == ["a", "b"]


@pytest.mark.parametrize("base", [None, 0])
def test_the_same_work_committed_twice_joins(tmp_path: Path, base: int | None) -> None:
    """Would break if two runs of the same work doubled its rows."""
    table = Table(tmp_path / "t")
    if base == 0:
        commit(table, [stage(table, "0", ["a"])], base=None)
    first = commit(table, [stage(table, "1", ["b"])], base=base, remove=(), print_="b")
    again = commit(table, [stage(table, "1", ["b"])], base=base, remove=(), print_="b")
    assert first == again
    assert ids_of(table).count("b") == 1


def test_an_altered_byte_is_found_and_the_file_named(tmp_path: Path) -> None:
    """Would break if damage on disk went unnoticed."""
    table = Table(tmp_path / "t")
    file = stage(table, "0", ["a"])
    commit(table, [file], base=None)
    path = table.path / file.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="0-"):
        table.verify()


def test_altered_state_is_found(tmp_path: Path) -> None:
    """Would break if fitted state could be changed by hand."""
    state = StateDir(tmp_path)
    name = state.put(b"abc", "json")
    (tmp_path / name).write_bytes(b"abd")
    with pytest.raises(CorruptError, match=name):
        state.get(name)


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    """Would break if an error left a half-written file behind."""
    with pytest.raises(RuntimeError), StagedWriter(tmp_path, "0", SCHEMA) as writer:
        writer.write(pa.table({"id": ["a"], "length": pa.array([1], pa.int32())}))
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == []


def test_an_altered_file_is_found_before_its_first_row_is_given(tmp_path: Path) -> None:
    """Would break if another valid Parquet file in its place were read as the committed one."""
    table = Table(tmp_path / "t")
    file = stage(table, "0", ["a"])
    commit(table, [file], base=None)
    path = table.path / file.path
    pq.write_table(pa.table({"id": ["b"], "length": pa.array([3], pa.int32())}), path)
    with pytest.raises(CorruptError, match="not those that were committed"):
        ids_of(table)


def test_each_file_is_hashed_once(tmp_path: Path) -> None:
    """Would break if every chunk paid for hashing its whole file."""
    table = Table(tmp_path / "t")
    with StagedWriter(table.path, "0", SCHEMA, partition={"split": "train"}) as writer:
        for name in "abc":
            writer.write(pa.table({"id": [name], "length": pa.array([3], pa.int32())}))
    commit(table, [writer.staged], base=None)
    chunks = table.row_groups()
    first = next(chunks)
    path = table.path / first[0].path
    path.chmod(0o600)
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\0" + data[101:])
    assert [group for _, group in chunks] == [1, 2]


@pytest.mark.parametrize("harm", ["missing", "shorter", "state", "none"])
def test_a_version_that_lacks_a_file_is_not_whole(tmp_path: Path, harm: str) -> None:
    """Would break if a run reused a version that cannot be read."""
    table = Table(tmp_path / "t")
    file = stage(table, "0", ["a"])
    commit(table, [file], base=None)
    path = table.path / file.path
    if harm == "missing":
        path.unlink()
    elif harm == "shorter":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "state":
        state = table.state.path / table.info().state["manifest"]
        state.write_bytes(state.read_bytes().replace(b"a", b"b"))
    assert table.is_whole(0) == (harm == "none")


def test_a_file_that_vanishes_while_leftovers_are_sought_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two runs at once would fail because the other published its file in that moment."""
    gone = tmp_path / ".part.tmp"
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: iter([gone]))
    spills = {".spilling-*": [gone]}
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(spills.get(pattern, [])))
    assert collect_stale(tmp_path) == 0
    assert collect_spills(tmp_path) == 0


def test_state_files_are_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    """A run that fails would leave half a file under a name, or a temporary one for ever."""
    state = StateDir(tmp_path)
    with state.adding("json") as added:
        added.path.write_bytes(b"abc")
    assert state.get(added.name) == b"abc" and state.check(added.name).read_bytes() == b"abc"
    assert added.name == state.put(b"abc", "json")
    with pytest.raises(RuntimeError), state.adding("json") as added:
        added.path.write_bytes(b"half")
        raise RuntimeError
    assert len(list(tmp_path.iterdir())) == 1
    state.path.joinpath(state.put(b"abc", "json")).write_bytes(b"xyz")
    with pytest.raises(CorruptError):
        state.check(state.put(b"abc", "txt").replace("txt", "json"))
