"""What is cut out of one subject's recordings stays on one side of a split (mistake 9)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqprep.recipe import Prepare, Split
from tests.seqprep.test_prepare import prepared, rows_of
from tests.synthetic import write_sequences

RECIPE = Prepare(
    steps=({"windows": {"length": 8, "stride": 4}}, {"remove_steps": {"length": 6, "views": 2}})
)


@pytest.mark.parametrize(
    "split",
    [Split(), Split(by="folds", of="group"), Split(by="folds", count=3)],
    ids=["hash", "one group out", "folds"],
)
def test_windows_and_views_of_a_subject_are_in_one_split(tmp_path: Path, split: Split) -> None:
    """A model would know its test subjects from training, and score what no new subject gives."""
    rng = np.random.default_rng(0)
    recordings = [
        {
            "values": rng.normal(size=40 + n % 9).astype(np.float32).tolist(),
            "label": "ab"[n % 2],
            "source": f"s{n % 40}-{n}.csv",
            "group": f"s{n % 40}",
        }
        for n in range(80)
    ]
    write_sequences(tmp_path, recordings, domain="eeg", channels=["left"])
    done = prepared(tmp_path, domain="eeg", split=split, recipe=RECIPE)
    places: dict[str, set[str]] = {}
    rows = rows_of(done)
    for row in rows:
        places.setdefault(row["id"].partition("-")[0], set()).add(row["split"])
    assert len(rows) > 80 * 9 and max(row["view"] for row in rows) == 2
    assert len(places) == 40 and all(len(splits) == 1 for splits in places.values())
    assert {split for splits in places.values() for split in splits} >= {"train", "test"}
