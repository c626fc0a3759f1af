"""Signal tables: every layout gives the same numbers, and what is odd is found."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.domains import signal_checks as checks
from seqprep.domains.signal_layout import SignalError, find_layout
from seqprep.domains.signal_tables import read_columns
from seqprep.errors import ConfigError, SeqprepError
from seqprep.ingest import ingest
from seqprep.source import Field, Source, Target
from seqprep.table import Table
from tests.sources import Seen, read_source, write_files

NO_LABEL = Field(from_="none")


def eeg(path: Path, **keys: object) -> Source:
    return Source(domain="eeg", path=str(path), **{"label": NO_LABEL, **keys})  # type: ignore[arg-type]


def steps(tmp_path: Path, content: bytes | str, **keys: object) -> list[list[float]]:
    """The values `(T, C)` of one file."""
    write_files(tmp_path, {"a.csv": content})
    rows, seen = read_source(eeg(tmp_path, **keys))
    assert not seen.rejections, seen.rejections
    return np.reshape(rows[0]["values"], (rows[0]["length"], -1)).tolist()


@pytest.mark.parametrize(
    "content",
    [
        "Fz,Cz\n1.5,2\n-3,4e1\n",
        "Fz,Cz\r\n1.5,2\r\n-3,4e1",
        "Fz,Cz\r1.5,2\r-3,4e1\r",
        "Fz\tCz\n1.5\t2\n-3\t4e1\n",
        "Fz;Cz\n1,5;2\n-3;4e1\n",
        "Fz;Cz\n1.5;2\n-3;4e1\n",
        "1.5 2\n-3  4e1\n",
        "  1.5\t 2 \n -3 4e1\n\n\n",
        "1,5 2,0\n-3,0 4e1\n",
        "1.5, 2\n-3, 4e1\n",
        '"Fz","Cz"\n"1.5","2"\n"-3","4e1"\n',
        "\ufeffFz,Cz\n1.5,2\n-3,4e1\n",
        "\n\nFz,Cz\n1.5,2\n-3,4e1\n",
        "@RELATION x\n\n@ATTRIBUTE Fz NUMERIC\n@attribute 'Cz' real\n\n@DATA\n1.5,2\n-3,4e1",
        "% n\n@relation x\n@attribute Fz real\n@attribute Cz real\n@data\n% c\n1.5,2\n%d\n-3,4e1",
    ],
)
def test_every_layout_gives_the_same_numbers(tmp_path: Path, content: str) -> None:
    """Otherwise a decimal comma, a CRLF or a missing last line end would change the signal."""
    assert steps(tmp_path, content) == [[1.5, 2.0], [-3.0, 40.0]]


def test_a_quote_that_none_closes_is_a_rejection(tmp_path: Path) -> None:
    """The table's reader would panic, and the person see its stack."""
    write_files(tmp_path, {"a.csv": 'a,b\n1,2\n3,4\n5,6\n"'})
    rows, seen = read_source(eeg(tmp_path))
    assert not rows and [one.line for one in seen.rejections] == [5]


def test_utf16_tables_are_read(tmp_path: Path) -> None:
    """Otherwise tables that Windows programs export would be noise."""
    assert steps(tmp_path, "Fz,Cz\n1,2\n".encode("utf-16")) == [[1.0, 2.0]]


def test_a_plain_column_has_no_header(tmp_path: Path) -> None:
    """Otherwise the first sample would be lost and the channel be called 12."""
    write_files(tmp_path, {"A/x.txt": "12\r\n-7\r\n", "C/y.TXT": "1\r\n2\r\n"})
    rows, seen = read_source(Source(domain="eeg", path=str(tmp_path)))
    assert [(row["label"], row["values"]) for row in rows] == [("A", [12.0, -7.0]), ("C", [1, 2])]
    assert seen.facts.channels == ("0",)


