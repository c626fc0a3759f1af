"""Random projection of windows (P11): T steps become about T / stride of a few features.

Use it to shorten many channels, or windows whose shape tells, to a size that is chosen, without
fitting anything: distances between windows are kept to about 1 / sqrt(features). Not where a mean
or a spectrum says what matters, which needs fewer features.

Source: Johnson & Lindenstrauss 1984, doi:10.1090/conm/026/737400; Gaussian draws by Box & Muller
1958, doi:10.1214/aoms/1177706645
Legend: N steps, B windows, F channels, P features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqprep.blocks import Floats, Spans, window_spans
from seqprep.errors import ConfigError
from seqprep.hashing import mix, uniform
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import check_at_least

_BLOCK_BYTES = 2**20
"""Sums of so many bytes are worked on at a time, so that they stay in the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Project(MergingStep):
    """Windows times one random matrix of (window x channels, features), scaled 1 / sqrt(features).

    The matrix follows from the seed and the step's place in the chain, and sums are added in one
    order, so the result is the same on every machine. Windows begin every `stride` steps until all
    steps are in one; steps that a window at the end lacks count as zeros.

    Args:
        window: steps that are projected together.
        stride: steps from one window's start to the next's; default `window` (no overlap).
        features: of the result.
        seed: of the matrix; default the recipe's.
        targets: of the last step of a window, or their mean or majority.

    >>> form = Form(unit="value", channels=("Fz",), rate_hz=256.0)
    >>> Project(window=64, stride=32, features=2).outcome(form).channels
    ('projection 0', 'projection 1')
    """

    name: ClassVar[str] = "project"

    window: int
    stride: int | None = None
    features: int
    seed: int | None = None

    def __post_init__(self) -> None:
        check_at_least(self.name, "window", self.window, 1, "step")
        if self.stride is None:
            object.__setattr__(self, "stride", self.window)
        check_at_least(self.name, "stride", self.hop, 1, "step")
        check_at_least(self.name, "features", self.features, 1, "feature")
        if self.seed is not None:
            check_at_least(self.name, "seed", self.seed, 0, "")
        if self.hop > self.window:
            raise ConfigError(
                f"project.stride must be <= window = {self.window}, or steps between windows would "
                f"be lost; got {self.stride}"
            )
        self.check_targets()

    @property
    def hop(self) -> int:
        """The stride, filled in."""
        return self.window if self.stride is None else self.stride

    def window_steps(self, form: Form) -> int:
        """Steps of a whole window."""
        return self.window

    def outcome(self, form: Form) -> Form:
        """So many features, at a lower rate."""
        names = tuple(f"projection {number}" for number in range(self.features))
        return form.as_values(names, rate_hz=form.rate_hz and form.rate_hz / self.hop)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Project the windows of every row."""
        spans = window_spans(chunk.steps.offsets, window=self.window, stride=self.hop, tail=True)
        shape = (self.window, chunk.steps.values.shape[1], self.features)
        seed = context.seed if self.seed is None else self.seed
        matrix = gaussian(shape, seed, context.position) / np.sqrt(self.features)
        return self.merge(chunk, project(chunk.steps.values, spans, matrix), spans)


def gaussian(shape: tuple[int, ...], *salts: int) -> Floats:
    """Numbers of mean 0 and deviation 1 that follow from the salts alone.

    They are rounded to 2^-20, so that the last bit of a logarithm, which differs between machines,
    does not matter.

    >>> bool((gaussian((2, 3), 7) == gaussian((2, 3), 7)).all())
    True
    """
    places = np.arange(int(np.prod(shape)), dtype=np.uint64)
    keys = mix(places, 13, *salts)
    radius = np.sqrt(-2 * np.log(1 - uniform(keys, 1)))
    drawn = radius * np.cos(2 * np.pi * uniform(keys, 2))
    rounded: Floats = np.round(drawn.reshape(shape) * 2**20) * 2.0**-20
    return rounded


def project(
    values: npt.NDArray[np.generic], spans: Spans, matrix: Floats
) -> npt.NDArray[np.float32]:
    """Spans times the matrix, `(B, P)`.

    A matrix product may add in another order for other numbers of rows; here each sum is added step
    by step and channel by channel, whatever stands beside it, and no window is copied.

    Args:
        values: `(N, F)`.
        spans: of at most as many steps as the matrix has.
        matrix: `(window, F, P)`.
    """
    features = matrix.shape[-1]
    result = np.empty((len(spans), features), dtype=np.float32)
    block = max(_BLOCK_BYTES // (8 * features), 1)
    for first in range(0, len(spans), block):
        starts = spans.starts[first : first + block]
        sizes = spans.sizes[first : first + block]
        result[first : first + block] = _sums(values, starts, sizes, matrix)
    return result


def _sums(
    values: npt.NDArray[np.generic],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    matrix: Floats,
) -> Floats:
    sums = np.zeros((len(starts), matrix.shape[-1]))
    last = starts + sizes - 1
    for place, weights in enumerate(matrix):
        here = values[np.minimum(starts + place, last)].astype(np.float64)
        here[sizes <= place] = 0
        for channel, weight in enumerate(weights):
            sums += here[:, channel, None] * weight
    return sums
