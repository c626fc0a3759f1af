"""Exact backpropagation: the gradient of a whole pass, within a memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import train
from models.answers.objectives import Objective
from models.architectures import MODELS
from models.architectures.lstm import PooledLSTM
from models.backpropagation.activations import Size, whole_bytes
from models.backpropagation.bptt import Loss, full, loss_of
from models.backpropagation.exact import Exact, cost_of, fast_block, set_block
from models.job import Job
from models.layers.core import Core
from models.options.checks import JobError
from models.options.model import Conv, Front, Model, Pooling
from models.options.training import Backpropagation, Train
from models.shape import TensorBatch
from seqprep.schema import Task
from tests.models.long_batches import (
    batch_of,
    difference,
    gradient,
    gradient_of,
    model_of,
    objective_of,
)
from tests.models.peak import peak_bytes
from tests.synthetic import task_snapshot

SMALL = Model(hidden=6, embedding=5, dropout=0.0)
ONE_WAY = replace(SMALL, bidirectional=False)
EVERY: tuple[Pooling, ...] = ("last", "mean", "max", "attention")
CONV = Front(conv=(Conv(channels=4, kernel=3, stride=2),))
VARIANTS: dict[str, tuple[Task, Model, bool]] = {
    **{name: ("classify", replace(SMALL, pooling=(name,)), True) for name in EVERY},
    **{
        f"{name}, one direction": ("classify", replace(ONE_WAY, pooling=(name,)), False)
        for name in EVERY
    },
    "every pooling, stacked": ("classify", replace(ONE_WAY, layers=2, pooling=EVERY), True),
    "every pooling, values": ("regress", replace(SMALL, pooling=EVERY, noise=0.0), False),
    "no attention, values": ("regress", replace(SMALL, pooling=("last", "max")), False),
    "strided": ("classify", replace(SMALL, front=CONV), False),
    "strided, one direction": ("classify", replace(ONE_WAY, front=CONV), True),
    "parallel": ("classify", replace(SMALL, front=Front(parallel=3)), True),
    "stacked, both directions": ("classify", replace(SMALL, layers=2, pooling=EVERY), True),
    "label steps": ("label_steps", SMALL, True),
    "label steps, one direction": ("label_steps", replace(ONE_WAY, layers=2), False),
    "regress steps": ("regress_steps", replace(SMALL, layers=2), False),
    "minimal": ("classify", replace(SMALL, name="min_lstm", pooling=EVERY), True),
    "minimal, stacked": ("label_steps", replace(SMALL, name="min_lstm", layers=2), True),
    "chunks": ("classify", replace(ONE_WAY, name="chunks", chunk=4), True),
    "chunks, overlap": ("label_steps", replace(SMALL, name="chunks", chunk=5, overlap=2), True),
    "hierarchical": ("classify", replace(SMALL, name="hierarchical", chunk=4), True),
    "split": ("classify", replace(SMALL, name="split", parts=3), True),
    "split, backwards": (
        "classify",
        replace(ONE_WAY, name="split", second_backwards=True, layers=2),
        True,
    ),
    "translate": ("translate", replace(SMALL, name="encoder_decoder"), True),
    "translate, stacked": (
        "translate",
        replace(SMALL, name="encoder_decoder", layers=2, attention=False),
        True,
    ),
    "reconstruct": ("reconstruct", replace(SMALL, name="autoencoder", code_every=3), True),
    "next": ("next", replace(ONE_WAY, name="next_symbol"), True),
    "one hot": ("classify", replace(SMALL, input="one_hot", pooling=EVERY), True),
    "one hot, strided": ("classify", replace(ONE_WAY, input="one_hot", front=CONV), True),
    "one hot, minimal": ("label_steps", replace(SMALL, name="min_lstm", input="one_hot"), True),
    "one hot, next": ("next", replace(ONE_WAY, name="next_symbol", input="one_hot"), True),
}
"""Task, model, and whether inputs are tokens."""
LENGTHS = {
    "ragged": (17, 1, 23, 9, 23, 4),
    "one row": (11,),
    "one step": (1, 1),
    "a whole number of segments": (12, 8, 12),
}


def recomputed(block: int | None) -> Loss:
    """The loss with blocks of so many row-steps, whatever the memory."""

    def loss(model: nn.Module, objective: Objective, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        set_block(model, block)
        return objective.loss(model(batch), batch)

    return loss


def test_every_model_has_a_variant_here() -> None:
    """A model without one may be trained by another gradient, and nobody knows."""
    assert {config.name for _, config, _ in VARIANTS.values()} == set(MODELS)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_equals_that_of_a_whole_pass(name: str, lengths: str) -> None:
    """Another gradient would be another way of training than its name says."""
    task, config, tokens = VARIANTS[name]
    model, batch = (
        model_of(config, task, tokens=tokens),
        batch_of(task, LENGTHS[lengths], tokens=tokens),
    )
    wanted = gradient_of(full, model, task, batch)
    for block in (4 * len(batch), 5, 1000):  # of 4 steps; of few rows; longer than any row
        found = gradient_of(recomputed(block), model, task, batch)
        assert difference(found, wanted) <= 1e-10, block


@pytest.mark.parametrize("name", ["every pooling, values", "stacked, both directions", "minimal"])
def test_gradient_equals_in_single_precision(name: str) -> None:
    """The type that models train in: sums over segments must not lose digits."""
    task, config, tokens = VARIANTS[name]
    model = model_of(replace(config, hidden=16), task, tokens=tokens, dtype=torch.float32)
    batch = batch_of(task, (900, 1000), tokens=tokens, dtype=torch.float32)
    wanted = gradient_of(full, model, task, batch)
    found = gradient_of(recomputed(130), model, task, batch)
    assert difference(found, wanted) <= 1e-5


@pytest.mark.parametrize("name", VARIANTS)
def test_activations_in_blocks_are_not_kept(name: str) -> None:
    """Whether the tests above test anything: a block's gates must not wait for the gradient."""
    task, config, tokens = VARIANTS[name]
    model = model_of(config, task, tokens=tokens, dtype=torch.float32)
    batch = batch_of(task, (40, 40), tokens=tokens, dtype=torch.float32)
    kept = []
    for block in (None, 20):
        set_block(model, block)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            model(batch)
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


