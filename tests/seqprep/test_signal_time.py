"""Time columns of signal tables: found by their names, in seconds, and never a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.errors import InputError
from seqprep.ingestion.records import SourceFacts
from seqprep.new_files import read_records
from seqprep.source import Field, Source, Target
from tests.sources import Seen, read_source, write_files

RATE_HZ = 250


def source(path: Path, **keys: object) -> Source:
    given = {"label": Field(from_="none"), **keys}
    return Source(domain="eeg", path=str(path), **given)  # type: ignore[arg-type]


def table(first: str, *, per_second: int = 1, count: int = 60, rate_hz: int = RATE_HZ) -> str:
    """A channel `x` behind a column that counts up, in parts of a second."""
    rows = [f"{per_second * step / rate_hz:.9g},{step % 7}" for step in range(count)]
    return "\n".join([f"{first},x", *rows])


def read(tmp_path: Path, content: str, **keys: object) -> tuple[list[dict[str, Any]], Seen]:
    write_files(tmp_path, {"a.csv": content})
    return read_source(source(tmp_path, **keys))


NAMES = [
    ("time", 1),
    ("TIMESTAMPS", 1),
    ("Time Stamp", 1),
    ("Time [s]", 1),
    ("time (s)", 1),
    ("time_s", 1),
    ("Time (seconds)", 1),
    ("time in seconds", 1),
    ("t [sec]", 1),
    ("T (s)", 1),
    ("Seconds", 1),
    ("Time(ms)", 1_000),
    ("timestamp_ms", 1_000),
    ("Time [msec]", 1_000),
    ("milliseconds", 1_000),
    ("t_ms", 1_000),
    ("timestamp us", 1_000_000),
    ("Time (\u00b5s)", 1_000_000),
    ("Time (\u03bcs)", 1_000_000),
    ("time_ns", 1_000_000_000),
]


@pytest.mark.parametrize(("name", "per_second"), NAMES)
def test_a_column_named_as_time_is_no_channel_and_counts_in_its_unit(
    tmp_path: Path, name: str, per_second: int
) -> None:
    """Otherwise a model would learn from the time of day, or at a thousandth of the rate."""
    rows, seen = read(tmp_path, table(name, per_second=per_second))
    assert (seen.facts.channels, seen.rejections) == (("x",), [])
    assert seen.facts.rate_hz == pytest.approx(RATE_HZ)
    assert rows[0]["values"] == [step % 7 for step in range(60)]


@pytest.mark.parametrize(("name", "per_second"), NAMES)
def test_the_long_form_knows_the_same_names(tmp_path: Path, name: str, per_second: int) -> None:
    """Otherwise a recording would be read in one form and refused in the other."""
    lines = table(name, per_second=per_second).split("\n")[1:]
    rows = [f"{line.split(',')[0]},Fz,{line.split(',')[1]}" for line in lines]
    found, seen = read(tmp_path, "\n".join([f"{name},channel,value", *rows]), form="long")
    assert (seen.facts.channels, seen.facts.rate_hz) == (("Fz",), pytest.approx(RATE_HZ))
    assert found[0]["values"] == [step % 7 for step in range(60)]


@pytest.mark.parametrize("name", ["T", "T3", "T7", "t7", "Time (min)", "runtime", "ms", "T_x"])
def test_what_may_be_a_channel_stays_one(tmp_path: Path, name: str) -> None:
    """Otherwise a temporal electrode or a quantity would go without a word."""
    rows, seen = read(tmp_path, table(name))
    assert (seen.facts.channels, seen.facts.rate_hz) == ((name, "x"), None)
    assert rows[0]["length"] == 60


def test_a_small_t_that_stands_first_and_rises_evenly_is_time(tmp_path: Path) -> None:
    """Otherwise the commonest short name would be a channel that gives the file away."""
    _, seen = read(tmp_path, table("t"))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("x",), pytest.approx(RATE_HZ))
    lines = ["t;x", *(f"{step / RATE_HZ:.9g};1".replace(".", ",") for step in range(60))]
    _, seen = read(tmp_path, "\n".join(lines))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("x",), pytest.approx(RATE_HZ))


def test_a_bare_t_is_the_time_of_a_long_table_that_has_no_other(tmp_path: Path) -> None:
    """Otherwise the two forms would differ, or a column of numbered samples be passed over."""
    rows = [f"{step / 4},{step},Fz,{step % 3}" for step in range(8)]
    _, seen = read(tmp_path, "\n".join(["t,n2,channel,value", *rows]), form="long")
    assert seen.facts.rate_hz == pytest.approx(4)
    keys = {"form": "long", "rate_hz": 256.0}
    _, seen = read(tmp_path, "\n".join(["t,sample,channel,value", *rows]), **keys)
    assert (seen.facts.rate_hz, seen.rejections) == (256, [])


@pytest.mark.parametrize(
    "content",
    [
        "t,x\n20,1\n21,2\n21,3\n22,4\n",  # a temperature
        "t,x\n20,1\n19,2\n18,3\n",
        "t,x\n1,1\n2,2\n7,3\n8,4\n",
        "t,x\n1,1\n2,2\n",  # too short to tell
        "x,t\n1,1\n2,2\n7,3\n8,4\n",
        "t\n1\n2\n3\n4\n",
    ],
)
def test_another_t_is_a_channel(tmp_path: Path, content: str) -> None:
    """Otherwise a temperature, or a table's only column, would be lost."""
    _, seen = read(tmp_path, content)
    assert "t" in seen.facts.channels


