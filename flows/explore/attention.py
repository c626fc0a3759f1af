"""Plots of the attention weights that `seqprep predict --attention` writes.

Of pooled models a curve over the steps of a record; of an encoder-decoder a map of symbols by
steps. Steps are those of the core: a strided front leaves fewer than the record has. Windows stand
one after the other, and where they overlap, their steps stand there twice: the title tells.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pyarrow.parquet as pq
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from flows.references import Json
from flows.reporting.plots import BLUE, DPI, save

SHOWN = 6
"""Records of a plot, the first ones of the file."""
TEXT = 46


def plot_attention(predictions: Path) -> Path | None:
    """Plot the weights of the first records; none where no record has any.

    Args:
        predictions: a Parquet file with a column `attention`.

    Returns:
        The PNG, beside the file.
    """
    file = pq.ParquetFile(predictions)
    names = ["id", "prediction", "attention", "attention_shape"]
    columns = [name for name in names if name in file.schema_arrow.names]
    rows: list[Json] = []
    for batch in file.iter_batches(batch_size=256, columns=columns):
        rows += [row for row in batch.to_pylist() if row["attention"]][: SHOWN - len(rows)]
        if len(rows) == SHOWN:
            break
    if not rows:
        return None
    path = predictions.with_suffix(".attention.png")
    height = 1.5 * len(rows) + 0.4
    figure, every = plt.subplots(
        len(rows), 1, figsize=(7.2, height), dpi=DPI, layout="constrained", squeeze=False
    )
    for axes, row in zip(every[:, 0], rows, strict=True):
        _curve(axes, row) if row.get("attention_shape") is None else _map(axes, row)
        axes.set_title(_title(row), fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
    every[-1, 0].set_xlabel("step of the record, as the core reads it", fontsize=8)
    save(figure, path)
    return path


def _curve(axes: Axes, row: Json) -> None:
    weights = np.asarray(row["attention"])
    axes.fill_between(np.arange(len(weights)), weights, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(weights, color=BLUE, linewidth=0.9)
    axes.set_xlim(0, max(1, len(weights) - 1))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("weight", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _map(axes: Axes, row: Json) -> None:
    weights = np.asarray(row["attention"]).reshape(row["attention_shape"])
    axes.imshow(weights, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest")
    axes.set_ylabel("symbol", fontsize=8)


def _title(row: Json) -> str:
    answer = row["prediction"]
    text = f"{answer:.4g}" if isinstance(answer, float) else str(answer)
    text = text if len(text) <= TEXT else text[: TEXT - 1] + "…"
    windows = 1 if row.get("attention_shape") else round(sum(row["attention"]))  # 1 in each of them
    joined = f" ({windows} windows, one after the other)" if windows > 1 else ""
    return f"{row['id']}: {text}{joined}"