@pytest.mark.parametrize("name", ["every pooling, stacked", "attention", "label steps"])
def test_dropout_draws_the_same_when_computed_again(name: str) -> None:
    """Other masks in the second pass would give the gradient of another loss."""
    task, config, tokens = VARIANTS[name]
    config = replace(config, dropout=0.3, noise=0.2, layers=2)
    model, batch = model_of(config, task, tokens=tokens), batch_of(task, (9, 14), tokens=tokens)
    set_block(model, 6)

    def loss() -> Tensor:
        torch.manual_seed(1)
        return objective_of(task).loss(model(batch), batch)[0]

    found = gradient(model, loss)
    torch.manual_seed(5)
    direction = torch.randn_like(found)
    values = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            nn.utils.vector_to_parameters(
                nn.utils.parameters_to_vector(model.parameters()) + step * direction,
                model.parameters(),
            )
            values.append(loss())
    slope = (values[0] - values[1]) / 2e-5
    torch.testing.assert_close(found @ direction, slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["last", "attention", "every pooling, stacked"])
def test_noise_reaches_pooled_segments(name: str) -> None:
    """An option that a way of backpropagation leaves out is ignored without a word."""
    task, config, tokens = VARIANTS[name]
    pooling: tuple[Pooling, ...] = ("mean", *(p for p in config.pooling if p != "mean"))
    model = model_of(replace(config, noise=0.5, pooling=pooling), task, tokens=tokens)
    batch = batch_of(task, (9, 14), tokens=tokens)
    set_block(model, 6)
    assert (model(batch) - model(batch)).abs().min() > 1e-6
    model.eval()
    torch.testing.assert_close(model(batch), model(batch), atol=0, rtol=0)


def test_both_directions_see_the_same_input_dropout() -> None:
    """Dropped for one direction only, a step would still be seen by the other."""
    config = replace(SMALL, input_dropout=0.5, pooling=("mean",))
    model, batch = model_of(config, "classify"), batch_of("classify", (9, 14))
    outputs = []
    for block in (None, 6):
        set_block(model, block)
        torch.manual_seed(1)
        outputs.append(model(batch))
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_outputs_without_gradient_are_the_same(name: str) -> None:
    """Evaluation reads by the same blocks, so that it fits the memory as well."""
    task, config, tokens = VARIANTS[name]
    model = model_of(config, task, tokens=tokens).eval()
    batch = batch_of(task, LENGTHS["ragged"], tokens=tokens)
    with torch.no_grad():
        wanted = objective_of(task).loss(model(batch), batch)[0]
        set_block(model, 13)
        found = objective_of(task).loss(model(batch), batch)[0]
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


