"""Where a person wants something written."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqprep.errors import ConfigError, SeqprepError
from seqprep.ingestion.fields import read_tables
from seqprep.out_paths import check_file_path, check_folder_path
from seqprep.source import Field, Source


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table.txt", r"name a file that ends in \.parquet or \.csv"),
        ("folder.csv", r"folder\.csv: is a folder; name a file"),
        ("file/x.csv", r"--out: .*/file is a file, not a folder; name another place"),
        ("file/deep/x.csv", r"--out: .*/file is a file"),
    ],
)
def test_no_place_for_a_table_is_refused_at_once(tmp_path: Path, name: str, message: str) -> None:
    """Hours of work would end in an error of the operating system."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        check_file_path(tmp_path / name)


def test_folders_that_can_be_made_are_places(tmp_path: Path) -> None:
    """A person would have to make every folder first."""
    check_file_path(tmp_path / "new" / "deep" / "x.csv")
    check_file_path(tmp_path / "x.json", suffixes=(".json",))
    check_folder_path(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--plots: .*file is a file"):
        check_folder_path(tmp_path / "file", key="--plots")


def test_a_table_of_labels_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A person who names a Parquet table would read of a character map."""
    (tmp_path / "groups.parquet").write_bytes(b"PAR1\x15\x90\x81\x8d\x00")
    given = Field(from_="table", table="groups.parquet", key="id", column="group")
    source = Source(domain="text", path=str(tmp_path), group=given)
    with pytest.raises(SeqprepError, match=r"groups\.parquet: is no CSV or TSV in text"):
        read_tables(source, tmp_path)
