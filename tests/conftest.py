"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.object_store import ObjectServer, object_server

# A shared machine stalls now and then; slow examples are no fault of the code. By default the same
# examples are tried each time, so that a change is judged by what it broke; `full` tries others.
settings.register_profile("default", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("SEQPREP_TEST_PROFILE", "default"))  # full: ./run test --all

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


@pytest.fixture(scope="session")
def objects() -> Iterator[ObjectServer]:
    """One S3-compatible server for all tests."""
    with object_server() as server:
        yield server


@pytest.fixture
def server(objects: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """The server, named by the environment as a person does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", objects.url)
    return objects


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Go on as on another machine, whose mirrors lie elsewhere; their folder."""

    def become(name: str) -> Path:
        cache = tmp_path / "machines" / name
        monkeypatch.setenv("SEQPREP_CACHE", str(cache))
        return cache

    become("first")
    return become
