"""The examples of a transform, a model and a domain: put in place as their pages say, and used."""

from __future__ import annotations

import ast
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.console import GUIDE, folder_of_a_reader, run

EXAMPLES = GUIDE / "examples"
PLACES = {
    "thin": "seqprep/transforms",
    "gru": "models/architectures",
    "protein": "seqprep/domains",
}
PARTS = ("flows", "models", "seqprep", "tests", "pyproject.toml", "README.md")
LONGEST = 30
"""Lines of code of an example, imports included: it can be read at one go."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project into which a reader has put all three."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            shutil.copy(source, folder / name)
    for name, place in PLACES.items():
        shutil.copy(EXAMPLES / f"{name}.py", folder / place)
        patch = ["git", "apply", "-C1", str(EXAMPLES / f"{name}.diff")]
        done = subprocess.run(patch, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}.diff no longer fits the code: {done.stderr}"
    return folder


def python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("chosen", "contract"),
    [
        ("thin or has_a_case", "tests/seqprep/test_contract_transforms.py"),
        ("protein or and_a_sample", "tests/seqprep/test_contract_domains.py"),
        pytest.param(
            "gru or has_a_variant",
            "tests/models/architectures/test_architectures.py",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_examples_pass_the_contract(checkout: Path, chosen: str, contract: str) -> None:
    """A reader would copy what the contract tests refuse, or one that they do not know of."""
    quiet = ("-v", "-p", "no:cacheprovider", "--doctest-modules")
    asked = (contract, "seqprep/transforms/thin.py", "-k", f"{chosen} or Thin")
    done = python(checkout, "-m", "pytest", *quiet, *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(rf"\[{chosen.partition(' ')[0]}.*PASSED", done.stdout)) >= 8
    assert "thin.Thin PASSED" in done.stdout


def test_examples_are_short() -> None:
    """They would stop being examples."""
    for name in PLACES:
        text = (EXAMPLES / f"{name}.py").read_text("utf-8")
        assert lines_of_code(text) <= LONGEST, name


def lines_of_code(text: str) -> int:
    """Lines that are neither empty nor part of a docstring."""
    documented = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    lines = enumerate(text.splitlines(), start=1)
    return sum(1 for number, line in lines if line.strip() and number not in documented)


@pytest.mark.slow
def test_examples_run_from_raw_files_to_a_score(checkout: Path, tmp_path: Path) -> None:
    """What passes the contract alone would fail in a pipeline."""
    folder = folder_of_a_reader(tmp_path, code=checkout)
    shutil.copy(EXAMPLES / "proteins.yaml", folder)
    write_proteins(folder / "proteins")
    quick = "--set train.epochs=null --set train.updates=8"
    for command in (
        f"seqprep run data/eeg.yaml --set 'prepare.steps=[{{thin: {{every: 2}}}}]' {quick}",
        f"seqprep run data/text.yaml --set train.model.name=gru {quick}",
        "seqprep run proteins.yaml",
    ):
        status, printed = run(command, folder)
        assert status == 0 and "test score" in printed, printed
    assert "240" in run("seqprep show store/sample_eeg", folder)[1]  # 480 steps, every second one


def write_proteins(folder: Path) -> None:
    """Two files of proteins, rich in acids or in bases."""
    folder.mkdir()
    draw = random.Random(0)
    for name, letters in (("acid", "DEDEACGIKLMNPQ"), ("basic", "KRKRACGIDLMNPQ")):
        lines = (
            f">p{number} made up\n{''.join(draw.choices(letters, k=draw.randint(40, 90)))}*\n"
            for number in range(60)
        )
        (folder / f"{name}.faa").write_text("".join(lines), encoding="utf-8")
