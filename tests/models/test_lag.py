"""Gradients by lag: zero where nothing can reach, largest where the answer lies, right by place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.architectures import build
from models.bundle import Bundle
from models.input_gradients import PROBED, input_gradients
from models.lag import SHARES, gather, gradient_by_lag, lag_edges, lag_table, sample_rows
from models.layers.core import last_step
from models.options.model import Conv, Front, Model
from models.shape import Shape, TensorBatch, to_tensors
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import Task
from seqprep.snapshot import Snapshot
from tests.models.resident import grown_mb
from tests.synthetic import example_table, facts_of_task, rows_of_task, task_snapshot

CPU = torch.device("cpu")


def model_of(task: Task, options: Model, rows: int = 6) -> tuple[torch.nn.Module, TensorBatch]:
    """A fresh model and a batch that it takes."""
    data = rows_of_task(task, rows, seed=3)
    facts = facts_of_task(task, data)
    source = BatchSource.of_examples(
        example_table(data, facts), facts, settings=BatchSettings(batch_tokens=10**6)
    )
    batch = next(iter(source.batches(source.plan_evaluation())))
    torch.manual_seed(0)
    return build(options, Shape.of(facts)).eval(), to_tensors(batch, CPU)


def values_model(options: Model) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(options, Shape(task="regress", vocab_size=None, channels=1, outputs=1)).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", ("mean", "attention")])
def test_norms_equal_differences_of_the_output(bidirectional: bool, pooling: Any) -> None:
    """A gradient of another output, or put at another step, would tell a wrong story."""
    model = values_model(Model(hidden=4, bidirectional=bidirectional, pooling=pooling)).double()
    x_BTF = torch.randn(2, 7, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    lengths_B = torch.tensor([7, 4])
    found = input_gradients(model, TensorBatch(inputs=x_BTF, lengths=lengths_B), "regress")
    for row, length in enumerate(lengths_B.tolist()):
        for step in range(7):
            moved = x_BTF.clone()
            moved[row, step, 0] += 1e-5
            with torch.no_grad():
                before, after = (
                    model(TensorBatch(inputs=x, lengths=lengths_B)) for x in (x_BTF, moved)
                )
            wanted = abs(float(after[row, 0].abs() - before[row, 0].abs())) / 1e-5
            assert float(found[row, step]) == pytest.approx(wanted, abs=1e-5)
            assert step < length or float(found[row, step]) == 0


TASKS: list[tuple[Task, Model]] = [
    ("classify", Model(hidden=8, embedding=8)),
    (
        "regress",
        Model(
            hidden=8,
            front=Front(
                parallel=2, conv=(Conv(channels=4, kernel=5, stride=2, activation="tanh"),)
            ),
        ),
    ),
    ("label_steps", Model(hidden=8)),
    ("regress_steps", Model(hidden=8, bidirectional=False, layers=2)),
    ("translate", Model(name="encoder_decoder", hidden=8, embedding=8)),
    ("next", Model(name="next_symbol", hidden=8, embedding=8, bidirectional=False)),
    ("reconstruct", Model(name="autoencoder", hidden=8, embedding=8)),
    ("classify", Model(name="min_lstm", hidden=8, embedding=8)),
    ("classify", Model(name="split", hidden=8, embedding=8)),
    ("classify", Model(name="chunks", hidden=8, embedding=8, chunk=5, overlap=2)),
    ("regress", Model(name="hierarchical", hidden=8, chunk=5, upper_hidden=6)),
]


@pytest.mark.parametrize(("task", "options"), TASKS)
def test_every_model_has_a_gradient_at_each_input_step(task: Task, options: Model) -> None:
    """A model whose steps are shortened, or whose targets are hidden, would fail or be misread."""
    model, batch = model_of(task, options)
    found = input_gradients(model, batch, task)
    assert task in PROBED
    assert found.shape == batch.inputs.shape[:2]
    real = torch.arange(found.shape[1]) < batch.lengths[:, None]
    assert bool((found[real] > 0).all()) and not bool(found[~real].any())
    assert not any(part.training for part in model.modules())


@pytest.mark.parametrize(("task", "options"), TASKS)
def test_blocks_change_no_gradient(task: Task, options: Model) -> None:
    """Long records are read in blocks; another curve for them would be no curve of the model."""
    model, batch = model_of(task, options)
    model = model.double()
    wanted, found = (input_gradients(model, batch, task, block=block) for block in (None, 20))
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-8)
    assert all(getattr(module, "block", None) is None for module in model.modules())


def test_memory_for_a_long_record_is_a_few_sequences() -> None:
    """Looking at a model must not take more than training it did; a whole pass keeps 17.

    Mostly 7 of them, and up to 9.2 where the heap lies badly.
    """
    (grown,) = grown_mb("lag", [60_000])
    assert grown * 2**20 < 60_000 * 64 * 4 * 12


def test_one_hot_and_embedding_are_both_seen() -> None:
    """Token ids have no gradient; that of their features is meant."""
    for entry in ("embedding", "one_hot"):
        model, batch = model_of("classify", Model(hidden=8, input=entry))  # type: ignore[arg-type]
        assert float(input_gradients(model, batch, "classify")[0, 0]) > 0


def test_nothing_passes_beyond_what_the_model_can_see() -> None:
    """A model that forgets at every step must show exactly zero, or the curve means nothing."""
    front = Front(conv=(Conv(channels=3, kernel=5, stride=1),))
    model = values_model(Model(hidden=4, bidirectional=False, pooling="last", front=front))
    lstm = model.get_submodule("core.layers.0.0")
    with torch.no_grad():
        lstm.weight_hh_l0.zero_()  # type: ignore[operator]
        lstm.bias_ih_l0[4:8] = -1e4  # type: ignore[index]  # the forget gates are shut
    x_BTF = torch.randn(3, 30, 1, generator=torch.Generator().manual_seed(1))
    batch = TensorBatch(inputs=x_BTF, lengths=torch.tensor([30, 20, 3]))
    found = input_gradients(model, batch, "regress")
    for row, length in enumerate(batch.lengths.tolist()):
        by_lag = found[row, :length].flip(0)
        assert bool((by_lag[:3] > 0).all()) and not bool(by_lag[3:].any())
    reach = gather([found[0].flip(0).numpy()]).reach
    assert reach[0.99] <= 3


def test_the_peak_is_at_the_lag_that_matters() -> None:
    """The curve must point at the step that decides, after a model has learnt which it is."""
    lag, generator = 3, torch.Generator().manual_seed(0)
    model = values_model(Model(hidden=16, bidirectional=False, pooling="last", dropout=0.0))
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def draw() -> tuple[TensorBatch, Tensor]:
        x_BTF = torch.randn(64, 9, 1, generator=generator)
        lengths_B = torch.randint(5, 10, (64,), generator=generator)
        return TensorBatch(inputs=x_BTF, lengths=lengths_B), last_step(x_BTF, lengths_B - lag)

    for _ in range(200):
        batch, truth = draw()
        optimizer.zero_grad()
        (model(batch) - truth).square().mean().backward()
        optimizer.step()
    batch, _ = draw()
    found = input_gradients(model, batch, "regress")
    rows = [f[:n].flip(0).numpy() for f, n in zip(found, batch.lengths.tolist(), strict=True)]
    table = lag_table(gather(rows)).to_pydict()
    peak = int(np.argmax(table["median"]))
    assert table["from_lag"][peak] <= lag <= table["to_lag"][peak]
    assert table["median"][peak] > 2 * sorted(table["median"])[-2]


def test_bins_are_means_of_rows_and_quartiles_over_them() -> None:
    """Long rows would outweigh short ones, or steps would be counted in a neighbour's bin."""
    lags = gather([np.array([4.0, 2.0, 1.0, 1.0, 3.0, 5.0]), np.array([8.0])])
    assert lags.edges.tolist() == [0, 1, 2, 3, 4, 6]
    table = lag_table(lags).to_pydict()
    assert table["from_lag"] == [0, 1, 2, 3, 4] and table["to_lag"] == [0, 1, 2, 3, 5]
    assert table["mean"] == [6.0, 2.0, 1.0, 1.0, 4.0]
    assert table["median"] == [6.0, 2.0, 1.0, 1.0, 4.0] and table["q25"][0] == 5.0
    assert table["records"] == [2, 1, 1, 1, 1] and table["steps"] == [2, 1, 1, 1, 2]


