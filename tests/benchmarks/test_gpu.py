"""The benchmark of a GPU node runs where only torch, numpy, pyarrow and safetensors are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

BARE = """
import sys

ABSENT = {"Bio", "cyclopts", "datasets", "deltalake", "matplotlib", "nltk", "pandas", "polars",
          "prefect", "pydantic", "rich", "scipy", "torchmetrics", "transformers", "yaml"}

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
from benchmarks.gpu import main
main(sys.argv[1:])
"""
TINY = (
    *("--device", "cpu", "--hidden", "4", "--lengths", "12", "--precisions", "float32"),
    *("--tokens", "100", "--long", "200", "--updates", "2", "--repeats", "1"),
)


def table_of(output: str) -> dict[str, list[str]]:
    """Cells of each row by what was run."""
    lines = [line.strip("| ").split(" | ") for line in output.splitlines() if line[:2] == "| "]
    return {cells[0]: [cell.strip(" |") for cell in cells[1:]] for cells in lines[1:]}


def run(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *command, *TINY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_runs_on_a_bare_node() -> None:
    """An import too much would end it on the machine for which it was written."""
    table = table_of(run(["-c", BARE]))
    for what in ("ceiling: cuDNN, one length", "dense", "packed", "minLSTM, scan", "full", "exact"):
        assert float(table[what][3].replace(",", "")) > 0, what
    assert table["ceiling: cuDNN, one length"][5] == "1"
    assert "torchmetrics" in table["loop, loader included"][3]


@pytest.mark.slow
def test_the_loop_is_measured_against_the_ceiling() -> None:
    """A loop that stops early, or never, would give no share of the ceiling."""
    table = table_of(run(["-m", "benchmarks.gpu"]))
    assert float(table["loop, loader included"][5]) > 0
