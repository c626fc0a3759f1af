"""What the passes of a preparation gave, over the whole version: new rows and those that stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqprep.fitted import Fitted
from seqprep.preparation.drift import Since
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.totals import Totals
from seqprep.ragged import Ints
from seqprep.staging import StagedFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What the passes gave, over the whole version.

    Args:
        files: shards to add. remove: shards that go, or all others.
        totals: numbers of all rows. fitted: the state, with its limits. finisher: of the rows.
        steps: `(R,)` of each record before any technique. emptied: `(R,)` left without steps.
        before: `(3,)` steps by split before any technique.
        since: training rows at the fit, and what joined since. now: and what joined now.
        added, removed: records.
    """

    files: Sequence[StagedFile]
    remove: Sequence[str] | Literal["all"]
    totals: Totals
    fitted: Fitted
    finisher: Finisher
    steps: npt.NDArray[np.int32]
    emptied: npt.NDArray[np.bool_]
    before: Ints
    since: Since
    now: Since
    added: int
    removed: int
