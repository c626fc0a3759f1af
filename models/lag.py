"""How far back a trained model looks: the gradient of its output by the distance from the end.

For a sample of rows, the norm of the gradient of an output with respect to each step's input
features (a token's embedding or one-hot vector, or the values), gathered by lag: the last step has
lag 0. Use it to see whether a model uses, or could learn from, what lies far back; a gradient that
has died out at some lag teaches nothing about the steps before. Backwards in two directions, or
with mean, max or attention pooling, the path to an early step is short, and the curve is flat where
that of the last state alone falls. A small gradient is not proof of an unused step: a saturated
unit has used it and is sure.

The gradient is that of full backpropagation, however the model was trained, with dropout and noise
off, in float32. Of long records activations are computed again, so memory holds a few sequences of
H units a layer.

Legend: B rows of a batch, T steps, F features, C outputs, R rows of the sample, N bins.
Source: Hochreiter et al. 2001, "Gradient flow in recurrent nets: the difficulty of learning
long-term dependencies"; Pascanu et al. 2013, arXiv:1211.5063.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from models.backpropagation.exact import fast_block
from models.bundle import Bundle
from models.device import set_precision
from models.input_gradients import input_gradients
from models.shape import to_tensors
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import Ints
from seqprep.schema import Split
from seqprep.snapshot import Snapshot, read_shard

Floats = npt.NDArray[np.float64]
BINS_A_DECADE = 8
SHARES = (0.5, 0.9, 0.99)
"""Shares of the gradient whose reach is told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lags:
    """Gradient norms of R rows by lag.

    Args:
        edges: `(N + 1,)` bin n holds the lags `edges[n]` up to `edges[n + 1] - 1`, in input steps.
        norms: `(R, N)` mean norm over the steps of a row in a bin; NaN where the row is too short.
        steps: `(N,)` steps of all rows in each bin.
        reach: for each of SHARES, how many last steps hold that share of a row's gradient, as the
            mean row has it; 0 where no row has any gradient.
    """

    edges: Ints
    norms: Floats
    steps: Ints
    reach: dict[float, int]


def gradient_by_lag(
    bundle: Bundle,
    rows: pa.Table,
    *,
    device: torch.device,
    progress: Callable[[str, int, int], None] | None = None,
) -> Lags:
    """Run a model over rows and backwards from one output of each.

    The output is the logit of the predicted class (of the last step, of the first target symbol),
    or the norm of the predicted values (of the last step); see PROBED.

    Args:
        bundle: a trained model.
        rows: of prepared examples, R >= 1.
        device: to run on.
        progress: called as (what, done, total).
    """
    model = bundle.model.to(device)
    set_precision(model, "float32")
    settings = BatchSettings(batch_tokens=bundle.batch_tokens)
    source = BatchSource.of_examples(rows, bundle.facts, settings=settings)
    found: dict[int, npt.NDArray[np.float32]] = {}
    for batch in source.batches(source.plan_evaluation()):
        tensors = to_tensors(batch, device)
        block = fast_block(model, bundle.config, len(tensors), device.type)
        norms_BT = input_gradients(
            model,
            tensors,
            bundle.facts.task,
            block=block if block < tensors.inputs.shape[0] * tensors.inputs.shape[1] else None,
        ).cpu()
        for row, length, norms in zip(batch.rows, batch.lengths, norms_BT.numpy(), strict=True):
            found[int(row)] = norms[:length][::-1]
        if progress is not None:
            progress("records", len(found), len(source))
    return gather([found[row] for row in range(len(source))])


def lag_edges(longest: int) -> Ints:
    """Edges of logarithmic bins of lags: lag 0 alone, then at most 8 bins a decade.

    >>> lag_edges(12).tolist()
    [0, 1, 2, 3, 4, 6, 7, 10, 12]
    """
    decades = np.log10(max(longest, 1)) + 1
    powers = 10 ** (np.arange(int(decades * BINS_A_DECADE) + 1) / BINS_A_DECADE)
    edges: Ints = np.unique(np.append(0, np.round(powers).astype(np.int64)))
    return np.append(edges[edges < longest], longest)


def gather(rows: Sequence[npt.NDArray[Any]]) -> Lags:
    """Put the norms of rows into bins.

    Args:
        rows: R arrays, each the norms of a row from its last step to its first.
    """
    longest = max(len(row) for row in rows)
    edges = lag_edges(longest)
    norms = np.full((len(rows), len(edges) - 1), np.nan)
    steps = np.zeros(len(edges) - 1, dtype=np.int64)
    share = np.zeros(longest)
    for number, row in enumerate(rows):
        starts = edges[:-1][edges[:-1] < len(row)]
        sizes = np.diff(np.append(starts, len(row)))
        norms[number, : len(starts)] = np.add.reduceat(row.astype(np.float64), starts) / sizes
        steps[: len(starts)] += sizes
        total = row.sum(dtype=np.float64)
        if total > 0:
            share[: len(row)] += row / total
    return Lags(edges=edges, norms=norms, steps=steps, reach=_reach(share))


def _reach(share: Floats) -> dict[float, int]:
    """How many last steps hold each of SHARES of what is in `share`, `(T,)` by lag."""
    grown = np.cumsum(share)
    if not grown[-1] > 0:
        return dict.fromkeys(SHARES, 0)
    places = np.searchsorted(grown / grown[-1], np.array(SHARES) - 1e-12) + 1
    return dict(zip(SHARES, places.tolist(), strict=True))


def lag_table(lags: Lags) -> pa.Table:
    """A row a bin, with mean and quartiles over the rows that reach into it.

    Columns: `from_lag`, `to_lag`, `mean`, `q25`, `median`, `q75` of the gradient norm, and of how
    many `records` and `steps`.
    """
    low, median, high = np.nanpercentile(lags.norms, (25, 50, 75), axis=0)
    return pa.table(
        {
            "from_lag": lags.edges[:-1],
            "to_lag": lags.edges[1:] - 1,
            "mean": np.nanmean(lags.norms, axis=0),
            "q25": low,
            "median": median,
            "q75": high,
            "records": (~np.isnan(lags.norms)).sum(axis=0),
            "steps": lags.steps,
        }
    )


def sample_rows(snapshot: Snapshot, split: Split, *, records: int, seed: int) -> pa.Table:
    """Some rows of a split, drawn at random, in stored order; all of them if there are fewer.

    Args:
        snapshot: its shards are hashed before they are used.
        split: to draw from.
        records: how many rows.
        seed: of the draw.

    Raises:
        CorruptError: if a shard is missing or altered.
    """
    shards, total = snapshot.of(split), snapshot.rows(split)
    drawn = np.random.default_rng(seed).permutation(total)[:records]
    drawn.sort()
    parts, first = [], 0
    for shard in shards:
        here = drawn[(drawn >= first) & (drawn < first + shard.rows)] - first
        first += shard.rows
        if len(here):
            snapshot.verify([shard])
            parts.append(read_shard(snapshot, shard).take(pa.array(here)))
    return pa.concat_tables(parts)
