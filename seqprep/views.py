"""What the steps of a recipe select of ragged rows, as a stored view or afresh in each epoch.

Use it where a step is applied and where lengths after it are needed before any row is read. Numbers
are drawn from (seed, key of the record, view), so that the same record gives the same result in any
order, on any worker, on any platform. Needs only numpy and pyarrow.

Legend: R rows, N steps of all rows together, F features of a step, P spans of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.hashing import Ints, Keys, mix, uniform
from seqprep.kernels import (
    cut_spans,
    piece_spans,
    shift_spans,
)
from seqprep.marks import thin_marks, turn_rows
from seqprep.ragged import Ragged, cut, keep


def _fold(keys: Keys, views: Ints | int) -> Keys:
    """Keys that also depend on the view, `(R,)`; view 0 and every other differ."""
    salt = np.broadcast_to(np.asarray(views, dtype=np.int64), keys.shape).astype(np.uint64)
    return mix(keys.astype(np.uint64) ^ mix(salt, 7), 0)


def _step_keys(step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int) -> Keys:
    return mix(_fold(keys, view), seed, step["position"])


def mirrored_rows(
    step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> npt.NDArray[np.bool_]:
    """Which rows a `reverse_complement` step turns round: each with probability `p`, `(R,)`."""
    return uniform(_step_keys(step, keys, seed=seed, view=view), 0) < step["p"]


def view_spans(
    lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> tuple[Ints, Ints] | None:
    """The spans that one step of a chain selects, `(R, P)` starts and sizes; None if not spans.

    Args:
        lengths: `(R,)` of the rows.
        step: its `name`, its `position` in the chain, and its options.
        keys: `(R,)`, see `row_keys` and `draw_keys`.
        seed: of the recipe.
        view: number of the view, one or `(R,)`; on the fly: of the epoch.
    """
    keys = _step_keys(step, keys, seed=seed, view=view)
    match step["name"]:
        case "truncate":
            return cut_spans(lengths, length=step["length"], keep=step["keep"], keys=keys)
        case "subsequences":
            return piece_spans(
                lengths,
                pieces=step["pieces"],
                piece=step["piece"],
                overlap=step["overlap"],
                keys=keys,
            )
        case "shift":
            return shift_spans(lengths, most=step["max"], stride=step["stride"], keys=keys)
        case "remove_steps" | "reverse_complement":
            return None
        case name:
            raise ValueError(f"no kernel for step {name!r}")


def view_marks(
    offsets: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> npt.NDArray[np.bool_]:
    """Marks the steps that `remove_steps` leaves, `(N,)`.

    Steps and per-step targets of the same rows are selected by the same marks.

    Args:
        offsets: `(R + 1,)` of the rows, the first 0.
        step: as for `view_spans`.
        keys: as for `view_spans`.
        seed: as for `view_spans`.
        view: as for `view_spans`.
    """
    drawn = _step_keys(step, keys, seed=seed, view=view)
    return thin_marks(offsets, length=step["length"], keys=drawn)


def view_lengths(
    lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ints:
    """Lengths of the rows after the step, without touching any row, `(R,)`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    spans = view_spans(lengths, step, keys, seed=seed, view=view)
    if spans is not None:
        return spans[1].sum(axis=1)
    if step["name"] == "remove_steps":
        return np.minimum(lengths, step["length"])
    return lengths


def apply_view(
    ragged: Ragged, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ragged:
    """The rows after one step of a chain: what is stored as a view, or drawn for an epoch.

    Args:
        ragged: tokens `(N,)` or values `(N, F)`.
        step: as for `view_spans`; `reverse_complement` also needs `complement`, the id of each
            id's complement.
        keys: as for `view_spans`.
        seed: as for `view_spans`.
        view: as for `view_spans`.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> step = {"name": "truncate", "position": 0, "length": 2, "keep": "tail"}
    >>> rows = from_lists([[1, 2, 3], [4]])
    >>> to_lists(apply_view(rows, step, np.zeros(2, np.uint64), seed=0, view=0))
    [[2, 3], [4]]
    """
    spans = view_spans(ragged.lengths, step, keys, seed=seed, view=view)
    if spans is not None:
        return cut(ragged, *spans)
    if step["name"] == "remove_steps":
        return keep(ragged, view_marks(ragged.offsets, step, keys, seed=seed, view=view))
    turned = mirrored_rows(step, keys, seed=seed, view=view)
    complement = np.asarray(step["complement"])
    values = turn_rows(ragged.values, ragged.offsets, turned, table=complement)
    return Ragged(values, ragged.offsets)
