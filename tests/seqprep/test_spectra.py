"""Filters, resampling and spectra of signals whose frequencies are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

from seqprep import spectra
from seqprep.errors import ConfigError
from seqprep.preparation.form import Form
from seqprep.transforms import build_step
from tests.seqprep.chunks import applied, chunk_of, rows_of, targets_of, values_form

RATE_HZ = 100.0


def sine(hz: float, steps: int, *, rate_hz: float = RATE_HZ, level: float = 0.0) -> np.ndarray:
    return level + np.sin(2 * np.pi * hz * np.arange(steps) / rate_hz)


def after(rows: list[Any], name: str, *, rate_hz: float = RATE_HZ, **options: Any) -> list[Any]:
    """The rows after one technique."""
    chunk = chunk_of([np.asarray(row).tolist() for row in rows])
    return rows_of(applied(chunk, {name: options}, rate_hz=rate_hz))


def middle(values: np.ndarray) -> np.ndarray:
    """Away from the ends."""
    return values.ravel()[len(values) // 4 : -(len(values) // 4)]


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_a_band_keeps_what_is_inside_and_stops_what_is_not(phase: str) -> None:
    """The edges would be at other frequencies, or the rate be taken from elsewhere."""
    options = {"low_hz": 5, "high_hz": 15, "phase": phase}
    slow, inside, fast = after([sine(hz, 1000) for hz in (1, 9, 30)], "bandpass", **options)
    assert np.abs(middle(inside)).max() == pytest.approx(1, abs=0.02)
    assert np.abs(middle(slow)).max() < 0.01
    assert np.abs(middle(fast)).max() < 0.01
    (low,) = after([sine(1, 1000) + sine(30, 1000)], "bandpass", high_hz=10, phase=phase)
    (high,) = after([sine(1, 1000) + sine(30, 1000)], "bandpass", low_hz=10, phase=phase)
    assert np.abs(middle(low)).max() == pytest.approx(1, abs=0.02)
    assert np.abs(np.fft.rfft(middle(high)))[: len(middle(high)) // 20].max() < 1


def test_zero_phase_shifts_nothing_and_a_causal_filter_does_not_look_ahead() -> None:
    """Waves would come late, or a prediction would use what has not happened yet."""
    (zero,) = after([sine(9, 1000)], "bandpass", low_hz=5, high_hz=15)
    np.testing.assert_allclose(middle(zero), middle(sine(9, 1000)), atol=0.02)
    changed = np.append(sine(9, 600), np.full(400, 7.0))
    one, other = after([sine(9, 1000), changed], "bandpass", high_hz=15, phase="causal")
    assert one[:600].tobytes() == other[:600].tobytes()
    assert (one[601:] != other[601:]).all()


@pytest.mark.parametrize("phase", ["zero", "causal"])
@pytest.mark.parametrize("steps", [1, 2, 5, 400])
def test_a_level_makes_no_edge_at_the_ends(phase: str, steps: int) -> None:
    """A recording's offset would become a jump at its first step; short rows would raise."""
    level = np.full(steps, 1000.0)
    (low,) = after([level], "bandpass", high_hz=10, phase=phase)
    (high,) = after([level], "bandpass", low_hz=1, phase=phase)
    (hum,) = after([level], "notch", at_hz=20, phase=phase)
    np.testing.assert_allclose(low.ravel(), level, rtol=1e-6)
    np.testing.assert_allclose(high.ravel(), np.zeros(steps), atol=1e-3)
    np.testing.assert_allclose(hum.ravel(), level, rtol=1e-6)


def test_a_notch_removes_one_frequency_and_its_multiples() -> None:
    """The hum would stay, or what lies beside it go along."""
    mixed = sine(10, 2000) + sine(20, 2000) + sine(13, 2000)
    (one,) = after([mixed], "notch", at_hz=10)
    np.testing.assert_allclose(middle(one), middle(sine(20, 2000) + sine(13, 2000)), atol=0.05)
    (both,) = after([mixed], "notch", at_hz=10, harmonics=2)
    np.testing.assert_allclose(middle(both), middle(sine(13, 2000)), atol=0.08)