@pytest.mark.parametrize("comma", ["1,5;2,25\n3;4\n", "3;4\n1,5;2,25\n" * 60])
def test_a_decimal_comma_is_never_left_out(tmp_path: Path, comma: str) -> None:
    """Otherwise 1,5 would be read as 15."""
    found = steps(tmp_path, comma)
    assert [1.5, 2.25] in found
    assert {value for row in found for value in row} == {1.5, 2.25, 3.0, 4.0}


NUMBER = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: float(np.float32(value)))


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(NUMBER, min_size=width, max_size=width), min_size=1, max_size=8
        )
    ),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
)
def test_numbers_are_those_of_pandas(rows: list[list[float]], separator: str, header: bool) -> None:
    """Otherwise values would differ from what every other tool reads."""
    names = [f"ch{place}" for place in range(len(rows[0]))]
    text = pd.DataFrame(rows, columns=names).to_csv(sep=separator, index=False, header=header)
    expected = pd.read_csv(io.StringIO(text), sep=separator, header=0 if header else None)
    with tempfile.TemporaryDirectory() as folder:
        found = steps(Path(folder), text)
    np.testing.assert_array_equal(np.array(found), expected.to_numpy(np.float32))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=12))
def test_ragged_rows_name_the_first_one(widths: list[int]) -> None:
    """Otherwise a cut line would shift or fill the channels without a word."""
    text = "\n".join(",".join("7" for _ in range(width)) for width in widths)
    bad = next((line for line, width in enumerate(widths, 1) if width != widths[0]), None)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {"a.csv": text})
        rows, seen = read_source(eeg(Path(folder)))
    if bad is None:
        assert rows[0]["length"] == len(widths)
    else:
        assert seen.reasons == [("a.csv", bad, "ragged_row")]


def test_channels_are_chosen_by_name_or_position(tmp_path: Path) -> None:
    """Otherwise a noise channel could not be left out."""
    text = "timestamps,TP9,AF7,Right AUX\n0,1,2,3\n0.5,4,5,6\n"
    assert steps(tmp_path, text, channels=("AF7", "TP9")) == [[2, 1], [5, 4]]
    assert steps(tmp_path, text, channels=(3,)) == [[3], [6]]
    assert steps(tmp_path, text) == [[1, 2, 3], [4, 5, 6]]


def test_channels_in_another_order_are_put_in_the_first_files(tmp_path: Path) -> None:
    """Otherwise one file's left electrode would be another's right one."""
    write_files(tmp_path, {"a.csv": "L,R\n1,2\n", "b.csv": "R,L\n2,1\n"})
    rows, _ = read_source(eeg(tmp_path))
    assert [row["values"] for row in rows] == [[1.0, 2.0], [1.0, 2.0]]


def test_time_is_no_channel_and_gives_the_rate(tmp_path: Path) -> None:
    """Otherwise the time of day would tell a model which file it sees."""
    write_files(tmp_path, {"a.csv": "Time,x\n0,1\n0.004,2\n0.008,3\n0.012,4\n"})
    rows, seen = read_source(eeg(tmp_path))
    assert rows[0]["values"] == [1.0, 2.0, 3.0, 4.0]
    assert seen.facts.rate_hz == pytest.approx(250)
    _, seen = read_source(eeg(tmp_path, rate_hz=256.0))
    assert seen.facts.rate_hz == 256
    rows, seen = read_source(eeg(tmp_path, time_column="none"))
    assert rows[0]["values"][:2] == [0.0, 1.0]


def test_labels_of_steps_are_codes_of_sorted_names(tmp_path: Path) -> None:
    """Otherwise a code would mean one class in one file and another in the next."""
    write_files(tmp_path, {"a.csv": "x,s\n1,open\n2,\n3,shut\n", "b.csv": "x,s\n1,blink\n2,open\n"})
    source = eeg(tmp_path, task="label_steps", target=Target(column="s"))
    rows, seen = read_source(source)
    assert seen.facts.target_classes == ("blink", "open", "shut")
    assert [row["targets"] for row in rows] == [[1, -1, 2], [0, 1]]
    assert seen.facts.channels == ("x",)


