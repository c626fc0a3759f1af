"""Recordings and channels of several sampling rates brought to one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seqprep.domains.signal_layout import SignalError
from seqprep.domains.signal_resample import along_line, factor, nearest, resample
from seqprep.ingest import ingest
from seqprep.new_files import read_records
from seqprep.source import Field, Source, Target
from tests.sources import read_source, stored_rows, write_files

NO_LABEL = Field(from_="none")
TONE_HZ = 3.0


def source(path: Path, **keys: object) -> Source:
    given = {"label": NO_LABEL, "mixed_rates": "resample", **keys}
    return Source(domain="eeg", path=str(path), **given)  # type: ignore[arg-type]


def tone(rate_hz: float, seconds: float = 4.0, hz: float = TONE_HZ) -> npt.NDArray[np.float64]:
    """A sine that ends where it began, on an offset as devices have."""
    steps = np.arange(int(rate_hz * seconds))
    return 4000 + 10 * np.sin(2 * np.pi * hz * steps / rate_hz)


def wide(rate_hz: float, *, hz: float = TONE_HZ, labels: bool = False) -> str:
    rows = ["time,x" + (",s" if labels else "")]
    for step, value in enumerate(tone(rate_hz, hz=hz)):
        label = "," + "ab"[step >= 2 * rate_hz] if labels else ""
        rows.append(f"{step / rate_hz:.7f},{value:.9f}{label}")
    return "\n".join(rows)


def long(rates: dict[str, float]) -> str:
    """The tone in every channel, in the second twice as strong, and so on."""
    rows = ["time,channel,value"]
    for times, (name, rate_hz) in enumerate(rates.items(), start=1):
        values = times * tone(rate_hz)
        rows += [f"{k / rate_hz:.7f},{name},{value:.9f}" for k, value in enumerate(values)]
    return "\n".join(rows)


def error(values: object, rate_hz: float) -> float:
    """The largest distance to the tone, but for the last tenth of a second at both ends."""
    found = np.asarray(values, dtype=np.float64)
    edge = int(rate_hz / 2)
    return float(np.abs(found - tone(rate_hz)[: len(found)])[edge:-edge].max())


@pytest.mark.parametrize("own_hz", [50.0, 125.0, 173.61, 200.0, 256.0])
def test_a_recording_of_another_rate_keeps_its_signal(tmp_path: Path, own_hz: float) -> None:
    """Otherwise a model would see the same rhythm at another frequency."""
    usual = {f"b{number}.csv": wide(100) for number in range(2)}
    write_files(tmp_path, {"a.csv": wide(own_hz), **usual})
    rows, seen = read_source(source(tmp_path))
    assert seen.facts.rate_hz == pytest.approx(100)
    assert abs(rows[0]["length"] - 400) <= 1
    assert error(rows[0]["values"], 100.0) < 0.02
    assert seen.oddities == {"resampled": 1}
    rows, seen = read_source(source(tmp_path, mixed_rates="reject"))
    assert [one.reason for one in seen.rejections] == ["wrong_rate"]


def test_what_a_lower_rate_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    """Otherwise mains hum would come back as a slow wave that nobody's brain made."""
    write_files(tmp_path, {"a.csv": wide(256, hz=50.0)})
    rows, seen = read_source(source(tmp_path, rate_hz=64.0))
    assert (seen.facts.channels, seen.facts.rate_hz) == (("x",), 64.0)
    middle = np.array(rows[0]["values"])[32:-32]
    assert np.abs(middle - 4000).max() < 0.1


def test_labels_follow_the_nearest_step_and_numbers_a_line(tmp_path: Path) -> None:
    """Otherwise labels would be late, or values between two classes be made up."""
    write_files(tmp_path, {"a.csv": wide(200, labels=True)})
    steps = {"task": "label_steps", "target": Target(column="s"), "rate_hz": 50.0}
    rows, _ = read_source(source(tmp_path, **steps))
    assert rows[0]["targets"] == [0] * 100 + [1] * 100
    assert rows[0]["length"] == 200
    write_files(tmp_path, {"a.csv": "time,x,y\n0,1,10\n1,2,20\n2,1,30\n"})
    keys = {"task": "regress_steps", "target": Target(column="y"), "rate_hz": 2.0}
    rows, _ = read_source(source(tmp_path, **keys))
    assert rows[0]["targets"] == [10, 15, 20, 25, 30, 30]


def test_odd_steps_are_dropped_before_they_ring(tmp_path: Path) -> None:
    """Otherwise one broken sample would spoil its neighbours after it was removed."""
    lines = wide(200).split("\n")
    lines[301] = lines[301].split(",")[0] + ",900000"
    write_files(tmp_path, {"a.csv": "\n".join(lines)})
    rows, seen = read_source(source(tmp_path, rate_hz=100.0, on_extreme_values="drop"))
    assert seen.oddities == {"extreme_values": 1, "resampled": 1}
    assert np.ptp(rows[0]["values"]) < 25
    assert rows[0]["length"] == 399


def test_gaps_are_found_at_the_recordings_own_rate(tmp_path: Path) -> None:
    """Otherwise every step of a slow recording would be a gap."""
    write_files(tmp_path, {"a.csv": wide(50), "b.csv": wide(100), "c.csv": wide(100)})
    _, seen = read_source(source(tmp_path))
    assert seen.oddities == {"resampled": 1}


