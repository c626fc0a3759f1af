"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine stalls now and then; slow examples are no fault of the code.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def denormals_as_found() -> Iterator[None]:
    """Training in this process flushes denormals, which Hypothesis refuses to work with."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def datasets() -> Path:
    """The folder of the public datasets; tests that use it are marked `real`."""
    folder = Path(os.environ.get("SEQPREP_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip(
            "the public datasets are not here: get them as the README's section 'Real data' says "
            "and set SEQPREP_DATASETS to their folder"
        )
    return folder
