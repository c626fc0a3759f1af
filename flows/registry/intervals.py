"""Intervals of the difference of two scores on the same records, by drawing the records again.

Percentiles of a paired bootstrap: what both answers share cancels out. It says how much another
sample of records would change, not another seed of the training.

Sources: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13; Koehn 2004,
https://aclanthology.org/W04-3250/ (paired). Legend: K pairs of answers, R records.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

DRAWS, DRAWS_AT_ONCE, SEED = 1000, 50, 0


def intervals(differences: csr_array, *, level: float = 0.95) -> tuple[npt.NDArray, npt.NDArray]:
    """Bounds of the mean difference of each of K pairs when records are drawn again, `(K,)` each.

    Args:
        differences: `(K, R)` of each record, mostly none.
        level: share of the draws between the bounds.
    """
    generator = np.random.default_rng(SEED)
    records = differences.shape[1]
    means = []
    for _ in range(0, DRAWS, DRAWS_AT_ONCE):
        drawn = generator.multinomial(records, np.full(records, 1 / records), size=DRAWS_AT_ONCE)
        means.append(differences @ drawn.T / records)
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means, axis=1), (tail, 1 - tail), axis=1)
    return low, high
