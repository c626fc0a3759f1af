"""Rows whose every next symbol is to be foretold: what is read, and what follows it.

Made when batches are, after views were drawn: stored rows stay as they are, and a view never parts
a step from the symbol after it. A row that does not begin where its record does is read with OOV
before it, since what stood there is not known, and one that does not end where its record does has
no symbol after its last step. Of windows that overlap the earlier one answers, which knows more of
what stood before, so every symbol of a record is foretold once. Needs only numpy and pyarrow.

Legend: R rows, P spans of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seqprep.hashing import Ints, Keys
from seqprep.kernels import ranges
from seqprep.ragged import Ragged
from seqprep.schema import BOS, EOS, IGNORED_LABEL, OOV
from seqprep.views import mirrored_rows, view_spans


@dataclass(frozen=True, slots=True)
class Edges:
    """Where rows lie in their records.

    Args:
        begins: `(R,)` whether a row's first step is its record's first. ends: likewise the last.
        shared: `(R,)` steps at its head that the window before it holds, too.
    """

    begins: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.bool_]
    shared: npt.NDArray[np.int32]

    @classmethod
    def of(cls, keys: Keys, views: Ints, windows: Ints, lengths: Ints, *, stride: int) -> Self:
        """Of all stored rows of some records, in any order.

        View 0 is the record as the recipe leaves it; where others begin and end is not known.

        Args:
            keys: `(R,)` of their records.
            views: `(R,)` number of the view.
            windows: `(R,)` number of the window.
            lengths: `(R,)` steps.
            stride: steps from one window to the next; 0 where rows are not windows.

        >>> from seqprep.hashing import row_keys
        >>> numbers = np.arange(2)
        >>> Edges.of(np.zeros(2, np.uint64), 0 * numbers, numbers, np.array([4, 3]), stride=3)
        Edges(begins=array([ True, False]), ends=array([False,  True]), shared=array([0, 1], ...
        """
        whole = views == 0
        ends, shared = whole.copy(), np.zeros(len(whole), np.int32)
        if windows.any():
            order = np.lexsort((windows, views, keys))
            same = (np.diff(keys[order]) == 0) & (np.diff(views[order]) == 0)
            before, after = order[:-1][same], order[1:][same]
            ends[before] = False
            if stride:
                hops = stride * (windows[after] - windows[before])
                shared[after] = np.clip(lengths[before] - hops, 0, lengths[after])
        return cls(whole & (windows == 0), ends, shared)

    def take(self, rows: Ints) -> Edges:
        """Of the named rows, in that order."""
        return Edges(self.begins[rows], self.ends[rows], self.shared[rows])

    def after(
        self, lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
    ) -> Edges:
        """Of the rows after one step of a chain, with the arguments of `views.apply_view`.

        Single steps that go leave a thinner record with both its ends.

        Args:
            lengths: `(R,)` before the step.
            step: as for `views.view_spans`.
            keys: likewise.
            seed: likewise.
            view: likewise.
        """
        begins, ends = self.begins, self.ends
        spans = view_spans(lengths, step, keys, seed=seed, view=view)
        if spans is not None:
            starts, sizes = spans
            first = np.where(sizes > 0, starts, lengths[:, None]).min(axis=1)
            stop = np.where(sizes > 0, starts + sizes, 0).max(axis=1)
            begins, ends = begins & (first == 0), ends & (stop == lengths)
        elif step["name"] == "reverse_complement":
            turned = mirrored_rows(step, keys, seed=seed, view=view)
            begins, ends = np.where(turned, ends, begins), np.where(turned, begins, ends)
        return Edges(begins, ends, np.zeros_like(self.shared))


def foretold(rows: Ragged, edges: Edges | None = None) -> tuple[Ragged, Ragged]:
    """What is read of rows, and beside each of these steps the symbol that follows it.

    Args:
        rows: R rows of token ids; both results have one step more.
        edges: where they lie in their records; None: each is a whole one.

    Returns:
        BOS or OOV and each row; each row and EOS or IGNORED_LABEL, which also stands where the
        window before tells of a symbol.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> read, follows = foretold(from_lists([[7, 8], [9]]))
    >>> to_lists(read), to_lists(follows)
    ([[2, 7, 8], [2, 9]], [[7, 8, 3], [9, 3]])
    >>> edges = Edges(np.array([True, False]), np.array([False, True]), np.array([0, 1], np.int32))
    >>> read, follows = foretold(from_lists([[7, 8], [8, 9]]), edges)
    >>> to_lists(read), to_lists(follows)
    ([[2, 7, 8], [1, 8, 9]], [[7, 8, -1], [-1, 9, 3]])
    """
    offsets = rows.offsets + np.arange(len(rows.offsets))
    first = np.zeros(int(offsets[-1]), dtype=bool)
    first[offsets[:-1]] = True
    last = np.zeros_like(first)
    last[offsets[1:] - 1] = True
    read, follows = (np.empty(len(first), rows.values.dtype) for _ in range(2))
    read[~first] = follows[~last] = rows.values
    read[first], follows[last] = BOS, EOS
    if edges is not None:
        read[first] = np.where(edges.begins, BOS, OOV)
        follows[last] = np.where(edges.ends, EOS, IGNORED_LABEL)
        follows[ranges(offsets[:-1], edges.shared.astype(np.int64))] = IGNORED_LABEL
    return Ragged(read, offsets), Ragged(follows, offsets)