def peak_of(
    config: Model, task: Task, steps: int, block: int | None, *, tokens: bool = True, rows: int = 2
) -> int:
    model = model_of(config, task, tokens=tokens, dtype=torch.float32)
    batch = batch_of(task, (steps,) * rows, tokens=tokens, dtype=torch.float32)
    return peak_bytes(lambda: gradient_of(recomputed(block), model, task, batch))


@pytest.mark.parametrize(
    "config",
    [
        replace(ONE_WAY, hidden=32),
        replace(ONE_WAY, hidden=32, layers=2, pooling=EVERY),
        replace(SMALL, hidden=32, pooling=("mean", "last")),
        replace(SMALL, hidden=32, pooling=("attention",)),
    ],
    ids=["one direction", "stacked", "both directions", "both, attention"],
)
def test_pooled_memory_grows_as_the_root_of_the_length(config: Model) -> None:
    """Sixteen times the steps in four times the memory, or a million steps do not fit."""
    peaks = [peak_of(config, "classify", steps * steps, 2 * steps) for steps in (8, 32)]
    assert peaks[1] < 5 * peaks[0]
    assert peaks[1] < peak_of(config, "classify", 32 * 32, None) / 5


@pytest.mark.parametrize("name", ["label steps", "stacked, both directions", "translate", "next"])
def test_memory_in_blocks_is_a_few_sequences_a_layer(name: str) -> None:
    """Where every step's state is needed, it alone is kept, not the gates."""
    task, config, tokens = VARIANTS[name]
    config = replace(config, hidden=32)
    whole, blocks = (peak_of(config, task, 2000, block, tokens=tokens) for block in (None, 200))
    assert blocks < whole / 3


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("name", VARIANTS)
def test_memory_stays_below_what_is_reckoned(name: str, dropout: float) -> None:
    """A block chosen by a figure that is too low would break the promise of `memory`."""
    task, config, tokens = VARIANTS[name]
    config = replace(config, hidden=32, embedding=16, dropout=dropout, chunk=20, overlap=0)
    config = replace(config, code_every=20 if config.name == "autoencoder" else None)
    if "overlap" in name:
        config = replace(config, overlap=8)
    size = Size(rows=3, steps=600, symbols=6 if task == "translate" else 0)
    model = model_of(config, task, tokens=tokens)
    for block in (150, None):
        reckoned = (
            whole_bytes(model, config, size)
            if block is None
            else cost_of(model, config, size)(block)
        )
        peak = peak_of(config, task, size.steps, block, tokens=tokens, rows=size.rows)
        assert peak <= 1.1 * reckoned + 200_000, (block, peak / reckoned)
        assert peak >= 0.3 * reckoned, (block, peak / reckoned)


def test_memory_of_a_deep_stack_is_reckoned() -> None:
    """What each layer keeps must count, or ten layers take far more than `memory`."""
    config = replace(SMALL, hidden=32, embedding=16, dropout=0.2, layers=6)
    size = Size(rows=2, steps=3000)
    reckoned = cost_of(model_of(config, "classify"), config, size)(600)
    peak = peak_of(config, "classify", size.steps, 600, rows=size.rows)
    assert 0.6 * reckoned < peak <= reckoned


def test_a_job_is_refused_before_it_trains(tmp_path: Path) -> None:
    """Lengths are known then, so nothing has to be tried for an hour first."""
    path = task_snapshot(tmp_path / "snapshot", "label_steps")
    options = Train(
        model=Model(hidden=256),
        backpropagation=Backpropagation(mode="exact", memory="1MB"),
    )
    with pytest.raises(JobError, match="mode exact takes"):
        train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))


@pytest.mark.parametrize("mode", [{"mode": "exact"}, {"mode": "last_k", "k": 5}])
def test_a_job_trains_this_way(tmp_path: Path, mode: dict[str, Any]) -> None:
    """From the options of a job to a bundle, evaluation included."""
    path = task_snapshot(tmp_path / "snapshot", "classify", rows=40)
    options = Train(
        model=replace(SMALL, bidirectional=False),
        backpropagation=Backpropagation(**mode),
        updates=3,
    )
    train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))
    assert (tmp_path / "out" / "bundle").exists()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_model_has_a_fast_block(name: str) -> None:
    """A front that shortens records once ended long ones in a division by zero."""
    task, config, tokens = VARIANTS[name]
    assert fast_block(model_of(config, task, tokens=tokens), config, 2, "cpu") >= 2