def test_multiples_lose_the_same_width() -> None:
    """Ten times the mains' frequency would take ten times the width along."""
    noise = np.random.default_rng(2).normal(size=1000)
    chunk = chunk_of([noise.tolist()])
    at_once = {"notch": {"at_hz": 10, "quality": 10, "harmonics": 2, "phase": "causal"}}
    (both,) = rows_of(applied(chunk, at_once, rate_hz=RATE_HZ))
    first = {"notch": {"at_hz": 10, "quality": 10, "phase": "causal"}}
    second = {"notch": {"at_hz": 20, "quality": 20, "phase": "causal"}}
    (one_by_one,) = rows_of(applied(chunk, first, second, rate_hz=RATE_HZ))
    np.testing.assert_allclose(both, one_by_one, atol=1e-4)


@pytest.mark.parametrize("to_hz", [40, 50, 128, 250, 300])
def test_a_resampled_wave_is_the_wave_at_the_other_rate(to_hz: float) -> None:
    """Values would stand at other times than the new rate says."""
    steps = -(-1000 * to_hz // 100)
    (result,) = after([sine(3, 1000, level=500)], "resample", to_hz=to_hz)
    assert len(result) == steps
    expected = sine(3, steps, rate_hz=to_hz, level=500)
    np.testing.assert_allclose(middle(result), middle(expected), atol=0.01)


@pytest.mark.parametrize("to_hz", [50, 30, 250])
def test_a_drift_has_no_edge_at_the_ends(to_hz: float) -> None:
    """A recording that ends on another level than it begins would ring at both ends."""
    (result,) = after([200 + 3.0 * np.arange(60)], "resample", to_hz=to_hz)
    expected = 200 + 3.0 * np.arange(len(result)) * RATE_HZ / to_hz
    np.testing.assert_allclose(result.ravel(), expected, rtol=1e-5)


def test_resampling_takes_out_what_the_new_rate_cannot_carry() -> None:
    """Fast waves would come back as slow ones."""
    (result,) = after([sine(40, 1000)], "resample", to_hz=20)
    assert np.abs(middle(result)).max() < 0.01


def test_resampling_lengthens_or_thins_out_targets_with_the_steps() -> None:
    """Labels would lag behind the signal."""
    chunk = chunk_of([[0] * 7, [], [0]], targets=[[0, 1, 2, 3, 4, 5, 6], [], [9]])
    fewer = applied(chunk, {"resample": {"to_hz": 50}}, rate_hz=RATE_HZ)
    assert targets_of(fewer) == [[1, 3, 5, 6], [], [9]]
    most = applied(chunk, {"resample": {"to_hz": 25, "targets": "majority"}}, rate_hz=RATE_HZ)
    assert targets_of(most) == [[0, 4], [], [9]]
    more = applied(chunk, {"resample": {"to_hz": 200}}, rate_hz=RATE_HZ)
    assert targets_of(more) == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], [], [9, 9]]
    odd = applied(chunk, {"resample": {"to_hz": 150}}, rate_hz=RATE_HZ)
    assert targets_of(odd) == [[0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6], [], [9, 9]]
    assert [len(row) for row in rows_of(odd)] == [11, 0, 2]


def test_the_spectrum_equals_that_of_scipy() -> None:
    """Windows would start elsewhere, or the density be scaled otherwise than documented."""
    rng = np.random.default_rng(4)
    rows = [rng.normal(30, 5, (steps, 2)) for steps in (100, 57)]
    options = {"window_s": 0.2, "stride_s": 0.1, "log": False}
    for row, result in zip(rows, after(rows, "spectrum", **options), strict=True):
        _, _, power_FQB = signal.spectrogram(
            row.T.astype(np.float32).astype(np.float64),
            fs=RATE_HZ,
            window="hann",
            nperseg=20,
            noverlap=10,
            detrend="constant",
        )
        expected_BFQ = power_FQB[:, 1:].transpose(2, 0, 1)
        np.testing.assert_allclose(result, expected_BFQ.reshape(len(result), -1), rtol=1e-4)


