"""Projection, differences and one-hot tokens on literal rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from seqprep.errors import ConfigError
from seqprep.frequency import Frequency
from seqprep.preparation.chain import Chain
from seqprep.preparation.form import Form
from seqprep.recipe import Prepare
from seqprep.transforms import build_steps, differences, project
from seqprep.transforms.differences import Differences
from seqprep.transforms.one_hot import OneHot
from seqprep.transforms.project import gaussian
from seqprep.vocabulary import build_vocabulary
from tests.seqprep.chunks import applied, chunk_of, rows_of, targets_of, values_form


def test_a_projection_is_the_product_with_its_matrix() -> None:
    """Windows would be projected by other numbers, or steps of another record take part."""
    rows = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)
    options = {"window": 3, "stride": 2, "features": 4, "seed": 5}
    chunk = chunk_of([rows[:6].tolist(), rows[6:8].tolist(), [], rows[8:].tolist()])
    result = rows_of(applied(chunk, {"project": options}))
    matrix = gaussian((3, 2, 4), 5, 0).reshape(6, 4) / 2
    padded = np.vstack([rows[4:6], np.zeros((1, 2))])  # the last window lacks a step
    windows = [rows[0:3], rows[2:5], padded]
    np.testing.assert_allclose(
        result[0], np.stack([w.ravel() for w in windows]) @ matrix, rtol=1e-5, atol=1e-6
    )
    short = np.vstack([rows[6:8], np.zeros((1, 2))]).ravel() @ matrix
    np.testing.assert_allclose(result[1], short[None], rtol=1e-5, atol=1e-6)
    assert [len(row) for row in result] == [3, 1, 0, 1]


def test_projections_follow_from_the_seed_and_the_place() -> None:
    """Two steps of a chain would share a matrix, or a rerun draw another."""
    chunk, step = chunk_of([[1.0, 2.0, 3.0]]), {"project": {"window": 3, "features": 2}}
    first = applied(chunk, step, seed=1).steps.values
    assert applied(chunk, step, seed=1).steps.values.tobytes() == first.tobytes()
    assert (applied(chunk, step, seed=2).steps.values != first).all()
    moved = applied(chunk, {"truncate": {"length": 3}}, step, seed=1).steps.values
    assert (moved != first).all()


def test_drawn_numbers_are_these_on_every_machine() -> None:
    """A bundle would project otherwise than its training did."""
    assert gaussian((2, 2), 0, 0).tolist() == [
        [0.9530153274536133, 0.1368732452392578],
        [0.804473876953125, 2.038102149963379],
    ]
    many = gaussian((10_000,), 3)
    assert abs(many.mean()) < 0.04
    assert abs(many.std() - 1) < 0.03


def test_projection_keeps_distances() -> None:
    """The scale would be off, so values would grow with the number of features."""
    rng = np.random.default_rng(2)
    windows = rng.normal(size=(40, 64)).astype(np.float32)
    chunk = chunk_of([row.tolist() for row in windows])
    options = {"window": 64, "features": 400}
    images = applied(chunk, {"project": options}).steps.values
    ratio = np.linalg.norm(images[:-1] - images[1:], axis=1) / np.linalg.norm(
        windows[:-1] - windows[1:], axis=1
    )
    assert np.abs(ratio - 1).max() < 0.2
    assert abs(ratio.mean() - 1) < 0.03


def test_the_working_memory_does_not_change_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long records would be projected otherwise than short ones."""
    rows = np.random.default_rng(1).normal(size=(30, 2)).tolist()
    options = {"window": 4, "stride": 1, "features": 3}
    whole = applied(chunk_of([rows]), {"project": options}).steps.values
    monkeypatch.setattr(project, "_BLOCK_BYTES", 8 * 3 * 7)
    parts = applied(chunk_of([rows]), {"project": options}).steps.values
    assert parts.tobytes() == whole.tobytes()