def test_reach_is_how_many_last_steps_hold_a_share() -> None:
    """`The last n steps` would be one step off, or of rows with large gradients only."""
    one = np.array([1.0] * 10)
    assert gather([one]).reach == {0.5: 5, 0.9: 9, 0.99: 10}
    assert gather([1000 * one, np.array([1.0, 0.0])]).reach[0.5] == 1
    assert gather([np.zeros(3)]).reach == dict.fromkeys(SHARES, 0)


def test_edges_hold_every_lag_once() -> None:
    """A lag that no bin holds would be left out without a sound."""
    for longest in (1, 2, 9, 10, 99, 100, 1234):
        edges = lag_edges(longest)
        assert edges[0] == 0 and edges[-1] >= longest > edges[-2] and (np.diff(edges) > 0).all()


def test_a_sample_is_drawn_from_all_shards_and_is_the_same_again(tmp_path: Path) -> None:
    """The first rows of the first shard are no sample of the data."""
    snapshot = Snapshot.read(task_snapshot(tmp_path, "classify", rows=60, shards=3))
    ids = [
        sample_rows(snapshot, "train", records=20, seed=seed)["id"].to_pylist()
        for seed in (0, 0, 1)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert len(set(ids[0])) == 20
    assert {int(name.partition("#")[2]) // 20 for name in ids[0]} == {0, 1, 2}
    assert len(sample_rows(snapshot, "train", records=1000, seed=0)) == 60


def test_batches_and_rows_are_put_together_again(tmp_path: Path) -> None:
    """Rows are run in batches of like length; each must keep its own length and place."""
    snapshot = Snapshot.read(task_snapshot(tmp_path, "classify", rows=30))
    rows = sample_rows(snapshot, "train", records=12, seed=0)
    torch.manual_seed(0)
    config = Model(hidden=8, embedding=8, bidirectional=False)
    model = build(config, Shape.of(snapshot.facts)).requires_grad_(False).eval()
    bundles = [
        Bundle(model=model, config=config, facts=snapshot.facts, batch_tokens=tokens)
        for tokens in (64, 10**6)
    ]
    few, many = (gradient_by_lag(bundle, rows, device=CPU) for bundle in bundles)
    np.testing.assert_allclose(few.norms, many.norms, rtol=1e-4, atol=1e-7)
    assert few.reach == many.reach
    assert few.steps.sum() == sum(rows["length"].to_pylist())
    tokens = torch.tensor([rows["tokens"][4].as_py()])
    alone = TensorBatch(inputs=tokens, lengths=torch.tensor([tokens.shape[1]]))
    last = input_gradients(model, alone, "classify")[0, -1]
    assert few.norms[4, 0] == pytest.approx(float(last), rel=1e-4)  # lag 0 is the last step
    for number, length in enumerate(rows["length"].to_pylist()):
        assert int((~np.isnan(few.norms[number])).sum()) == int((few.edges[:-1] < length).sum())
