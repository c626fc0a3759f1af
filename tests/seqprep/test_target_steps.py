"""Steps on the target text: it may be truncated, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.preparation.target_text import target_steps
from seqprep.prepare import apply_fitted
from seqprep.recipe import Prepare, Tokens
from tests.seqprep.test_prepare import fitted_of, prepared, rows_of
from tests.synthetic import write_sequences

RECIPE = Prepare(
    tokens=Tokens(unit="word"),
    steps=({"truncate": {"length": 1, "keep": "head"}},),
    target_steps=({"truncate": {"length": 2, "keep": "tail"}},),
)


def test_targets_are_cut_by_their_own_steps(tmp_path: Path) -> None:
    """A target would be cut with its source, or stay longer than the decoder is asked for."""
    answers = [
        {"text": f"w{n} x y", "target_text": "AAB" + "C" * (n % 2), "source": f"f{n:03}.txt"}
        for n in range(60)
    ]
    table = write_sequences(tmp_path, answers, task="translate")
    done = prepared(tmp_path, task="translate", recipe=RECIPE)
    fitted = Fitted.from_bytes(fitted_of(tmp_path, done))
    names = dict(enumerate(fitted.target_vocabulary, start=4))
    rows = {row["id"]: row for row in rows_of(done)}
    for number, row in ((int(id_[1:4]), row) for id_, row in rows.items()):
        assert row["length"] == 1
        assert "".join(names[t] for t in row["target_tokens"]) == ("BC" if number % 2 else "AB")
    records = table.read_group(table.files()[0], 0)
    applied = apply_fitted(
        records, domain="text", task="translate", recipe=RECIPE, fitted=fitted
    ).to_pylist()
    assert [row["target_tokens"] for row in applied] == [
        rows[row["id"]]["target_tokens"] for row in applied
    ]


@pytest.mark.parametrize(
    ("step", "task", "message"),
    [
        ({"truncate": {"length": 2}}, "classify", "only with task: translate"),
        ({"truncate": {"length": 2, "keep": "random"}}, "translate", "does not fit a target"),
        ({"summarize": {"drop_top": 2}}, "translate", r"target_steps\[0\]: summarize does not fit"),
        ({"truncate": {"length": 0}}, "translate", r"target_steps\[0\]: truncate.length must be"),
    ],
)
def test_what_does_not_fit_a_target_is_refused(
    step: dict[str, Any], task: Any, message: str
) -> None:
    """Another answer than the record's would be learnt, or a step be ignored."""
    with pytest.raises(ConfigError, match=message):
        target_steps(Prepare(target_steps=(step,)), task=task)