@pytest.mark.parametrize(
    "config",
    [
        replace(SMALL, name="split", parts=300),
        replace(SMALL, name="split", parts=1000),
        replace(SMALL, front=Front(parallel=300)),
        replace(SMALL, front=Front(conv=(Conv(channels=2, kernel=99_999, stride=99_999),))),
    ],
)
def test_a_record_cut_into_many_parts_has_a_fast_block(config: Model) -> None:
    """The price of a row-step was once taken where no step was left, and divided by."""
    with torch.device("meta"):
        model = model_of(config, "classify", tokens=True)
    assert fast_block(model, config, 2, "cpu") >= 2


def test_memory_chooses_the_block() -> None:
    """All at once where that fits and is fast; else what is fast; else what fits."""
    config = replace(ONE_WAY, hidden=64)
    model = model_of(config, "classify", dtype=torch.float32)
    short, long = Size(rows=1, steps=500), Size(rows=1, steps=10**6)
    assert Exact(config).block(model, short, "cpu") is None
    fast = Exact(config, 512 * 2**20).block(model, long, "cpu")
    assert fast is not None and 1000 <= fast <= 8000
    assert Exact(config).block(model, long, "cpu") == fast
    less = Size(rows=1, steps=10**5)
    tight = Exact(config, 8 * 2**20).block(model, less, "cpu")
    assert tight is not None and tight < fast
    assert cost_of(model, config, less)(tight) <= 8 * 2**20
    wide = Exact(config).block(model, Size(rows=16, steps=20_000), "cpu")
    assert wide is not None and 128 <= wide / 16 <= 512


def test_too_small_a_memory_is_refused_with_what_it_takes() -> None:
    """The figure must be one that works, or the person tries in the dark."""
    config = replace(SMALL, hidden=64, layers=2)
    model, size = model_of(config, "classify"), Size(rows=4, steps=100_000)
    with pytest.raises(JobError, match="4 rows of 100000 steps: mode exact takes") as error:
        Exact(config, 8 * 2**20).check(model, [Size(rows=1, steps=9), size], "cpu")
    needed = int(str(error.value).partition("exact takes ")[2].partition("MB")[0])
    Exact(config, needed * 2**20).check(model, [size], "cpu")
    with pytest.raises(JobError):
        Exact(config, (needed - 1) * 2**20).check(model, [size], "cpu")


def test_a_batch_that_does_not_fit_is_refused_before_it_is_read() -> None:
    """Lengths that are not known before training must not end it by running out of memory."""
    config = replace(SMALL, hidden=64, layers=2)
    model, batch = model_of(config, "classify"), batch_of("classify", (4000, 10))
    with pytest.raises(JobError, match="2 rows of 4000 steps"):
        Exact(config, 2**20)(model, objective_of("classify"), batch)


def test_the_option_leads_to_the_same_loss_and_gradient() -> None:
    """From `backpropagation: {mode: exact}` on: loss, count and gradient are those of mode full."""
    config = replace(SMALL, hidden=16)
    model, batch = model_of(config, "label_steps"), batch_of("label_steps", (600, 599, 600))
    chosen = Backpropagation(mode="exact", memory="3MB")
    exact = loss_of(Train(model=config, backpropagation=chosen))
    objective = objective_of("label_steps")
    for found, wanted in zip(
        exact(model, objective, batch), full(model, objective, batch), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-8, rtol=0)
    assert any(isinstance(m, Core) and m.block is not None for m in model.modules())
    found = gradient_of(exact, model, "label_steps", batch)
    set_block(model, None)
    assert difference(found, gradient_of(full, model, "label_steps", batch)) <= 1e-10


def test_blocks_stay_beside_one_pooled_pass() -> None:
    """A layer computed again inside a segment that is computed again would run three times."""
    model = model_of(SMALL, "classify")
    set_block(model, 8)
    assert isinstance(model, PooledLSTM) and model.block == 8 and model.core.block is None
    set_block(model, None)
    assert model.block is None
