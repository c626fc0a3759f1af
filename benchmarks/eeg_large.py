"""The job of `eeg` on four times as much data: what grows faster than the data shows here."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import eeg
from benchmarks.common import main

BENCHMARK = replace(
    eeg.BENCHMARK,
    name="eeg_large",
    title="EEG tables to scaled values, 400 MB",
    size_mb=400,
)

if __name__ == "__main__":
    main(BENCHMARK)