def test_a_wave_stands_in_its_bin_with_its_power() -> None:
    """Names of features would be off by a bin, or power depend on the window's length."""
    form = values_form(2, RATE_HZ)
    step = build_step("spectrum", {"window_s": 0.5, "stride_s": 0.5, "max_hz": 30}, key="")
    names = step.outcome(form).channels
    assert (names[0], names[5], names[-1], len(names)) == ("c0 2 Hz", "c0 12 Hz", "c1 30 Hz", 30)
    row = np.stack([3 * sine(12, 50), sine(20, 50)], axis=1)
    options = {"window_s": 0.5, "stride_s": 0.5, "max_hz": 30, "log": False, "taper": "boxcar"}
    (result,) = after([row], "spectrum", **options)
    power = dict(zip(names, result[0].tolist(), strict=True))
    # A wave of amplitude a has the power a^2 / 2, in a bin 2 Hz wide.
    assert power["c0 12 Hz"] == pytest.approx(9 / 2 / 2, rel=1e-4)
    assert power["c1 20 Hz"] == pytest.approx(1 / 2 / 2, rel=1e-4)
    assert (
        max(value for name, value in power.items() if name not in ("c0 12 Hz", "c1 20 Hz")) < 1e-6
    )


def test_windows_are_counted_as_stated() -> None:
    """Records would be cut otherwise than the documentation says; short ones would vanish."""
    options = {"window_s": 0.1, "stride_s": 0.05}
    lengths = [0, 1, 9, 10, 14, 15, 100]
    result = after([sine(9, steps) for steps in lengths], "spectrum", **options)
    assert [len(row) for row in result] == [0, 1, 1, 1, 1, 2, 19]


def test_a_short_record_is_filled_with_zeros_after_its_mean_is_off() -> None:
    """A short record's level would look like a slow wave."""
    (result,) = after([np.full(4, 1000.0)], "spectrum", window_s=0.1, stride_s=0.1, log=False)
    assert result.max() == 0
    (logs,) = after([np.full(4, 1000.0)], "spectrum", window_s=0.1, stride_s=0.1)
    np.testing.assert_allclose(logs, np.log(1e-20), rtol=1e-6)


def test_bonn_windows_are_63_of_18_frequencies() -> None:
    """The documented shape for 4,097 samples at 173.61 Hz would be another."""
    options = {"window_s": 128 / 173.61, "stride_s": 64 / 173.61, "max_hz": 25}
    (result,) = after([sine(9, 4097)], "spectrum", rate_hz=173.61, **options)
    assert result.shape == (63, 18)


def test_targets_of_windows_are_those_of_their_last_steps() -> None:
    """Labels would be of other steps than the spectrum's."""
    chunk = chunk_of([list(range(7)), [1, 2]], targets=[[0, 1, 2, 3, 4, 5, 6], [8, 9]])
    options = {"window_s": 0.04, "stride_s": 0.02}
    result = applied(chunk, {"spectrum": options}, rate_hz=RATE_HZ)
    assert targets_of(result) == [[3, 5], [9]]


def test_bands_sum_the_density_between_their_edges() -> None:
    """A band would take bins of its neighbour, or miss its own."""
    row = 2 * sine(10, 100) + sine(20, 100)
    bands = {"low": [5, 10], "mid": [10, 20], "high": [20, 50]}
    options = {"bands": bands, "window_s": 1, "stride_s": 1, "taper": "boxcar", "log": False}
    (power,) = after([row], "band_power", **options)
    np.testing.assert_allclose(power, [[0, 2, 0.5]], atol=1e-5)
    (share,) = after([row], "band_power", **options, relative=True)
    np.testing.assert_allclose(share, [[0, 0.8, 0.2]], atol=1e-5)
    (flat,) = after([np.ones(100)], "band_power", **options, relative=True)
    assert flat.tolist() == [[0, 0, 0]]
    (logs,) = after([row], "band_power", **{**options, "log": True})
    np.testing.assert_allclose(logs[0, 1:], np.log([2, 0.5]), atol=1e-4)


def test_a_band_is_the_sum_of_the_spectrum_times_the_distance_of_its_bins() -> None:
    """Power would depend on the window's length, or hold what is left at 0 Hz."""
    row = np.random.default_rng(3).normal(size=200) + np.linspace(0, 9, 200)
    options = {"window_s": 0.5, "stride_s": 0.25, "log": False}
    (power,) = after([row], "band_power", bands={"slow": [0, 10]}, **options)
    (spectrum,) = after([row], "spectrum", max_hz=9, **options)
    np.testing.assert_allclose(power.ravel(), spectrum.sum(axis=1) * 2, rtol=1e-5)