def test_targets_of_steps_are_row_major_numbers(tmp_path: Path) -> None:
    """Otherwise the second target would be learnt as the first's next step."""
    write_files(tmp_path, {"a.csv": "x,p,q\n1,10,20\n2,11,21\n"})
    target = Target(columns=("p", "q"))
    rows, seen = read_source(eeg(tmp_path, task="regress_steps", target=target))
    assert rows[0]["targets"] == [10.0, 20.0, 11.0, 21.0]
    assert seen.facts.target_names == ("p", "q")


def test_a_label_column_must_not_change_within_a_recording(tmp_path: Path) -> None:
    """Otherwise the first row would decide for the whole recording."""
    write_files(tmp_path, {"a.csv": "x,y\n1,p\n2,p\n", "b.csv": "x,y\n1,p\n2,q\n"})
    rows, seen = read_source(eeg(tmp_path, label=Field(from_="column", column="y")))
    assert [row["label"] for row in rows] == ["p"]
    assert [one.reason for one in seen.rejections] == ["no_label"]


@pytest.mark.parametrize("hole", ["", "NaN", "NA", "inf", "-Infinity", "?"])
def test_missing_values_are_rejected_or_interpolated(tmp_path: Path, hole: str) -> None:
    """Otherwise a NaN would poison every weight of a model."""
    write_files(tmp_path, {"a.csv": f"x,y\n1,5\n{hole},6\n4,7\n{hole},8\n"})
    rows, seen = read_source(eeg(tmp_path))
    assert seen.reasons == [("a.csv", 3, "missing_values")]
    rows, seen = read_source(eeg(tmp_path, missing="interpolate"))
    assert rows[0]["values"] == [1.0, 5.0, 2.5, 6.0, 4.0, 7.0, 4.0, 8.0]
    assert seen.oddities == {"interpolated_values": 1}


def test_interpolation_does_not_hide_words(tmp_path: Path) -> None:
    """Otherwise a label column taken for a channel would be filled with made-up numbers."""
    write_files(tmp_path, {"a.csv": "x,y\n1,5\nabc,6\n4,7\n"})
    _, seen = read_source(eeg(tmp_path, missing="interpolate"))
    assert seen.reasons == [("a.csv", 3, "bad_number")]


def odd(tmp_path: Path, values: list[float], **keys: object) -> tuple[list[float], Seen]:
    write_files(tmp_path, {"a.csv": "x\n" + "\n".join(str(value) for value in values)})
    rows, seen = read_source(eeg(tmp_path, **keys))
    return (rows[0]["values"] if rows else []), seen


WAVE = [float(np.float32(np.sin(step / 3))) for step in range(60)]


@pytest.mark.parametrize(
    ("values", "oddity", "kept"),
    [
        ([*WAVE, *[9.0] * 6], "railed_values", WAVE),
        ([*WAVE[:30], 5000.0, *WAVE[30:]], "extreme_values", WAVE),
    ],
)
def test_odd_values_are_kept_dropped_or_rejected(
    tmp_path: Path, values: list[float], oddity: str, kept: list[float]
) -> None:
    """Otherwise an electrode that fell off would be a seizure."""
    found, seen = odd(tmp_path, values)
    assert found == pytest.approx(values)
    assert seen.oddities == {oddity: 1}
    found, _ = odd(tmp_path, values, **{f"on_{oddity}": "drop"})
    assert found == pytest.approx(kept)
    found, seen = odd(tmp_path, values, **{f"on_{oddity}": "reject"})
    assert not found
    assert [one.reason for one in seen.rejections] == [oddity]


def test_a_constant_channel_is_counted_or_rejected(tmp_path: Path) -> None:
    """Otherwise a dead electrode would go unseen."""
    _, seen = odd(tmp_path, [3.0] * 9)
    assert seen.oddities == {"constant_channel": 1}
    _, seen = odd(tmp_path, [3.0] * 9, on_constant_channel="reject")
    assert [one.reason for one in seen.rejections] == ["constant_channel"]
    with pytest.raises(ConfigError, match="cannot be dropped from some records"):
        odd(tmp_path, [3.0] * 9, on_constant_channel="drop")


