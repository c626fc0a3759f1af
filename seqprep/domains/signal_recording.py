"""One recording: a file's table as channels, times, targets and constant cells.

The whole file is held in memory while it is read; `signal_probe` looks at beginnings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_columns import Picked, pick_columns
from seqprep.domains.signal_layout import Layout, SignalError, find_layout
from seqprep.domains.signal_tables import read_columns
from seqprep.ingestion.expand import Notice, read_bytes
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One file's content.

    Args:
        values: `(T, C)` float64, NaN where a value is missing.
        times: `(T,)` seconds, if there is a time column.
        targets: `(T, G)` per-step numbers, if asked for.
        classes: `(T,)` per-step names, if asked for.
        cells: the constant text of the label and group columns; kept: of the columns to keep.
        channels: names. first_line: the file's line of step 0; header_line: of the columns' names.
    """

    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64] | None
    targets: npt.NDArray[np.float64] | None
    classes: pl.Series | None
    cells: dict[str, str]
    kept: dict[str, str]
    channels: tuple[str, ...]
    first_line: int
    header_line: int


def load(file: SourceFile, context: Context, notice: Notice | None = None) -> Recording:
    """Read one file; oddities of its bytes are given to `notice`.

    Raises:
        SignalError: if the recording cannot be used.
        InputError: if the file cannot.
    """
    layout, picked = read_table(file, context, notice)
    steps = context.source.task == "label_steps" and not context.predicting
    numbers = [*picked.channels, *picked.time, *([] if steps else picked.targets)]
    texts = [*(picked.targets if steps else []), *picked.cells.values(), *picked.kept.values()]
    allow = context.source.missing == "interpolate"
    values, series = read_columns(layout, numbers=numbers, texts=texts, allow_missing=allow)
    count = len(picked.channels)
    strings = dict(zip((place for place in texts), series, strict=True))
    return Recording(
        values=values[:, :count],
        times=values[:, count] if picked.time else None,
        targets=values[:, len(numbers) - len(picked.targets) :]
        if picked.targets and not steps
        else None,
        classes=strings[picked.targets[0]] if steps and picked.targets else None,
        cells={key: _constant(strings[place], key) for key, place in picked.cells.items()},
        kept={key: _constant(strings[place], key) for key, place in picked.kept.items()},
        channels=picked.names,
        first_line=layout.first_line,
        header_line=layout.header_line,
    )


def read_table(
    file: SourceFile, context: Context, notice: Notice | None = None
) -> tuple[Layout, Picked]:
    """A file's table and where its columns stand.

    Raises:
        SignalError: if the recording cannot be used.
        InputError: if the file cannot.
    """
    source = context.source
    data = read_bytes(file, max_expanded_bytes=source.max_expanded_bytes, notice=notice)
    assert not isinstance(source.header, bool)
    layout = find_layout(data, header=source.header)
    return layout, pick_columns(layout, context, file)


def _constant(column: pl.Series, key: str) -> str:
    if column.n_unique() != 1:
        reason = "no_group" if key == "group" else "no_label"
        raise SignalError(
            reason, None, f"the column of {key} holds {column.n_unique()} values in one recording"
        )
    return str(column[0])
