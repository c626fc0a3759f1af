"""How much of the training data is new between two versions of `examples`.

Use it to decide whether a model is worth training again. Only versions with the same options and
fitted state compare; of others every record is new.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqprep.preparation.append import read_previous
from seqprep.splits import TRAIN
from seqprep.table import Table


def new_share(examples: Table, before: int, version: int) -> float | None:
    """New or changed training records of a version, over all of the one before.

    Args:
        examples: the table of a recipe.
        before: a version of it.
        version: a later one.

    Returns:
        The share, above 1 where more joined than there were; None where a version no longer says.
    """
    then, now = _training(examples, before), _training(examples, version)
    if then is None or now is None:
        return None
    joined = np.setdiff1d(now, then)
    return len(joined) / max(len(then), 1)


def _training(examples: Table, version: int) -> npt.NDArray[np.uint64] | None:
    """A number for each training record and all that decides its rows; none twice."""
    kept = read_previous(examples, version)
    if kept is None:
        return None
    return np.unique(kept.column("identity")[kept.column("final") == TRAIN])