def test_bands_are_named_by_channel() -> None:
    """Features could not be told apart in reports."""
    options = {"bands": {"alpha": [8, 13], "beta": [13, 30]}, "window_s": 1, "stride_s": 0.5}
    form = build_step("band_power", options, key="").outcome(values_form(2, RATE_HZ))
    assert form.channels == ("c0 alpha", "c0 beta", "c1 alpha", "c1 beta")
    assert form.rate_hz == 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bandpass", {"low_hz": 2, "high_hz": 20}),
        ("bandpass", {"low_hz": 2, "phase": "causal"}),
        ("notch", {"at_hz": 20}),
        ("resample", {"to_hz": 37}),
        ("spectrum", {"window_s": 0.3, "stride_s": 0.1}),
        ("band_power", {"bands": {"a": [8, 13]}, "window_s": 0.3, "stride_s": 0.1}),
    ],
)
def test_the_rows_beside_change_no_bit(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another cut into chunks, or prediction of one record, would give other rows."""
    rng = np.random.default_rng(6)
    rows = [rng.normal(0, 50, (steps, 3)) for steps in (90, 33, 90, 1, 90, 33, 64)]
    together = after(rows, name, **options)
    monkeypatch.setattr(spectra, "_BLOCK_BYTES", 8 * 3 * 200)
    for row, expected in zip(rows, together, strict=True):
        (alone,) = after([row], name, **options)
        assert alone.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bandpass", {"high_hz": 50}, r"bandpass.high_hz must be < 50 Hz, half of the rate of 100"),
        ("bandpass", {"low_hz": 60}, r"bandpass.low_hz must be < 50 Hz.*got 60"),
        ("notch", {"at_hz": 50}, r"notch.at_hz must be < 50 Hz.*got 50"),
        ("notch", {"at_hz": 20, "harmonics": 3}, r"3 x 20 Hz is not under 50 Hz.*write 2 or fewer"),
        ("resample", {"to_hz": 1e-4}, r"0.0001 / 100 Hz is no ratio of whole numbers up to 20,000"),
        ("spectrum", {"window_s": 1, "stride_s": 1, "max_hz": 51}, r"max_hz must be <= 50 Hz"),
        ("spectrum", {"window_s": 0.01, "stride_s": 0.01}, r"window_s: 0.01 is 1 steps"),
        (
            "spectrum",
            {"window_s": 0.1, "stride_s": 0.1, "min_hz": 11, "max_hz": 19},
            r"between 11 and 19 Hz there is no frequency.*one every 10 Hz",
        ),
        (
            "band_power",
            {"bands": {"a": [11, 19]}, "window_s": 0.1, "stride_s": 0.1},
            r"bands.a: no frequency lies from 11 up to 19 Hz.*one every 10 Hz",
        ),
        (
            "band_power",
            {"bands": {"a": [11, 60]}, "window_s": 0.1, "stride_s": 0.1},
            r"bands.a must end at 50 Hz at most",
        ),
    ],
)
def test_what_the_rate_cannot_carry_is_refused_with_numbers(
    name: str, options: dict[str, Any], message: str
) -> None:
    """A filter would be unstable, or features be empty."""
    with pytest.raises(ConfigError, match=message):
        build_step(name, options, key="").outcome(values_form(1, RATE_HZ))


def test_steps_after_random_removal_have_no_rate() -> None:
    """Frequencies would be read off steps that are not equally spaced in time."""
    form = build_step("remove_steps", {"length": 9}, key="").outcome(values_form(1, RATE_HZ))
    assert form.rate_hz is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bandpass", {"low_hz": 1}),
        ("notch", {"at_hz": 50}),
        ("resample", {"to_hz": 50}),
        ("spectrum", {"window_s": 1, "stride_s": 1}),
        ("band_power", {"bands": {"a": [8, 13]}, "window_s": 1, "stride_s": 1}),
    ],
)
def test_an_unknown_rate_is_refused_by_the_key_that_sets_it(
    name: str, options: dict[str, Any]
) -> None:
    """Frequencies would be meant in some rate that nobody stated."""
    form = Form(unit="value", channels=("0",))
    with pytest.raises(ConfigError, match=rf"^{name} needs to know .* set source.rate_hz"):
        build_step(name, options, key="").outcome(form)
