"""Prices: the seeded series of study S3, to learn the value of buying and selling at every step.

Two sinusoids of fixed frequency, 2 pi / 500 and 2 pi / 90 radians a step, whose amplitudes are the
absolute coordinates of a unit vector that turns by 0.01 x U(-1, 1) a step; noise; a bias of 100;
two decimals. Inputs are the change against each of the last `differences` steps; the first
`differences` steps lack some of them and are left out, inputs and targets alike. Targets are
Q_t(a) = r_t(a) + discount x max_b Q_{t+1}(b) with r_t(buy) = p_{t+1} - p_t = -r_t(sell), backwards
from 0 at the last step, which has no next price.
Files are virtual: `train/00.series`, `test/00.series`; each is one record.
Use it to try per-step regression where the right answer is known; not as a model of any market.
Source: Bellman 1957, Dynamic Programming; study S3 of this project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqprep.fingerprint import fingerprint
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, SourceFacts
from seqprep.source import Generator, Source

PERIODS = (500, 90)
"""Steps of one turn of each sinusoid."""
BIAS = 100.0
TURN = 0.01
TARGETS = ("buy", "sell")
_VALUE_BYTES = 4


def prices(generator: Generator, number: int) -> npt.NDArray[np.float64]:
    """The prices of one series, `(steps,)`, two decimals.

    >>> prices(Generator(steps=300), 0)[:3].tolist() == prices(Generator(steps=300), 0)[:3].tolist()
    True
    """
    rng = np.random.Generator(np.random.PCG64([generator.seed, number]))
    start = rng.uniform(0, 2 * np.pi)
    turns = TURN * rng.uniform(-1, 1, generator.steps)
    angle = start + np.cumsum(turns)
    step = np.arange(generator.steps)
    slow, fast = (np.sin(2 * np.pi / period * step) for period in PERIODS)
    noise = rng.normal(0, generator.noise, generator.steps)
    return np.round(BIAS + np.abs(np.cos(angle)) * slow + np.abs(np.sin(angle)) * fast + noise, 2)


def changes(series: npt.NDArray[np.float64], differences: int) -> npt.NDArray[np.float32]:
    """The change against each of the last n steps, `(steps - n, n)`; column k - 1 is p_t - p_{t-k}.

    >>> changes(np.array([1.0, 2.0, 4.0, 8.0]), 2).tolist()
    [[2.0, 3.0], [4.0, 6.0]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(series, differences + 1)
    return (windows[:, -1:] - windows[:, -2::-1]).astype(np.float32)


def action_values(series: npt.NDArray[np.float64], discount: float) -> npt.NDArray[np.float32]:
    """Q of buying and of selling at every step, `(steps, 2)`; zero at the last one.

    >>> action_values(np.array([1.0, 2.0, 1.5]), 0.5).tolist()
    [[1.25, -0.75], [-0.5, 0.5], [0.0, 0.0]]
    """
    reward = np.diff(series)
    # The better of the two actions earns |r|, so one backward pass gives max Q. Each value needs
    # the rounded one after it; SciPy's filter does the same, and takes a second to import.
    gains = np.abs(reward)[::-1].tolist()
    best = np.array([*accumulate(gains, lambda value, gain: gain + discount * value)])[::-1]
    future = np.zeros(len(reward))
    future[:-1] = discount * best[1:]
    q = np.zeros((len(series), 2))
    q[:-1] = np.stack([reward + future, future - reward], axis=1)
    return q.astype(np.float32)


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """Each series as one record."""
    generator = context.source.generator
    builder = RecordBuilder(context)
    for file in files:
        series = prices(generator, file.number)
        values = changes(series, generator.differences)
        target = action_values(series, generator.discount)[generator.differences :]
        builder.add(
            file,
            record=0,
            content=values.ravel(),
            size_bytes=values.nbytes,
            length=len(values),
            content_hash=hashlib.sha256(values.tobytes()).digest(),
            target=target.ravel(),
        )
        if builder.full:
            yield builder.take()
    yield builder.take()


def _list(source: Source, base: Path) -> list[SourceFile]:
    """Virtual files: a series' bytes follow from the parameters, so those are what is hashed."""
    generator = source.generator
    count = {"train": generator.series, "test": generator.test_series}
    size_bytes = (generator.steps - generator.differences) * generator.differences * _VALUE_BYTES
    width = max(2, len(str(max(count.values()) - 1)))
    files = [
        SourceFile(
            path=f"{split}/{index:0{width}d}.series",
            number=index + (0 if split == "train" else generator.series),
            size_bytes=size_bytes,
        )
        for split in count
        for index in range(count[split])
    ]
    return [
        SourceFile(
            path=file.path,
            number=file.number,
            size_bytes=file.size_bytes,
            sha256=fingerprint("prices", generator, file.number),
        )
        for file in sorted(files, key=lambda file: file.path)
    ]


def _probe(files: Sequence[SourceFile], context: Context, known: SourceFacts | None) -> SourceFacts:
    count = context.source.generator.differences
    channels = tuple(f"change_{back}" for back in range(1, count + 1))
    return SourceFacts(channels=channels, target_names=TARGETS)


READER = Reader(version=1, workers="threads", list_files=_list, probe=_probe, read=read)