def test_gaps_are_counted_or_the_longest_stretch_kept(tmp_path: Path) -> None:
    """Otherwise two recordings minutes apart would look like one."""
    write_files(tmp_path, {"a.csv": "time,x\n0,1\n1,2\n5,3\n6,4\n7,5\n20,6\n"})
    rows, seen = read_source(eeg(tmp_path))
    assert (rows[0]["length"], seen.oddities) == (6, {"timestamp_gaps": 1})
    rows, _ = read_source(eeg(tmp_path, on_timestamp_gaps="drop"))
    assert rows[0]["values"] == [3.0, 4.0, 5.0]


def test_dropped_steps_drop_their_targets(tmp_path: Path) -> None:
    """Otherwise all labels after a dropped step would be one step late."""
    lines = [f"{value},{'ab'[step % 2]}" for step, value in enumerate(WAVE)]
    lines.insert(3, "5000,z")
    write_files(tmp_path, {"a.csv": "x,s\n" + "\n".join(lines)})
    source = eeg(tmp_path, task="label_steps", target=Target(column="s"), on_extreme_values="drop")
    rows, _ = read_source(source)
    assert rows[0]["targets"] == [0, 1] * 30


def test_railed_means_several_steps_at_the_limit() -> None:
    """Otherwise the peak of every wave would count as an electrode that is off."""
    wave = np.array([[0.0], [1.0], [0.0], [1.0], [1.0], [-1.0]])
    assert not checks.railed(wave, checks.Limits.of(wave)).any()
    flat = np.concatenate([wave, np.full((5, 1), 1.0)])
    limits = checks.Limits.of(flat)
    assert checks.railed(flat, limits).ravel().tolist() == [False] * 6 + [True] * 5


SPREAD = st.sampled_from([0.0, 1e-9, 0.1, 1.0, 20.0, 44.0, 45.0, 1e6])


@given(
    st.lists(st.tuples(st.integers(-3, 3), SPREAD), min_size=1, max_size=80),
    st.sampled_from([0.0, 4000.0, 1e9, -1e16]),
)
def test_extreme_values_are_those_of_the_definition(
    cells: list[tuple[int, float]], offset: float
) -> None:
    """Otherwise the short way past the medians would hide broken samples."""
    column = np.array([[offset + number * spread] for number, spread in cells])
    distance = np.abs(column - np.median(column))
    deviation = 1.4826 * np.median(distance)
    expected = (distance > 30 * deviation) & (deviation > 0)
    np.testing.assert_array_equal(checks.extreme(column, checks.Limits.of(column)), expected)


def test_medians_are_left_out_where_counting_shows_enough() -> None:
    """Otherwise every channel would be sorted twice, which takes longer than all other checks."""
    waves = np.sin(np.arange(5000) / 7)
    assert checks.none_extreme(waves, -1.0, 1.0)
    waves[9] = 400.0
    assert not checks.none_extreme(waves, -1.0, 400.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_centre_that_is_no_median_shows_nothing(side: float) -> None:
    """Otherwise samples that repeat with the stride of the look would hide extreme values."""
    column = side * (100 + np.sin(np.arange(4000)) / 10)
    column[:: 4000 // 1024 + 1] = 0.0
    column[1] = side * 130
    limits = checks.Limits.of(column[:, None])
    assert not checks.none_extreme(column, float(limits.low[0]), float(limits.high[0]))
    assert checks.extreme(column[:, None], limits).sum() == 1001


def test_numbers_beyond_32_bits_are_refused() -> None:
    """Otherwise they would become infinite when stored."""
    layout = find_layout(b"x\n1\n1e300\n", header="auto")
    with pytest.raises(SignalError) as caught:
        read_columns(layout, numbers=[0], texts=[], allow_missing=True)
    assert (caught.value.reason, caught.value.line) == ("bad_number", 3)


@pytest.mark.parametrize("missing", ["reject", "interpolate"])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('a,b\n1,2\n"3,7",4\n5,6\n', 3),
        ("a,b\n1,2\n\u0663,4\n5,6\n", 3),
        ("a,b\n1,2\ninformation,4\n5,6\n", 3),
        ("a;b\n1.234,5;2\n3;4\n", 2),
    ],
)
def test_a_cell_that_gives_no_number_is_never_interpolated(
    tmp_path: Path, content: str, line: int, missing: str
) -> None:
    """Otherwise a number written in another way would silently become its neighbours' mean."""
    write_files(tmp_path, {"a.csv": content})
    rows, seen = read_source(eeg(tmp_path, missing=missing))
    assert not rows
    assert [(one.reason, one.line) for one in seen.rejections] == [("bad_number", line)]


