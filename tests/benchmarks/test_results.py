"""The recorded results are those of the benchmarks as they stand."""

from __future__ import annotations

import importlib
import json

import pytest

from benchmarks.common import RESULTS, Benchmark
from tests.conftest import ROOT

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


CLAIMS = [
    ("words", "huggingface_documented", "words {:.0f} times"),
    ("words", "huggingface_expert", "and {:.1f} times an expert's"),
    ("fasta", "biopython_documented", "FASTA {:.1f} times Biopython"),
    ("fasta", "biopython_expert_same", "({:.1f} times an expert's version of the same work,"),
    ("fasta", "biopython_expert", "{:.1f} of one that does less)"),
    ("eeg", "pandas_documented", "EEG {:.1f} times pandas"),
    ("eeg", "pandas_expert", "(an expert's is faster: {:.1f})"),
    ("eeg_large", "pandas_documented", "and {:.1f} times on 400 MB"),
    ("eeg_large", "pandas_expert", "on 400 MB (an expert's: {:.1f})"),
    ("batches", "huggingface_documented", "batches {:.0f} times a DataLoader"),
    ("batches", "huggingface_one_core", "({:.0f} times without)"),
    ("training", "packed_expert", "training {:.0f} times PackedSequence"),
    ("training", "packed_documented", "({:.0f} times as tutorials show it)"),
]


@pytest.mark.parametrize(("benchmark", "case", "claim"), CLAIMS)
def test_the_readme_claims_what_was_recorded(benchmark: str, case: str, claim: str) -> None:
    """A benchmark that is run again would leave an old figure in the README."""
    text = (RESULTS / f"{benchmark}.md").read_text(encoding="utf-8")
    head = next(line for line in text.splitlines() if line.startswith("| case |"))
    row = next(line for line in text.splitlines() if line.startswith(f"| {case} |"))
    cells = dict(zip(head.split("|"), row.split("|"), strict=True))
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert claim.format(float(cells[" times ours "])) in readme
