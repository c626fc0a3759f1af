"""Records before and after a recipe, as a person can read them: words, letters, or small curves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from flows.references import Json
from flows.reporting.counted import counted
from seqprep.preparation.job import Job
from seqprep.preparation.lists import list_rows
from seqprep.preview import Preview, first_epoch
from seqprep.ragged import Ints, Ragged
from seqprep.schema import CONTENT_COLUMN, OOV, SPLITS, Task, num_reserved
from seqprep.splits import TRAIN

TEXT = 180
"""Letters of a record that are shown, half of them from its end."""
CURVE = 22
CHANNELS = 3
BARS = "▁▂▃▄▅▆▇█"
UNKNOWN = "<?>"


def side_by_side(job: Job, found: Preview, *, seed: int) -> list[Json]:
    """The chosen records: id, split, label, and content before and after.

    Args:
        job: what is previewed.
        found: by `make_preview`.
        seed: of what is drawn in every epoch; shown is the first one's draw.
    """
    starts = found.roster.records.starts
    chunks = np.searchsorted(starts, found.chosen, side="right") - 1
    return [
        _record(job, found, int(record), int(chunk), seed=seed)
        for record, chunk in zip(found.chosen, chunks, strict=True)
    ]


def _record(job: Job, found: Preview, record: int, chunk: int, *, seed: int) -> Json:
    roster, content = found.roster, CONTENT_COLUMN[job.domain]
    table = job.table.read_group(*roster.chunks[chunk], ["id", "length", content])
    own = table.slice(record - int(roster.records.starts[chunk]), 1)
    label = None
    if roster.labels is not None:
        number = roster.labels[record]
        label = roster.names[int(number)] if roster.names else float(number)
    return {
        "id": own["id"][0].as_py(),
        "split": SPLITS[int(roster.splits[record])],
        "label": label,
        "steps_before": int(found.encoding.steps[record]),
        **_after(job, found, record, chunk, seed=seed),
        "before": _before(own[content], job.width),
    }


def _before(content: pa.ChunkedArray, width: int | None) -> str:
    if width is None:
        return shortened(content[0].as_py())
    return curves(list_rows(content, width=width).values)


def _after(job: Job, found: Preview, record: int, chunk: int, *, seed: int) -> Json:
    """A row of the record as training reads it: its first view where there are some, window 0."""
    key = found.roster.records.keys[record].astype(np.int64)
    tables = [table for number, table in found.rows if number == chunk]
    rows = pa.concat_tables(tables)
    mine = np.flatnonzero(rows["key"].to_numpy() == key)
    view, window = (rows[name].to_numpy()[mine].astype(np.int64) for name in ("view", "window"))
    first = mine[np.lexsort((window, view == 0))[0]]
    row = rows.slice(int(first), 1)
    steps = list_rows(row["tokens"]) if "tokens" in row.column_names else _values(row)
    training = found.roster.splits[record] == TRAIN
    drawn = training and bool(found.on_the_fly)
    if drawn:
        steps = first_epoch(found, row, steps, seed=seed)
    told = {
        "rows_after": len(mine),
        "view": int(row["view"][0].as_py()),
        "drawn": drawn,
        "steps_after": len(steps.values),
    }
    if "tokens" in row.column_names:
        return told | {"after": _words(steps.values, found, task=job.task)}
    return told | {"after": curves(steps.values)}


def _values(row: pa.Table) -> Ragged:
    return list_rows(row["values"], width=_width(row))


def _width(row: pa.Table) -> int:
    return len(row["values"][0]) // max(int(row["length"][0].as_py()), 1)


def _words(ids: Ints, found: Preview, *, task: Task) -> str:
    known, reserved = found.fitted.vocabulary, num_reserved(task)
    names = [UNKNOWN if number == OOV else known[number - reserved] for number in ids.tolist()]
    single = all(len(name) == 1 for name in known)
    return shortened(("" if single else " ").join(names))


def shortened(text: str, *, most: int = TEXT) -> str:
    """Beginning and end of a text in one line.

    >>> shortened("one  two three four five", most=12)
    'one tw … r five'
    """
    joined = " ".join(text[: 4 * most].split()) if len(text) < 4 * most else None
    if joined is not None and len(joined) <= most:
        return joined
    head, tail = " ".join(text[: 2 * most].split()), " ".join(text[-2 * most :].split())
    return f"{head[: most // 2]} … {tail[-(most // 2) :].strip()}"


def curves(values: np.ndarray) -> str:
    """Steps `(N, F)` as one small curve for each of the first channels, with their range.

    >>> curves(np.array([[0.0], [1.0], [2.0]]))
    '▁▅█ 0 to 2'
    """
    told = [_curve(values[:, channel]) for channel in range(min(values.shape[1], CHANNELS))]
    more = values.shape[1] - CHANNELS
    return "\n".join([*told, *([f"and {counted(more, 'more channel')}"] if more > 0 else [])])


def _curve(numbers: np.ndarray) -> str:
    parts = np.array_split(numbers, min(CURVE, max(len(numbers), 1)))
    means = np.array([part.mean() if len(part) else 0.0 for part in parts], dtype=np.float64)
    low, high = float(means.min()), float(means.max())
    spread = high - low or 1.0
    place = (means - low) / spread * (len(BARS) - 1)
    drawn = "".join(BARS[round(one)] for one in place.tolist())
    return f"{drawn} {numbers.min():.4g} to {numbers.max():.4g}"