def test_differences_against_the_steps_before() -> None:
    """Differences would reach into another record, or channels be mixed."""
    rows = [[[1, 10], [2, 30], [4, 90]], [], [[8, 80]]]
    chunk = chunk_of(rows, targets=[[0, 1, 2], [], [3]])
    result = applied(chunk, {"differences": {"n": 2}})
    assert [row.tolist() for row in rows_of(result)] == [
        [[0, 0, 0, 0], [1, 1, 20, 20], [2, 3, 60, 80]],
        [],
        [[0, 0, 0, 0]],
    ]
    assert targets_of(result) == [[0, 1, 2], [], [3]]
    names = Differences(n=2).outcome(values_form(2, 4.0)).channels
    assert names == ("c0 -1", "c0 -2", "c1 -1", "c1 -2")


def test_the_first_steps_can_be_dropped_with_their_targets() -> None:
    """Steps that lack some of the differences would train as if they had them."""
    chunk = chunk_of(
        [[1, 2, 4, 8], [], [5, 6], [7, 8, 9]], targets=[[0, 1, 2, 3], [], [4, 5], [6, 7, 8]]
    )
    result = applied(chunk, {"differences": {"n": 2, "first": "drop"}})
    assert [row.tolist() for row in rows_of(result)] == [[[2, 3], [4, 6]], [], [], [[1, 2]]]
    assert targets_of(result) == [[2, 3], [], [], [8]]


def test_the_working_memory_does_not_change_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long records would get other differences than short ones."""
    rows = [np.random.default_rng(1).normal(size=40).tolist(), [1.0], list(range(9))]
    whole = applied(chunk_of(rows), {"differences": {"n": 5}}).steps.values
    monkeypatch.setattr(differences, "_BLOCK_BYTES", 4 * 5 * 3)
    parts = applied(chunk_of(rows), {"differences": {"n": 5}}).steps.values
    assert parts.tobytes() == whole.tobytes()


FREQUENCY = Frequency(
    tokens=pa.array(["a", "b", "c"]), counts=np.array([9, 5, 2]), records=None, num_records=3
)


def one_hot(*steps: dict, max_vocab: int | None = None) -> list[list[list[float]]]:
    """Rows of the ranks 0, 1, 2 and of an unseen token, after the steps and one_hot."""
    built = build_steps(Prepare(steps=(*steps, {"one_hot": {}})))
    chain = Chain.of(built, seed=0, form=Form(unit="word"))
    vocabulary = build_vocabulary(FREQUENCY, built, max_vocab=max_vocab)
    chunk = chunk_of([[0, 1, 2, 3], [], [1]], dtype=np.int32)
    result = chain.run(chunk, chain.late, vocabulary=vocabulary, strings=FREQUENCY.tokens)
    assert result.steps.values.dtype == np.float32
    return [row.tolist() for row in rows_of(result)]


def test_each_token_has_a_channel_and_unknown_ones_share_the_first() -> None:
    """OOV would be taken for padding, or tokens get each other's channel."""
    assert one_hot() == [
        [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]],
        [],
        [[0, 0, 1, 0]],
    ]


def test_removed_tokens_have_no_channel() -> None:
    """Channels that are never used would widen every step."""
    assert one_hot({"summarize": {"drop_top": 1}}) == [
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        [],
        [[0, 1, 0]],
    ]
    assert one_hot(max_vocab=1)[0] == [[0, 1], [1, 0], [1, 0], [1, 0]]


def test_a_large_vocabulary_is_refused_with_a_remedy() -> None:
    """A step would take megabytes."""
    words = tuple(f"w{n}" for n in range(1024))
    form = Form(unit="word", vocabulary=words[:1023])
    assert len(OneHot().outcome(form).channels) == 1024
    with pytest.raises(ConfigError, match=r"1,024 tokens and OOV.*max_vocab.*input: one_hot"):
        OneHot().outcome(Form(unit="word", vocabulary=words))
