"""The study of removal: which tokens it tries, what it concludes, and that no test row is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from flows.explore.candidates import Candidates, candidates
from flows.explore.usefulness import check_snapshot, effect_table
from flows.explore.usefulness import usefulness as study
from flows.explore.without_token import write_without
from flows.pipeline_file import build
from flows.registry.intervals import intervals
from models.scores.masking import Masked
from seqprep.errors import ConfigError
from seqprep.schema import OOV
from seqprep.snapshot import Snapshot, read_shard
from seqprep.table_files import write_table
from seqprep.token_table import TokenTable
from tests.conftest import ROOT
from tests.models.scores.test_masking import trained
from tests.synthetic import task_snapshot


def test_drops_are_means_over_all_validation_records() -> None:
    """A token that few records hold would seem as useful as one that all hold."""
    masked = Masked(
        scores=np.array([0.9, 0.8, 0.7, 0.6]),
        token=np.array([0, 1, 1]),
        record=np.array([0, 1, 2]),
        without=np.array([0.5, 0.9, 0.7]),
    )
    chosen = Candidates(
        ids=np.array([2, 3, 4]), tokens=["a", "b", "c"], counts=np.array([5, 6, 7]), promise=None
    )
    table = effect_table(masked, chosen, holders=np.array([1, 2, 0])).to_pydict()
    assert table["token"] == ["a", "c", "b"]
    assert table["drop"] == pytest.approx([0.1, 0.0, -0.025])
    assert table["score"] == pytest.approx([0.65, 0.75, 0.775])
    assert table["records"] == [1, 0, 2]
    assert table["count"] == [5, 7, 6]
    assert table["low"][1] == table["high"][1] == 0


def test_intervals_are_those_of_the_mean() -> None:
    """Noise would be taken for an effect, or the intervals be of single records."""
    drawn = np.random.default_rng(1).normal(0.5, 1.0, (2, 400))
    low, high = intervals(csr_array(drawn))
    spread = 1.96 * drawn.std(axis=1) / 20
    np.testing.assert_allclose(low, drawn.mean(axis=1) - spread, atol=0.02)
    np.testing.assert_allclose(high, drawn.mean(axis=1) + spread, atol=0.02)
    again = intervals(csr_array(drawn))
    assert (again[0] == low).all() and (again[1] == high).all()


def test_candidates_are_the_tokens_that_tell_most(tmp_path: Path) -> None:
    """Function words would be tried, and the words that carry the class not."""
    snapshot = Snapshot.read(task_snapshot(tmp_path, "classify", rows=200))
    bundle, _ = trained(tmp_path / "model")
    object.__setattr__(bundle, "fitted", _fitted("abcdef"))
    chosen = candidates(snapshot, bundle, most=2)
    assert sorted(chosen.ids.tolist()) == [6, 7]
    assert sorted(chosen.tokens) == ["e", "f"]


def _fitted(letters: str) -> bytes:
    from seqprep.fitted import Fitted

    return Fitted(vocabulary=tuple(letters)).to_bytes()


def test_rows_for_retraining_lack_the_token_and_the_test(tmp_path: Path) -> None:
    """The model would train with what was taken out, or see test rows."""
    snapshot = Snapshot.read(task_snapshot(tmp_path, "classify"))
    made = write_without(snapshot, 7, folder=tmp_path / "without")
    read = Snapshot.read(tmp_path / "without" / "snapshot.json")
    read.verify()
    assert read.sha256 == made.sha256
    assert {shard.split for shard in read.shards} == {"train", "validation"}
    for split in ("train", "validation"):
        before, after = (
            pa.concat_tables([read_shard(one, shard) for shard in one.of(split)])
            for one in (snapshot, read)
        )
        assert after["id"].to_pylist() == before["id"].to_pylist()
        for old, new in zip(before["tokens"].to_pylist(), after["tokens"].to_pylist(), strict=True):
            assert new == ([token for token in old if token != 7] or [OOV])


def test_values_and_a_missing_validation_are_refused(tmp_path: Path) -> None:
    """The study would fail in the middle of a training, or score on test rows."""
    values = Snapshot.read(task_snapshot(tmp_path / "a", "regress"))
    with pytest.raises(ConfigError, match="stores values"):
        check_snapshot(values)
    whole = Snapshot.read(task_snapshot(tmp_path / "b", "classify"))
    training = Snapshot(root=whole.root, facts=whole.facts, shards=whole.of("train"))
    with pytest.raises(ConfigError, match="there are none"):
        check_snapshot(training)


def test_a_written_study_is_read_by_the_step(tmp_path: Path) -> None:
    """`usefulness: {by: removal}` would find no drops in the table that this command writes."""
    masked = Masked(
        scores=np.ones(2), token=np.array([1]), record=np.array([0]), without=np.array([0.5])
    )
    chosen = Candidates(
        ids=np.array([2, 3]), tokens=["a", "b"], counts=np.array([1, 1]), promise=np.zeros(2)
    )
    write_table(effect_table(masked, chosen, holders=np.array([0, 1])), tmp_path / "t.parquet")
    read = TokenTable.read(tmp_path / "t.parquet", key="usefulness")
    found = read.column("drop", pa.array(["b", "a", "new"]), missing=0.0)
    assert found.tolist() == [0.25, 0.0, 0.0]
    step = {"usefulness": {"by": "removal", "keep": 1, "scores": "t.parquet"}}
    body = {"dataset": "d", "source": {"domain": "text", "path": "."}, "prepare": {"steps": [step]}}
    assert build(body).prepare.steps == (step,)


@pytest.mark.slow
def test_both_ways_on_the_sample(tmp_path: Path) -> None:
    """The stages would not fit together: run, mask, retrain, table, plot."""
    settings = ["train.updates=8"]
    file = str(ROOT / "data" / "text.yaml")
    for by, tokens in (("masking", 20), ("retraining", 1)):
        done = study(file, store=str(tmp_path), settings=settings, by=by, tokens=tokens, out=None)
        assert done["tokens"] == tokens and len(done["top"]) == tokens
        assert Path(done["out"]).is_file() and Path(done["plot"]).is_file()
        assert 0 < done["baseline"] <= 1
