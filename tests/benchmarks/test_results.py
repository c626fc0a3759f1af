"""The recorded results are those of the benchmarks as they stand."""

from __future__ import annotations

import importlib
import json

import pytest

from benchmarks.common import RESULTS, Benchmark

TABLES = sorted(path.stem for path in RESULTS.glob("*.json"))


def benchmarks_with_results() -> list[Benchmark]:
    """Those that are a table of cases; the others write results of their own form."""
    modules = [importlib.import_module(f"benchmarks.{name}") for name in TABLES if name != "growth"]
    return [m.BENCHMARK for m in modules if isinstance(getattr(m, "BENCHMARK", None), Benchmark)]


@pytest.mark.parametrize("benchmark", benchmarks_with_results(), ids=lambda one: one.name)
def test_every_case_was_measured_and_no_other(benchmark: Benchmark) -> None:
    """A claim would stand beside figures of another job."""
    recorded = json.loads((RESULTS / f"{benchmark.name}.json").read_bytes())
    assert set(recorded["cases"]) == set(benchmark.cases)
    text = (RESULTS / f"{benchmark.name}.md").read_text(encoding="utf-8")
    for name, ratio in benchmark.aims.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {ratio:g} (" in row or f"| {ratio:.2g} (" in row, row


def test_the_main_benchmarks_are_recorded() -> None:
    """A claim of the README would have no figure behind it."""
    assert {"batches", "eeg", "exact", "fasta", "first_batch", "training", "words"} <= set(TABLES)
