"""The long form of signal tables: the same recordings as in wide form, or a reason why not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.errors import ConfigError
from seqprep.ingest import ingest
from seqprep.new_files import read_records
from seqprep.source import Field, Source, Target
from tests.sources import Seen, read_source, stored_rows, write_files

NO_LABEL = Field(from_="none")
WIDE = "time,Fz,Cz,s\n0,1,-4,a\n0.5,2.5,5,b\n1.0,3,6e1,b\n1.5,2,0,a\n"
TIMES = ("0", "0.5", "1.0", "1.5")
CELLS = {"Fz": ("1", "2.5", "3", "2"), "Cz": ("-4", "5", "6e1", "0")}
LABELS = "abba"


def source(path: Path, **keys: object) -> Source:
    given = {"form": "long", "label": NO_LABEL, **keys}
    return Source(domain="eeg", path=str(path), **given)  # type: ignore[arg-type]


def read(tmp_path: Path, content: bytes | str, **keys: object) -> tuple[list[dict[str, Any]], Seen]:
    write_files(tmp_path, {"a.csv": content})
    return read_source(source(tmp_path, **keys))


def blocks() -> list[str]:
    """The rows of `WIDE`, one channel after the other."""
    return [
        f"{time},{name},{cell},{label}"
        for name, cells in CELLS.items()
        for time, cell, label in zip(TIMES, cells, LABELS, strict=True)
    ]


def in_turns() -> list[str]:
    rows = blocks()
    return [row for step in range(4) for row in (rows[step], rows[4 + step])]


def shuffled_channels() -> list[str]:
    """Channels mixed at random, each in order of its time; the first channel first."""
    rows = blocks()
    queues = [rows[:4], rows[4:]]
    rng = random.Random(3)
    mixed = [queues[0].pop(0)]
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    return mixed


HEADER = "time,channel,value,s\n"


def test_the_long_form_is_named_where_it_was_not_asked_for(tmp_path: Path) -> None:
    """A person would read that a name is no number, and not what to do."""
    _, seen = read(tmp_path, HEADER + "\n".join(blocks()), form="wide")
    (rejection,) = seen.rejections
    assert "'channel' holds 'Fz'; if a row is one sample" in str(rejection)
    assert "set source.form: long" in str(rejection)


@pytest.mark.parametrize("rows", [blocks(), in_turns(), shuffled_channels()])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_long_and_wide_form_give_the_same_rows(
    tmp_path: Path, rows: list[str], ending: str
) -> None:
    """Otherwise a dataset would depend on how a program laid out its table."""
    keys: dict[str, object] = {"task": "label_steps", "target": Target(column="s")}
    write_files(tmp_path / "wide", {"a.csv": WIDE})
    write_files(tmp_path / "long", {"a.csv": ending.join([HEADER[:-1], *rows])})
    stored = []
    for form in ("wide", "long"):
        given = source(tmp_path / form, form=form, **keys)
        done = ingest(given, dataset=form, store=tmp_path / "store")
        assert (done.rows, done.channels, done.rate_hz) == (1, ("Fz", "Cz"), 2.0)
        stored.append(stored_rows(tmp_path / "store", form))
    assert stored[0] == stored[1]
    assert stored[0][0]["values"] == [1, -4, 2.5, 5, 3, 60, 2, 0]
    assert stored[0][0]["targets"] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ("Timestamp,Electrode,Amplitude (uV)\n0,Fz,1\n0.5,Fz,2\n", {}),
        ("Sample Number;Sensor;Value\n0;Fz;1,0\n1;Fz;2,0\n", {}),
        ("value\ttime\tvariable\n1\t0\tFz\n2\t1\tFz\n", {}),
        (
            "0,Fz,1\n1,Fz,2\n",
            {"time_column": 0, "channel_column": 1, "value_column": 2, "header": "no"},
        ),
        ("t,c,v\n0,Fz,1\n1,Fz,2\n", {"sample_column": "t", "channel_column": 1, "value_column": 2}),
        ("time,sample,channel,value\n9,0,Fz,1\n9,1,Fz,2\n", {"time_column": "none"}),
        ("time,sample,channel,value\n9,0,Fz,1\n9,1,Fz,2\n", {"sample_column": "sample"}),
    ],
)
def test_columns_are_found_by_name_or_as_asked(
    tmp_path: Path, content: str, keys: dict[str, object]
) -> None:
    """Otherwise every export would have to be renamed before it can be read."""
    rows, seen = read(tmp_path, content, **keys)
    assert [row["values"] for row in rows] == [[1, 2]]
    assert seen.facts.channels == ("Fz",)


def test_channels_are_chosen_and_ordered(tmp_path: Path) -> None:
    """Otherwise a noise channel could not be left out, or would be taken for another."""
    content = HEADER + "\n".join(in_turns())
    rows, seen = read(tmp_path, content, channels=("Cz",))
    assert (rows[0]["values"], seen.facts.channels) == ([-4, 5, 60, 0], ("Cz",))
    rows, _ = read(tmp_path, content, channels=("Cz", "Fz"))
    assert rows[0]["values"][:2] == [-4, 1]
    _, seen = read(tmp_path, content, channels=("Cz", "Pz"))
    assert seen.reasons == [("a.csv", 1, "wrong_channels")]
    assert "has no channel 'Pz'; it has Fz, Cz" in seen.rejections[0].detail
    write_files(tmp_path, {"b.csv": HEADER + "\n".join(blocks()[4:] + blocks()[:4])})
    rows, seen = read_source(source(tmp_path))
    assert rows[0]["values"] == rows[1]["values"]
    write_files(tmp_path, {"b.csv": HEADER + "\n".join(blocks()[4:])})
    _, seen = read_source(source(tmp_path))
    assert seen.reasons == [("b.csv", 1, "wrong_channels")]


@pytest.mark.parametrize(
    ("row", "reason", "line"),
    [
        ("1.5,Cz,9,b", "duplicate_sample", 10),
        ("1.0,Fz,9,b", "duplicate_sample", 10),
        ("0.7,Fz,9,b", "timestamp_order", 10),
        ("9,,9,b", "wrong_channels", 10),
        (",Cz,9,b", "missing_values", 10),
        ("2,Cz,,b", "missing_values", 10),
        ("2,Cz,inf,b", "missing_values", 10),
        ("2,Cz,x,b", "bad_number", 10),
        ("2,Cz,1", "ragged_row", 10),
        ("2,Cz,1,b", "missing_values", 10),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, row: str, reason: str, line: int
) -> None:
    """Otherwise a sample would be lost, doubled or moved to another moment without a word."""
    content = HEADER + "\n".join([*blocks(), row])
    rows, seen = read(tmp_path, content)
    assert not rows
    assert seen.reasons == [("a.csv", line, reason)]


def test_a_channel_that_lacks_samples_is_interpolated_when_asked(tmp_path: Path) -> None:
    """Otherwise one lost packet would cost a recording, or shift a channel against the others."""
    content = HEADER + "\n".join(row for row in in_turns() if not row.startswith("0.5,Cz"))
    _, seen = read(tmp_path, content)
    assert seen.reasons == [("a.csv", 4, "missing_values")]
    assert "'Cz' lacks 1 of 4 samples" in seen.rejections[0].detail
    rows, seen = read(tmp_path, content, missing="interpolate")
    assert rows[0]["values"] == [1, -4, 2.5, 28, 3, 60, 2, 0]
    assert seen.oddities == {"interpolated_values": 1}
    _, seen = read(tmp_path, content + "\n,Cz,1,b", missing="interpolate")
    assert seen.reasons == [("a.csv", 9, "missing_values")]


def test_what_lacks_most_samples_is_not_made_up(tmp_path: Path) -> None:
    """Otherwise a recording would be invented, or a table of channels and moments fill memory."""
    rows = [f"{time},p{time // 2},1" for time in range(8)]
    _, seen = read(tmp_path, "time,channel,value\n" + "\n".join(rows), missing="interpolate")
    assert [one.reason for one in seen.rejections] == ["missing_values"]
    assert "over half of all samples are lacking" in seen.rejections[0].detail


def test_a_column_of_other_things_is_not_one_of_channels(tmp_path: Path) -> None:
    """Otherwise values taken for names would make as many channels as there are rows."""
    rows = [f"{step},Fz,{step}.5" for step in range(10_001)]
    content = "time,value,channel\n" + "\n".join(rows)
    _, seen = read(tmp_path, content, channel_column="channel", value_column="time", time_column=0)
    assert seen.reasons == [("a.csv", 1, "wrong_channels")]
    _, seen = read(tmp_path, content, channel_column="channel", sample_column=0, value_column=1)
    assert seen.reasons == [("a.csv", 2, "bad_number")]
    rows = [f"{step},{step},{step}.5" for step in range(10_001)]
    _, seen = read(tmp_path, "time,channel,value\n" + "\n".join(rows))
    assert seen.reasons == [("a.csv", 1, "wrong_channels")]
    assert "10001 names, over 10000" in seen.rejections[0].detail


def test_samples_between_each_other_are_not_missing_ones(tmp_path: Path) -> None:
    """Otherwise half of every channel would be made up."""
    rows = [f"{step / 2},{'pq'[step % 2]},{step}" for step in range(8)]
    _, seen = read(tmp_path, "time,channel,value\n" + "\n".join(rows), missing="interpolate")
    assert [one.reason for one in seen.rejections] == ["missing_values"]
    assert "times of their own" in seen.rejections[0].detail


def test_labels_must_agree_over_channels(tmp_path: Path) -> None:
    """Otherwise the channel that stands first would decide for the others."""
    rows = in_turns()
    rows[3] = rows[3][:-1] + "a"
    keys: dict[str, object] = {"task": "label_steps", "target": Target(column="s")}
    _, seen = read(tmp_path, HEADER + "\n".join(rows), **keys)
    assert seen.reasons == [("a.csv", 5, "bad_target")]
    rows, seen = read(tmp_path, HEADER + "\n".join(rows), channels=("Fz",), **keys)
    assert rows[0]["targets"] == [0, 1, 1, 0]


def test_numbers_as_targets_and_constant_cells_are_read(tmp_path: Path) -> None:
    """Otherwise regression, groups and kept columns would need the wide form."""
    rows = [f"{time},{name},{time},{time + 9},S1,k" for time in range(3) for name in "pq"]
    rows, _ = read(
        tmp_path,
        "time,channel,value,y,who,note\n" + "\n".join(rows),
        task="regress_steps",
        target=Target(column="y"),
        group=Field(from_="column", column="who"),
        keep=("note",),
    )
    assert (rows[0]["targets"], rows[0]["group"]) == ([9, 10, 11], "S1")
    assert rows[0]["attributes"] == '{"note": "k"}'


@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize(
    ("odd", "oddity"),
    [([7.0] * 60, "constant_channel"), ([9.0] * 8, "railed_values"), ([5e4], "extreme_values")],
)
def test_odd_channels_are_counted_in_both_forms(
    tmp_path: Path, form: str, odd: list[float], oddity: str
) -> None:
    """Otherwise a dead or loose electrode would go unseen in one of the forms."""
    wave = [round(float(np.sin(step / 3)), 4) for step in range(60)]
    channels = {"p": wave, "q": [*wave[: 60 - len(odd)], *odd]}
    rows = [
        "time,p,q",
        *(f"{k},{a},{b}" for k, (a, b) in enumerate(zip(*channels.values(), strict=True))),
    ]
    if form == "long":
        cells = [(k, name, v) for name, values in channels.items() for k, v in enumerate(values)]
        rows = ["time,channel,value", *(f"{k},{name},{v}" for k, name, v in cells)]
    write_files(tmp_path, {"a.TXT": "\r\n".join(rows)})
    found, seen = read_source(source(tmp_path, form=form))
    assert (len(found), seen.oddities) == (1, {oddity: 1})
    _, seen = read_source(source(tmp_path, form=form, **{f"on_{oddity}": "reject"}))
    assert [one.reason for one in seen.rejections] == [oddity]


@pytest.mark.parametrize(
    "content",
    [
        "time;channel;value\n0;Fz;1,5\n1;Fz;-3\n",
        "\ufefftime\tchannel\tvalue\r\n0\tFz\t1.5\r\n1\tFz\t-3\r\n",
        '"time","channel","value"\n"0","Fz","1.5"\n"1","Fz","-3"\n',
        "time, channel, value\n0, Fz, 1.5\n1, Fz, -3",
        "\n\ntime,channel,value\n0,Fz,1.5\n1,Fz,-3\n\n",
        "time,channel,value\n0,Fz,1.5\n1,Fz,-3\n".encode("utf-16"),
    ],
)
def test_every_layout_gives_the_same_samples(tmp_path: Path, content: str | bytes) -> None:
    """Otherwise a decimal comma, a byte-order mark or blanks would change a signal or its name."""
    rows, seen = read(tmp_path, content)
    assert (rows[0]["values"], seen.facts.channels) == ([1.5, -3], ("Fz",))


def test_gaps_in_time_are_counted_as_in_wide_form(tmp_path: Path) -> None:
    """Otherwise two recordings minutes apart would look like one."""
    times = [0, 1, 5, 6, 7, 20]
    rows = [f"{time},{name},{time}" for name in "pq" for time in times]
    found, seen = read(tmp_path, "time,channel,value\n" + "\n".join(rows))
    assert (found[0]["length"], seen.oddities) == (6, {"timestamp_gaps": 1})
    found, seen = read(tmp_path, "sample,channel,value\n" + "\n".join(rows))
    assert (seen.facts.rate_hz, seen.oddities) == (None, {"timestamp_gaps": 1})
    found, _ = read(
        tmp_path, "sample,channel,value\n" + "\n".join(rows), on_timestamp_gaps="drop", rate_hz=8.0
    )
    assert found[0]["values"] == [5, 5, 6, 6, 7, 7]


def test_most_files_say_which_channels_and_what_rate_there_are(tmp_path: Path) -> None:
    """Otherwise the one file that does not belong would decide for the others."""
    usual = HEADER + "\n".join(in_turns())
    odd = HEADER + "\n".join(blocks()[:4])
    write_files(tmp_path, {"a.csv": odd, "b.csv": usual, "c.csv": usual})
    rows, seen = read_source(source(tmp_path))
    assert (len(rows), seen.facts.channels) == (2, ("Fz", "Cz"))
    assert seen.reasons == [("a.csv", 1, "wrong_channels")]


def test_new_recordings_are_read_with_the_channels_of_the_training(tmp_path: Path) -> None:
    """Otherwise a channel more in a new file would stop a prediction."""
    _, seen = read(tmp_path, HEADER + "\n".join(blocks()[:4]))
    write_files(tmp_path, {"new.csv": HEADER + "\n".join(in_turns())})
    found = list(read_records(source(tmp_path), [tmp_path / "new.csv"], facts=seen.facts))
    assert [table["values"].to_pylist() for table, _ in found] == [[[1, 2.5, 3, 2]]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"form": "wide", "value_column": "v"}, "value_column has no meaning with form: wide"),
        ({"time_column": "t", "sample_column": "n"}, "not both"),
        ({"channel_column": "v", "value_column": "v"}, "'v' is listed twice"),
        ({"value_column": -1}, "positions count from 0, got -1"),
    ],
)
def test_keys_that_contradict_are_refused(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    """Otherwise a key that is ignored would look as if it were obeyed."""
    with pytest.raises(ConfigError, match=message):
        source(tmp_path, **keys)


def test_a_table_without_the_columns_names_the_key_to_set(tmp_path: Path) -> None:
    """Otherwise a wide table read as long would end in a riddle."""
    _, seen = read(tmp_path, "time,Fz,Cz\n0,1,2\n")
    assert seen.reasons == [("a.csv", 1, "wrong_channels")]
    assert "set source.channel_column" in seen.rejections[0].detail


def test_values_equal_the_wide_ones_whatever_the_order(tmp_path: Path) -> None:
    """Otherwise large tables would be put together in another way than small ones."""
    rng = np.random.default_rng(5)
    values = rng.integers(-999, 999, (500, 7)) / 10
    wide = ["time," + ",".join(f"c{place}" for place in range(7))]
    wide += [f"{step / 64}," + ",".join(map(str, row)) for step, row in enumerate(values.tolist())]
    cells = [
        (step, place, f"{step / 64},c{place},{value}")
        for step, row in enumerate(values.tolist())
        for place, value in enumerate(row)
    ]
    # Channels drift apart: each channel's samples stand in order, but far from the others'.
    cells.sort(key=lambda cell: (cell[0] // (10 + 5 * cell[1]), cell[1], cell[0]))
    long = ["time,channel,value", *(text for _, _, text in cells)]
    write_files(tmp_path / "long", {"a.csv": "\n".join(long)})
    write_files(tmp_path / "wide", {"a.csv": "\n".join(wide)})
    found, _ = read_source(source(tmp_path / "long"))
    expected, _ = read_source(source(tmp_path / "wide", form="wide"))
    assert found == expected