def test_a_t_that_was_asked_for_is_a_channel(tmp_path: Path) -> None:
    """Otherwise what a person listed would be refused, or a target be taken for the time."""
    _, seen = read(tmp_path, table("t"), channels=("t", "x"))
    assert seen.facts.channels == ("t", "x")
    _, seen = read(tmp_path, table("t"), time_column="none")
    assert seen.facts.channels == ("t", "x")
    rows, seen = read(tmp_path, table("t"), task="regress_steps", target=Target(column="t"))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("x",), None)
    assert rows[0]["targets"][:2] == [0, np.float32(1 / RATE_HZ)]
    _, seen = read(tmp_path, table("time"), task="regress_steps", target=Target(column="time"))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("x",), None)
    with pytest.raises(InputError, match=r"'Time \[s\]' is also the time .*source\.time_column"):
        read(tmp_path, table("Time [s]"), channels=("Time [s]", "x"))


def test_a_gap_in_one_file_does_not_make_its_t_a_channel(tmp_path: Path) -> None:
    """Otherwise a recording with a gap near its head would be refused for its channels."""
    write_files(tmp_path, {"a.csv": table("t"), "b.csv": "t,x\n0,1\n0.004,2\n9,3\n9.004,4\n"})
    rows, seen = read_source(source(tmp_path))
    assert ([row["length"] for row in rows], seen.oddities) == ([60, 4], {"timestamp_gaps": 1})


@pytest.mark.parametrize("name", ["t", "Time [s]"])
def test_a_model_whose_channels_hold_the_name_still_reads_it(tmp_path: Path, name: str) -> None:
    """Otherwise predictions of models that were trained on such a channel would stop."""
    write_files(tmp_path, {"new.csv": table(name)})
    facts = SourceFacts(channels=(name, "x"))
    found = list(read_records(source(tmp_path), [tmp_path / "new.csv"], facts=facts))
    assert [table.num_rows for table, _ in found] == [1]
    assert len(found[0][0]["values"].to_pylist()[0]) == 120


@pytest.mark.parametrize("form", ["wide", "long"])
def test_the_unit_of_a_time_column_that_was_named_counts_too(tmp_path: Path, form: str) -> None:
    """Otherwise naming a column by hand would change the rate a thousandfold."""
    header = "Clock [ms],x" if form == "wide" else "Clock [ms],channel,value"
    middle = "" if form == "wide" else "Fz,"
    rows = [f"{4 * step},{middle}{step % 3}" for step in range(20)]
    content = "\n".join([header, *rows])
    _, seen = read(tmp_path, content, form=form, time_column="Clock [ms]")
    assert seen.facts.rate_hz == pytest.approx(250)
    _, seen = read(tmp_path, content, form=form, time_column=0)
    assert seen.facts.rate_hz == pytest.approx(250)


def test_recordings_in_other_units_are_brought_to_one_rate(tmp_path: Path) -> None:
    """Otherwise a recording in milliseconds would be resampled a thousandfold, or refused."""
    write_files(
        tmp_path,
        {
            "a.csv": table("Time [s]"),
            "b.csv": table("time_ms", per_second=1000),
            "c.csv": table("t (us)", per_second=10**6, rate_hz=2 * RATE_HZ),
        },
    )
    rows, seen = read_source(source(tmp_path, mixed_rates="resample"))
    assert seen.facts.rate_hz == pytest.approx(RATE_HZ)
    assert [row["length"] for row in rows] == [60, 60, 30]
    assert rows[0]["values"] == rows[1]["values"]
    assert seen.oddities == {"resampled": 1}


def test_files_vote_for_a_rate_in_one_unit(tmp_path: Path) -> None:
    """Otherwise files in milliseconds would not count, and the odd file would decide."""
    usual = {"b.csv": table("time", rate_hz=128)}
    usual["c.csv"] = table("time_ms", per_second=1000, rate_hz=128)
    write_files(tmp_path, {"a.csv": table("time"), **usual})
    _, seen = read_source(source(tmp_path))
    assert seen.facts.rate_hz == pytest.approx(128, rel=1e-3)