def test_point_and_comma_mixed_in_a_file_without_thousands_are_both_decimal(tmp_path: Path) -> None:
    """Otherwise rows exported under another locale would be lost or scaled by ten."""
    assert steps(tmp_path, "a;b\n1,5;2\n2.5;3\n") == [[1.5, 2.0], [2.5, 3.0]]


def recording(rate_hz: float, names: str = "L,R", count: int = 20) -> str:
    """A table with a time column and the channels `names`."""
    cells = ",".join(str(place) for place, _ in enumerate(names.split(",")))
    rows = [f"{step / rate_hz:.6f},{cells}" for step in range(count)]
    return "\n".join([f"time,{names}", *rows]) + "\n"


@pytest.mark.parametrize(
    ("odd_one", "reason"), [(recording(128), "wrong_rate"), (recording(100, "L"), "wrong_channels")]
)
@pytest.mark.parametrize("others", [2, 73])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_one_odd_file_that_sorts_first_does_not_decide(
    tmp_path: Path, odd_one: str, reason: str, others: int, suffix: str
) -> None:
    """Otherwise a dataset of one row would be made of the one file that does not belong."""
    usual = {f"b{number:02}.csv{suffix}": recording(100) for number in range(others)}
    write_files(tmp_path, {f"a.csv{suffix}": odd_one, **usual})
    rows, seen = read_source(eeg(tmp_path))
    assert len(rows) == others
    assert [(one.source, one.reason) for one in seen.rejections] == [(f"a.csv{suffix}", reason)]
    assert seen.facts.channels == ("L", "R")
    assert seen.facts.rate_hz == pytest.approx(100)


def test_files_that_agree_get_the_facts_of_the_first_readable_one(tmp_path: Path) -> None:
    """Otherwise datasets that exist would change with the way the facts are found."""
    # Longer than what is looked at, and faster at its end: the rate is that of the whole file.
    starts = [f"{step / 100:.6f},1,2" for step in range(6000)]
    ends = [f"{60 + step / 102:.6f},1,2" for step in range(9000)]
    long = "\n".join(["time,R,L", *starts, *ends])
    write_files(
        tmp_path,
        {
            "a.csv": "time,L,R\n0,1,2\n0.01,3\n",
            "b.csv": "time,L,R\n"
            + "\n".join(f"{step / 100},1,2" for step in range(20000))
            + "\n0,",
            "c.csv": long,
            **{f"d{number}.csv": recording(101) for number in range(40)},
        },
    )
    _, seen = read_source(eeg(tmp_path))
    times = np.array([float(row.split(",")[0]) for row in [*starts, *ends]])
    assert seen.facts.channels == ("R", "L")
    assert seen.facts.rate_hz == checks.median_rate_hz(times)
    assert {one.source for one in seen.rejections} == {"a.csv", "b.csv"}