def test_channels_of_several_rates_become_one_recording(tmp_path: Path) -> None:
    """Otherwise a slow sensor would cost the recording, or run away from the others."""
    text = long({"slow": 50.0, "a": 200.0, "b": 200.0})
    write_files(tmp_path, {"a.csv": text})
    rows, seen = read_source(source(tmp_path, form="long"))
    assert (seen.facts.rate_hz, seen.facts.channels) == (pytest.approx(200), ("slow", "a", "b"))
    values = np.reshape(rows[0]["values"], (-1, 3))
    assert len(values) == 800
    assert error(values[:, 0], 200.0) < 0.02
    expected = [2 * tone(200), 3 * tone(200)]
    np.testing.assert_array_equal(values[:, 1:].T, np.round(expected, 9).astype(np.float32))
    assert seen.oddities == {"resampled": 1}
    _, seen = read_source(source(tmp_path, form="long", mixed_rates="reject"))
    assert [one.reason for one in seen.rejections] == ["wrong_rate"]
    assert "200 Hz (a, b), 50 Hz (slow)" in seen.rejections[0].detail


def test_an_oddity_of_two_rates_counts_once(tmp_path: Path) -> None:
    """Otherwise more records would be odd than there are."""
    rows = [
        f"{step / rate},{name},7" for name, rate in (("a", 8), ("b", 4)) for step in range(rate)
    ]
    write_files(tmp_path, {"a.csv": "time,channel,value\n" + "\n".join(rows)})
    found, seen = read_source(source(tmp_path, form="long"))
    assert seen.oddities == {"constant_channel": 1, "resampled": 1}
    assert found[0]["values"] == [7.0] * 16


def test_channels_that_cover_other_times_are_refused(tmp_path: Path) -> None:
    """Otherwise a channel that stopped early would be stretched or cut the others in silence."""
    lines = long({"a": 200.0, "slow": 50.0}).split("\n")
    write_files(tmp_path, {"a.csv": "\n".join(lines[:-30])})
    _, seen = read_source(source(tmp_path, form="long"))
    assert [one.reason for one in seen.rejections] == ["missing_values"]
    assert "cover 0 s to 4 s, 0 s to 3.4 s" in seen.rejections[0].detail


def test_labels_of_the_fastest_channel_count(tmp_path: Path) -> None:
    """Otherwise labels would be as coarse as the slowest sensor."""
    rows = ["time,channel,value,s"]
    for name, rate in (("a", 8), ("b", 4), ("c", 4)):
        for step in range(4 * rate):
            rows.append(f"{step / rate},{name},{step},{'pq'[step / rate >= 1.125]}")
    write_files(tmp_path, {"a.csv": "\n".join(rows)})
    given = source(tmp_path, form="long", task="label_steps", target=Target(column="s"))
    found, _ = read_source(given)
    assert found[0]["targets"] == [0] * 5 + [1] * 11
    given = source(
        tmp_path, form="long", task="label_steps", target=Target(column="s"), rate_hz=8.0
    )
    found, _ = read_source(given)
    assert found[0]["targets"] == [0] * 9 + [1] * 23


def test_new_recordings_are_resampled_too(tmp_path: Path) -> None:
    """Otherwise a prediction would need devices of the training's rate."""
    write_files(tmp_path / "in", {"a.csv": wide(100), "b.csv": wide(100)})
    given = source(tmp_path / "in")
    done = ingest(given, dataset="d", store=tmp_path / "store")
    assert done.rate_hz == pytest.approx(100)
    _, seen = read_source(given)
    write_files(tmp_path, {"new.csv": wide(250)})
    found = list(read_records(given, [tmp_path / "new.csv"], facts=seen.facts))
    values = found[0][0]["values"].to_pylist()[0]
    assert (len(values), not found[0][1]) == (400, True)
    assert error(values, 100.0) < 0.02
    assert error(stored_rows(tmp_path / "store", "d")[0]["values"], 100.0) < 1e-3


def test_rates_too_far_apart_are_refused(tmp_path: Path) -> None:
    """Otherwise a typing error in `rate_hz` would take all memory."""
    write_files(tmp_path, {"a.csv": "time,x\n0,1\n1,2\n2,1\n", "b.csv": wide(100)})
    _, seen = read_source(source(tmp_path, rate_hz=5000.0))
    assert [(one.source, one.reason) for one in seen.rejections] == [("a.csv", "wrong_rate")]
    assert "more than 1000 times apart" in seen.rejections[0].detail
    with pytest.raises(SignalError):
        factor(1.0, rate_hz=1001.0)


def test_labels_are_taken_from_the_nearest_step() -> None:
    """Otherwise labels would come up to a step early."""
    assert nearest(4, Fraction(5, 4)).tolist() == [0, 1, 2, 2, 3]
    assert nearest(5, Fraction(2, 3)).tolist() == [0, 1, 3, 4]


def test_kernels_agree_on_the_length_of_the_result() -> None:
    """Otherwise targets would have another number of steps than their values."""
    for length in (1, 2, 5, 16):
        values = np.arange(length, dtype=np.float64)[:, None]
        for by in (Fraction(1, 3), Fraction(2, 3), Fraction(5, 4), Fraction(7)):
            sizes = {
                len(resample(values, by)),
                len(nearest(length, by)),
                len(along_line(values, by)),
            }
            assert len(sizes) == 1
