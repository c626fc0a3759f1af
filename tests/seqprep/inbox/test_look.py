"""A look into a folder: what can be read now, what is left for later, what must not be there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from seqprep.errors import ConfigError, InputError, SeqprepError
from seqprep.inbox.look import Look, look
from seqprep.ingestion.hashes import hash_or_tell, is_as_hashed
from seqprep.new_files import list_new
from seqprep.source import Source
from tests.sources import write_files

SOURCE = Source(domain="text", path="elsewhere")


def look_at(root: Path, *, settle_s: float = 5, later_s: float = 60) -> Look:
    """A look some seconds from now."""
    now_s = time.time() + later_s
    return look(SOURCE, root / "in", cache=root / ".hashes", settle_s=settle_s, now_s=now_s)


def test_files_are_those_of_the_reader_and_hashed(tmp_path: Path) -> None:
    """A look would take notes and hidden halves of uploads for documents."""
    names = {"b.txt": "b", "a/c.TXT.gz": "c", "README.txt": "r", ".b.txt.Xy1": "half", "d.pdf": "d"}
    write_files(tmp_path / "in", names)
    found = look_at(tmp_path)
    assert [file.path for file in found.files] == ["a/c.TXT.gz", "b.txt"]
    assert all(len(file.sha256) == 64 for file in found.files) and not found.waiting


def test_an_empty_folder_is_no_error_and_a_missing_one_is(tmp_path: Path) -> None:
    """A schedule would fail every night that nothing came."""
    with pytest.raises(SeqprepError, match="does not exist"):
        look_at(tmp_path)
    (tmp_path / "in").mkdir()
    assert look_at(tmp_path) == Look()
    write_files(tmp_path / "in", {"notes.pdf": "x"})
    assert look_at(tmp_path) == Look()


def test_a_file_that_was_touched_just_now_is_left_alone(tmp_path: Path) -> None:
    """The half of a file that is being copied would be predicted as a whole one."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    found = look_at(tmp_path, later_s=1)
    assert not found.files
    assert "read when it was left alone for 5 s" in found.waiting["a.txt"]
    assert len(look_at(tmp_path, later_s=1, settle_s=0).files) == 1


def test_the_time_that_a_copy_brings_along_does_not_count(tmp_path: Path) -> None:
    """`cp -p` and `rsync -t` would make a half copied file look a year old."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    os.utime(tmp_path / "in" / "a.txt", (0, 0))
    assert list(look_at(tmp_path, later_s=1).waiting) == ["a.txt"]


def test_a_file_that_cannot_be_hashed_keeps_no_other_from_it(tmp_path: Path) -> None:
    """One file that went away, or that nobody may read, would hold up all that came after it."""
    write_files(tmp_path / "in", {"a.txt": "a", "b.txt": "b", "c.txt": "c"})
    files = list_new(SOURCE, tmp_path / "in")
    (tmp_path / "in" / "b.txt").unlink()
    told = list(hash_or_tell(files))
    assert [file.path for file, _ in told] == ["b.txt"]
    assert [bool(file.sha256) for file in files] == [True, False, True]
    assert not is_as_hashed(files[1])


def test_hashes_are_remembered_and_bytes_that_changed_are_seen(tmp_path: Path) -> None:
    """Each look would read the whole folder again, or miss a file that was corrected."""
    write_files(tmp_path / "in", {"a.txt": "aaaa"})
    time.sleep(2.1)  # what changed within two seconds is hashed again: clocks of files tick
    first = look_at(tmp_path)
    assert (tmp_path / ".hashes").is_file() and look_at(tmp_path).files == first.files
    write_files(tmp_path / "in", {"a.txt": "bbbb"})
    assert look_at(tmp_path).files[0].sha256 != first.files[0].sha256
    assert not is_as_hashed(first.files[0])


def test_what_must_not_lie_there_is_named(tmp_path: Path) -> None:
    """Files outside the folder would be read, or a FIFO waited for."""
    write_files(tmp_path, {"in/a.txt": "a", "secret.txt": "s"})
    (tmp_path / "in" / "b.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match=r"b\.txt: is a symbolic link that leaves"):
        look_at(tmp_path)
    (tmp_path / "in" / "b.txt").unlink()
    os.mkfifo(tmp_path / "in" / "b.txt")
    with pytest.raises(InputError, match=r"b\.txt: is a FIFO"):
        look_at(tmp_path)


def test_a_negative_time_is_refused(tmp_path: Path) -> None:
    """It would mean that nothing is ever waited for."""
    with pytest.raises(ConfigError, match=r"settle_s \(--settle\) must be >= 0 seconds, got -1"):
        look_at(tmp_path, settle_s=-1)
