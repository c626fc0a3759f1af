"""The largest batches of any epoch: what fits these never dies in the middle of a run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models import train
from models.backpropagation.largest import largest
from models.job import Job
from models.options.checks import JobError
from models.options.model import Model
from models.options.training import Backpropagation, Train
from seqprep.plan import BatchSettings, cut
from tests.synthetic import task_snapshot


@pytest.mark.parametrize("max_rows", [None, 7, 200])
@pytest.mark.parametrize("seed", range(5))
def test_no_plan_brings_a_batch_that_was_not_checked(seed: int, max_rows: int | None) -> None:
    """An epoch whose batches are cut otherwise would find no room after hours of training."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, random.integers(2, 400), random.integers(1, 900)) ** 2
    settings = BatchSettings(batch_tokens=20_000, max_rows=max_rows)
    sizes = largest(lengths, settings)
    for _ in range(20):
        order = np.argsort(lengths * (1 + 0.01 * random.random(len(lengths))), kind="stable")
        first = random.random()
        edges = cut(lengths[order], batch_tokens=20_000, max_rows=max_rows, first=first)
        for one, other in pairwise(edges):
            rows, steps = int(other - one), int(lengths[order[one:other]].max())
            assert any(s.rows >= rows and s.steps >= steps for s in sizes), (rows, steps)
    for size in sizes:  # and hardly more than can be
        assert size.cells <= max(1.07 * 20_000, lengths.max())


def test_rows_that_are_drawn_shorter_are_checked_as_such() -> None:
    """Pieces of 80 steps lie closer to the budget than the rows that they are cut from."""
    lengths = np.array([50] * 200 + [100] * 200)
    settings = BatchSettings(batch_tokens=1000, max_rows=None)
    edges = cut(np.minimum(lengths, 80), batch_tokens=1000, max_rows=None)
    found = {(int(b - a), int(min(80, lengths[b - 1]))) for a, b in pairwise(edges)}
    sizes = largest(lengths, settings, drawn=True)
    for rows, steps in found:
        assert any(s.rows >= rows and s.steps >= steps for s in sizes), (rows, steps)
    assert (12, 80) in found  # which the stored lengths, 50 or 100, do not bring


def test_processes_share_the_rows_of_a_batch() -> None:
    """Each has its part of the memory to itself."""
    sizes = largest(np.full(8, 10), BatchSettings(batch_tokens=80), world=4)
    assert max(size.rows for size in sizes) == 2


def test_a_job_that_starts_comes_to_its_end(tmp_path: Path) -> None:
    """The figure that the refusal names must hold in every epoch, not in the first alone."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)

    def job(memory: str) -> Job:
        options = Train(
            model=Model(hidden=64, embedding=16),
            backpropagation=Backpropagation(mode="exact", memory=memory),
            batch_tokens=2000,
            max_rows=None,
            epochs=2,
            device="cpu",
            threads=1,
        )
        return Job(snapshot=str(path), out=str(tmp_path / "out"), train=options)

    with pytest.raises(JobError, match="mode exact takes") as error:
        train.train(job("1MB"))
    train.train(job(str(error.value).partition("raise memory to ")[2].partition(",")[0]))