def test_coarse_timestamps_count_by_the_whole_file(tmp_path: Path) -> None:
    """Otherwise a beginning of few seconds would make an odd rate of whole seconds."""
    rows = [f"{step // 100}," + ",".join(["1.234567"] * 30) for step in range(6000)]
    text = "time," + ",".join(f"c{place}" for place in range(30)) + "\n" + "\n".join(rows)
    write_files(tmp_path, {"a.csv": text, "b.csv": text, "c.csv": text.encode("utf-16")})
    _, seen = read_source(eeg(tmp_path))
    assert seen.facts.rate_hz == checks.median_rate_hz(np.arange(6000) // 100)
    assert not seen.rejections


def test_what_is_stated_wins_over_most_files(tmp_path: Path) -> None:
    """Otherwise a person could not choose the few files that are right."""
    names = {f"b{number}.csv": recording(100, "L") for number in range(3)}
    write_files(tmp_path, {**names, "c.csv": recording(128, "R,L")})
    _, seen = read_source(eeg(tmp_path, rate_hz=128.0))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("R", "L"), 128.0)
    _, seen = read_source(eeg(tmp_path, channels=("R",)))
    assert seen.facts.channels == ("R",)
    assert seen.facts.rate_hz == pytest.approx(128, rel=1e-3)


@pytest.mark.parametrize(
    ("files", "keys", "message"),
    [
        (
            {"a.csv": recording(128), "b.csv": recording(100), "c.csv": recording(100)},
            {"rate_hz": 128.0},
            r"2 of 3 files .* 128 Hz.* b\.csv: 100 Hz .*source\.rate_hz.*source\.exclude",
        ),
        (
            {name: recording(100, channel) for name, channel in zip("abc", "XYZ", strict=True)},
            {"include": ("*",)},
            r"2 of 3 files .* \(X at 100 Hz.* b, line 1: has Y.*source\.channels.*source\.exclude",
        ),
    ],
)
def test_most_files_differing_is_refused_and_nothing_committed(
    tmp_path: Path, files: dict[str, bytes | str], keys: dict[str, object], message: str
) -> None:
    """Otherwise a run would go on with the few records that fit a wrong expectation."""
    write_files(tmp_path / "in", files)
    with pytest.raises(SeqprepError, match=message):
        ingest(eeg(tmp_path / "in", **keys), dataset="d", store=tmp_path / "store")
    assert Table(tmp_path / "store" / "d" / "sequences").version() is None


def test_half_of_the_files_differing_is_counted(tmp_path: Path) -> None:
    """Otherwise one stray file beside one recording would stop the ingest."""
    write_files(tmp_path / "in", {"a.csv": recording(100), "b.csv": recording(128)})
    done = ingest(eeg(tmp_path / "in"), dataset="d", store=tmp_path / "store")
    assert (done.rows, done.rejections) == (1, {"wrong_rate": 1})


def test_an_odd_file_that_joins_a_dataset_is_counted(tmp_path: Path) -> None:
    """Otherwise one stray file would stop every nightly ingest."""
    folder = write_files(tmp_path / "in", {"a.csv": recording(100)})
    ingest(eeg(folder), dataset="d", store=tmp_path / "store")
    write_files(folder, {"b.csv": recording(128)})
    done = ingest(eeg(folder), dataset="d", store=tmp_path / "store")
    assert (done.rows, done.rejections) == (1, {"wrong_rate": 1})


def test_a_short_row_is_found_where_its_end_is_not_read(tmp_path: Path) -> None:
    """Otherwise a line that was cut would pass when only the first channels are chosen."""
    write_files(tmp_path, {"a.csv": 'L,R,x\n1,2,"3,5"\n4,5\n6,7,8\n'})
    rows, seen = read_source(eeg(tmp_path, channels=("L", "R")))
    assert (rows, seen.reasons) == ([], [("a.csv", 3, "ragged_row")])
    write_files(tmp_path, {"a.csv": 'L,R,x\n1,2,"3,5"\n4,5,\n6,7,8\n'})
    rows, _ = read_source(eeg(tmp_path, channels=("L", "R")))
    assert rows[0]["values"] == [1, 2, 4, 5, 6, 7]
