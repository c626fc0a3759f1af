"""Each technique for signals on real recordings, against SciPy and NumPy on the raw files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal, stats

from tests.seqprep.real_techniques import BY_PERSON, MUSE, OOV, Floats, Made, made, recordings

pytestmark = pytest.mark.real
RATE_HZ = 256.0
WINDOW = {"window_s": 1, "stride_s": 0.5}
Raw = dict[str, Floats]


def density(values: npt.NDArray[np.floating], *, rate_hz: float = RATE_HZ) -> tuple[Floats, Floats]:
    """Power density by Welch's method, averaged over channels, at bins half a hertz apart."""
    bins_hz, power = signal.welch(values, fs=rate_hz, nperseg=int(2 * rate_hz), axis=0)
    return bins_hz, power.mean(axis=1)


def check_notch(run: Made, raw: Raw) -> None:
    """The hum of the mains goes, and nothing else does."""
    for row in run.rows:
        bins_hz, before = density(raw[row["id"]])
        _, after = density(run.values(row))
        hum, other = bins_hz == 50, np.abs(bins_hz - 50) > 7
        assert after[hum] < before[hum] / 100
        np.testing.assert_allclose(after[other], before[other], rtol=0.05)


def check_bandpass(run: Made, raw: Raw) -> None:
    """What lies far outside 4 to 30 Hz goes, what lies inside stays, an edge keeps a quarter."""
    for row in run.rows:
        bins_hz, before = density(raw[row["id"]])
        _, after = density(run.values(row))
        inside = (bins_hz > 7) & (bins_hz < 20)
        np.testing.assert_allclose(after[inside], before[inside], rtol=0.05)
        np.testing.assert_allclose(after[bins_hz == 30], before[bins_hz == 30] / 4, rtol=0.1)
        assert after[bins_hz > 60].sum() < before[bins_hz > 60].sum() / 1e4
        assert after[bins_hz < 1].sum() < before[bins_hz < 1].sum() / 1e3


