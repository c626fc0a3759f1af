"""The recorded results are those of the benchmarks as they stand."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from typing import Any

import pytest

from benchmarks.append_inputs import MAKE
from benchmarks.common import RESULTS, Benchmark
from benchmarks.memory import exponents, planned
from benchmarks.memory_inputs import RECORD_MB
from benchmarks.stages import STAGES, distances
from tests.conftest import ROOT

TABLES = sorted(path.stem for path in RESULTS.glob("*.json"))


SIZES_GB = [1.0, 3.0, 10.0]
"""That the growth of time and memory is recorded for."""
STEEPEST = 1.15
"""Power of a size with which seconds may grow: 1 is in proportion."""


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_bytes())
    return found


def benchmarks_with_results() -> list[Benchmark]:
    """Those that are a table of cases; the others write results of their own form."""
    # `growth` is what `memory --sizes-gb` writes, no module
    modules = [importlib.import_module(f"benchmarks.{name}") for name in TABLES if name != "growth"]
    return [m.BENCHMARK for m in modules if isinstance(getattr(m, "BENCHMARK", None), Benchmark)]


@pytest.mark.parametrize("benchmark", benchmarks_with_results(), ids=lambda one: one.name)
def test_every_case_was_measured_and_no_other(benchmark: Benchmark) -> None:
    """A claim would stand beside figures of another job."""
    assert set(recorded(benchmark.name)["cases"]) == set(benchmark.cases)
    text = (RESULTS / f"{benchmark.name}.md").read_text(encoding="utf-8")
    for name, ratio in benchmark.aims.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {ratio:g} (" in row or f"| {ratio:.2g} (" in row, row


def test_the_main_benchmarks_are_recorded() -> None:
    """A claim of the README would have no figure behind it."""
    assert {"batches", "eeg", "exact", "fasta", "first_batch", "training", "words"} <= set(TABLES)
    assert {"append", "growth", "memory", "tokens"} <= set(TABLES)


@pytest.mark.parametrize(
    "benchmark",
    [one for one in benchmarks_with_results() if one.stages is not None],
    ids=lambda one: one.name,
)
def test_each_stage_stands_beside_its_floor(benchmark: Benchmark) -> None:
    """A slow stage would hide in the seconds of the other."""
    assert set(distances(recorded(benchmark.name)["cases"])) == set(STAGES)
    text = (RESULTS / f"{benchmark.name}.md").read_text(encoding="utf-8")
    for stage in STAGES:
        assert f"\n| {stage} | " in text


def test_cases_that_must_agree_were_recorded_as_equal() -> None:
    """Seconds of a case that did another job would be compared."""
    for benchmark in benchmarks_with_results():
        cases = recorded(benchmark.name)["cases"].values()
        for fact in benchmark.same:
            assert len({case[fact] for case in cases}) == 1, (benchmark.name, fact)


@pytest.mark.parametrize(
    ("name", "sizes_gb"), [("memory", None), ("growth", SIZES_GB)], ids=["memory", "growth"]
)
def test_every_kind_kept_its_limit_of_memory(name: str, sizes_gb: list[float] | None) -> None:
    """A kind that was never measured, or took too much, would be passed over."""
    options = Namespace(sizes_gb=sizes_gb, kind=None, size_mb=1000, record_mb=RECORD_MB)
    due = {
        (kind, size_mb, stage): limit_mb
        for kind, size_mb, limit_mb in planned(options)
        for stage in STAGES
    }
    cases = recorded(name)["cases"]
    found = {(case["input"], case["size_mb"], case["stage"]): case for case in cases}
    assert not sorted(due.keys() - found.keys()), "never measured"
    for place, limit_mb in due.items():
        assert found[place]["peak_mb"] <= limit_mb == found[place]["limit_mb"], place
    text = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert text.count("| within ") == len(cases) and "| over " not in text


def test_one_record_gave_the_same_files_in_each_layout() -> None:
    """A layout that loses bases would only look fast."""
    assert recorded("memory")["same_layouts"]


def test_seconds_grow_in_proportion_to_size() -> None:
    """Ten gigabytes would take far more than ten times as long as one."""
    found = exponents(recorded("growth")["cases"])
    assert found == recorded("growth")["exponents"]
    assert all(power <= STEEPEST for power in found.values()), found


def test_appending_tells_its_parts() -> None:
    """What grows with the store would pass for a constant."""
    cases = {(case["input"], case["stage"]): case for case in recorded("append")["cases"]}
    assert cases.keys() == {(kind, stage) for kind in MAKE for stage in STAGES}
    for case in cases.values():
        sum_s = case["constant_s"] + case["known_s"] + case["new_s"]
        assert sum_s == pytest.approx(case["append_whole"])


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