def check_resample(run: Made, raw: Raw) -> None:
    """Half the steps at half the rate, whose slow waves are those of the recording."""
    assert run.fitted.output_rate_hz == 128
    for row in run.rows:
        values, whole = run.values(row), raw[row["id"]]
        assert len(values) == -(-len(whole) // 2)
        (_, before), (bins_hz, after) = density(whole), density(values, rate_hz=128)
        slow = bins_hz < 40
        np.testing.assert_allclose(after[slow], before[: len(bins_hz)][slow], rtol=0.05)
        sections = signal.butter(8, 40, fs=RATE_HZ, output="sos")
        expected = signal.sosfiltfilt(sections, whole, axis=0)[::2]
        found = signal.sosfiltfilt(signal.butter(8, 40, fs=128, output="sos"), values, axis=0)
        for one, other in zip(found.T, expected.T, strict=True):
            assert np.corrcoef(one[99:-99], other[99:-99])[0, 1] > 0.999


def spectra(values: Floats) -> tuple[Floats, Floats]:
    """Bins in hertz, and the density of each window, channel and bin `(B, F, Q)`."""
    bins_hz, _, power = signal.spectrogram(
        values, fs=RATE_HZ, window="hann", nperseg=256, noverlap=128, axis=0, detrend="constant"
    )
    return bins_hz, power.transpose(2, 1, 0)


def check_spectrum(run: Made, raw: Raw) -> None:
    """Each window's density from 2 to 40 Hz is SciPy's."""
    assert run.fitted.outputs[:2] == ("TP9 2 Hz", "TP9 3 Hz") and run.fitted.output_rate_hz == 2
    for row in run.rows:
        bins_hz, power = spectra(raw[row["id"]])
        expected = np.log(power[:, :, (bins_hz >= 2) & (bins_hz <= 40)]).reshape(len(power), -1)
        np.testing.assert_allclose(run.values(row), expected, atol=2e-3)


def check_band_power(run: Made, raw: Raw) -> None:
    """Each window's power in a band is the sum of SciPy's density over it."""
    assert run.fitted.outputs == tuple(
        f"{channel} {band}" for channel in MUSE["channels"] for band in ("alpha", "beta")
    )
    for row in run.rows:
        bins_hz, power = spectra(raw[row["id"]])
        bands = [power[:, :, (bins_hz >= low) & (bins_hz < high)] for low, high in BANDS.values()]
        expected = np.stack([band.sum(axis=2) for band in bands], axis=2).reshape(len(power), -1)
        np.testing.assert_allclose(run.values(row), expected, rtol=1e-3, atol=1e-3)


def check_block_means(run: Made, raw: Raw) -> None:
    """Means of every 7 steps, and of those that are left."""
    for row in run.rows:
        whole = raw[row["id"]]
        blocks = [whole[at : at + 7].mean(axis=0) for at in range(0, len(whole), 7)]
        np.testing.assert_allclose(run.values(row), blocks, rtol=1e-5, atol=1e-3)
    assert run.fitted.output_rate_hz == RATE_HZ / 7


def check_paa(run: Made, raw: Raw) -> None:
    """A hundred means a recording, of any length."""
    for row in run.rows:
        whole = raw[row["id"]]
        edges = [part * len(whole) // 100 for part in range(101)]
        parts = [whole[start:stop].mean(axis=0) for start, stop in pairwise(edges)]
        np.testing.assert_allclose(run.values(row), parts, rtol=1e-5, atol=1e-3)


def check_sax(run: Made, raw: Raw) -> None:
    """Letters of the normalised block means of four channels, by SciPy's normal quantiles."""
    cuts = stats.norm.ppf([1 / 3, 2 / 3])
    for row in run.rows:
        whole = stats.zscore(raw[row["id"]], axis=0)
        means = [whole[at : at + 16].mean(axis=0) for at in range(0, len(whole), 16)]
        words = ["".join("abc"[np.digitize(x, cuts)] for x in block) for block in means]
        known = [word if word in run.fitted.vocabulary else OOV for word in words]
        assert run.texts(row) == known


def check_differences(run: Made, raw: Raw) -> None:
    """The change against each of three steps before; what the first steps lack is the first."""
    for row in run.rows:
        whole = raw[row["id"]]
        longer = np.concatenate([whole[:1]] * 3 + [whole])
        lags = [whole - longer[3 - lag : len(longer) - lag] for lag in (1, 2, 3)]
        expected = np.stack(lags, axis=2).reshape(-1, 12)
        np.testing.assert_allclose(run.values(row), expected, atol=1e-3)


def check_project(run: Made, raw: Raw) -> None:
    """One matrix, found from a single recording, gives the projections of all others."""
    windows, found = [], []
    for row in sorted(run.rows, key=lambda row: -row["length"]):
        whole = raw[row["id"]]
        whole = np.concatenate([whole, np.zeros((-len(whole) % 8, 4))])
        windows.append(whole.reshape(-1, 32))
        found.append(run.values(row))
    matrix = np.linalg.lstsq(windows[0], found[0], rcond=None)[0]
    assert 0.5 < matrix.std() * np.sqrt(5) < 1.5  # N(0, 1/5) each
    for one, projected in zip(windows, found, strict=True):
        np.testing.assert_allclose(projected, one @ matrix, rtol=1e-3, atol=0.05)


BANDS = {"alpha": (8, 13), "beta": (13, 30)}
CASES: dict[str, tuple[dict[str, Any], Callable[[Made, Raw], None]]] = {
    "band_power": ({"bands": BANDS, **WINDOW, "log": False}, check_band_power),
    "bandpass": ({"low_hz": 4, "high_hz": 30}, check_bandpass),
    "block_means": ({"block": 7}, check_block_means),
    "differences": ({"n": 3}, check_differences),
    "notch": ({"at_hz": 50}, check_notch),
    "paa": ({"segments": 100}, check_paa),
    "project": ({"window": 8, "features": 5}, check_project),
    "resample": ({"to_hz": 128}, check_resample),
    "sax": ({"block": 16, "alphabet": 3}, check_sax),
    "spectrum": ({**WINDOW, "min_hz": 2, "max_hz": 40}, check_spectrum),
}


@pytest.mark.parametrize("name", CASES)
def test_recordings_become_what_scipy_says(name: str, datasets: Path, tmp_path: Path) -> None:
    """A technique that is right on small literal rows would be wrong on real recordings.

    These have four channels, offsets, railed samples, and lengths from 888 to 15,216 steps.
    """
    options, check = CASES[name]
    run = made(datasets, tmp_path, MUSE, {name: options}, split=BY_PERSON)
    raw = recordings(datasets)
    assert {row["id"] for row in run.rows} == raw.keys() and len(raw) == 8
    check(run, raw)
