"""Carried-state truncation: what is handed on, whose loss counts, and how far gradients reach."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.answers.objectives import objective_for
from models.architectures import build
from models.layers.segmented import Carried
from models.options.fits import CARRIED
from models.options.model import Model
from models.ranks import Ranks
from models.segments.lanes import Lanes, advance
from models.segments.reading import Cut
from models.segments.rounds import Rounds
from models.segments.truncated import Truncated
from models.shape import Shape, TensorBatch, to_tensors
from models.training.joint import SummedLoss, joint_loss
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import Task
from seqprep.snapshot import Snapshot
from tests.synthetic import example_table, facts_of_task, task_snapshot, write_snapshot

CPU = torch.device("cpu")
MOMENTS = ((100.0,), (2.0,))
MODEL = Model(
    hidden=6,
    embedding=4,
    dropout=0.0,
    bidirectional=False,
    layers=2,
    pooling=("last", "mean", "max", "attention"),
)
STEPS = [(3, 3), (5, 8), (5, 17), (300, 300)]
"""k1 and k2; rows have 1 to 60 steps."""


class Case:
    """A model, rows of ragged lengths, and its rounds."""

    def __init__(self, path: Path, task: Task, *, rows: int = 9, config: Model = MODEL) -> None:
        snapshot = Snapshot.read(task_snapshot(path, task, rows=rows, shards=2))
        settings = BatchSettings(batch_tokens=100_000, max_rows=None)
        self.source = BatchSource.of_snapshot(snapshot, "train", settings=settings)
        torch.manual_seed(0)
        self.model = build(config, Shape.of(self.source.facts)).double()
        self.objective = objective_for(task, moments=MOMENTS)

    def rounds(self, k1: int, k2: int, *, every: bool, lanes: int = 3) -> Rounds:
        """The first epoch; tasks of steps have a loss in every piece."""
        return Rounds(
            self.source,
            0,
            cut=Cut(steps=k1, gradient=k2, every=every or self.model.per_step),
            lanes=lanes,
        )

    def batch(self) -> TensorBatch:
        """All rows at once."""
        plan = self.source.plan_evaluation()
        assert len(plan) == 1
        found = to_tensors(next(self.source.batches(plan)), CPU)
        double = found.inputs.double() if found.inputs.is_floating_point() else found.inputs
        return replace(found, inputs=double)

    def gradients(self, total: Tensor) -> dict[str, Tensor]:
        """Of each parameter."""
        self.model.zero_grad()
        total.backward()
        return {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}


STEPWISE = replace(MODEL, pooling=Model().pooling)
CASES: dict[str, tuple[Task, Model]] = {
    "classify": ("classify", MODEL),
    "regress": ("regress", MODEL),
    "label steps": ("label_steps", STEPWISE),
    "regress steps": ("regress_steps", STEPWISE),
    "minLSTM": ("classify", replace(MODEL, name="min_lstm")),
    "next symbol": ("next", replace(STEPWISE, name="next_symbol")),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    task, config = CASES[request.param]
    return Case(tmp_path_factory.mktemp("case"), task, config=config)


def test_every_model_that_carries_is_tried_here() -> None:
    """A new one must take part."""
    assert {config.name for _, config in CASES.values()} == set(CARRIED)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("labelled"), "classify")


class Recorded(nn.Module):
    """A model whose states and answers are written down, and the steps that it reads counted."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.core, self.per_step = model, model.core, model.per_step
        self.answered: list[Tensor] = []
        self.states = 0

    def begin(self, rows: int) -> Carried:
        """See Segmented."""
        return self.model.begin(rows)

    def read(self, inputs: Tensor, lengths_B: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        """See Segmented."""
        self.states += int(lengths_B.sum())
        return self.model.read(
            inputs.double() if inputs.is_floating_point() else inputs, lengths_B, carried
        )

    def answer(self, carried: Carried) -> Tensor:
        """See Segmented."""
        self.answered.append(torch.cat([*carried.state[0], self.model.answer(carried)], dim=-1))
        return self.model.answer(carried)

    def answer_steps(self, states_BTF: Tensor) -> Tensor:
        """See Segmented."""
        return self.model.answer_steps(states_BTF)


def run(case: Case, rounds: Rounds, *, backward: bool = False) -> tuple[Tensor, float, Recorded]:
    """Loss and weight of an epoch with the weights held still; gradients add up."""
    model, lanes = Recorded(case.model), Truncated(rounds.lanes, CPU)
    total, weight = torch.zeros((), dtype=torch.float64), 0.0
    for round_ in rounds.read(rounds.start()):
        loss, count = lanes.loss(model, case.objective, round_)
        if backward and loss.requires_grad:
            loss.backward()
        total, weight = total + loss.detach(), weight + float(count)
    return total, weight, model


@pytest.mark.parametrize(("k1", "k2"), STEPS)
def test_the_loss_is_that_of_whole_rows(case: Case, k1: int, k2: int) -> None:
    """State that is lost, mixed or carried too far changes the loss of some record or step."""
    with torch.no_grad():
        wanted, count = case.objective.loss(case.model(case.batch()), case.batch())
        total, weight, _ = run(case, case.rounds(k1, k2, every=False))
    assert weight == int(count)
    torch.testing.assert_close(total, wanted.double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("k1", "k2"), STEPS)
@pytest.mark.parametrize("every", [False, True])
def test_final_states_equal_an_unsegmented_pass(
    labelled: Case, k1: int, k2: int, every: bool
) -> None:
    """With weights held still nothing may depend on where a record was cut."""
    case = labelled
    with torch.no_grad():
        *_, model = run(case, case.rounds(k1, k2, every=every))
        batch = case.batch()
        begun = case.model.begin(len(batch))
        _, whole = case.model.read(batch.inputs, batch.lengths, begun)
    wanted = torch.cat([*whole.state[0], case.model.answer(whole)], dim=-1)
    found = torch.cat(model.answered)
    assert len(found) == len(wanted) if not every else len(found) >= len(wanted)
    distance = (wanted[:, None] - found).abs().amax(-1).amin(1)
    assert distance.max() < 1e-10


@pytest.mark.parametrize(
    ("task", "k1", "k2"), [("classify", 20, 20), ("classify", 20, 24), ("label_steps", 20, 20)]
)
def test_rows_that_end_inside_a_block_hand_on_the_state_of_their_own_end(
    tmp_path: Path, task: Task, k1: int, k2: int
) -> None:
    """Among many lanes a few padded steps are cheaper than a cut: they must not be read."""
    case = Case(tmp_path, task, rows=90, config=MODEL if task == "classify" else STEPWISE)
    rounds, inside = case.rounds(k1, k2, every=False, lanes=40), 0
    for part in chain.from_iterable(r.passes for r in rounds.read(rounds.start())):
        inside += len(np.setdiff1d(part.marks[part.marks > 0], part.edges))
    assert inside > 0
    with torch.no_grad():
        wanted, _ = case.objective.loss(case.model(case.batch()), case.batch())
        total, *_ = run(case, rounds)
    torch.testing.assert_close(total, wanted.double(), rtol=1e-6, atol=0)


def test_a_record_among_others_reads_as_alone(labelled: Case) -> None:
    """Hidden state never crosses records, neither in a lane nor in a block."""
    case, batch = labelled, labelled.batch()
    with torch.no_grad():
        *_, model = run(case, case.rounds(4, 4, every=False, lanes=2))
        found = torch.cat(model.answered)
        for row, length in enumerate(batch.lengths.tolist()):
            inputs = batch.inputs[row : row + 1, :length]
            wanted = case.model(TensorBatch(inputs=inputs, lengths=torch.tensor([length])))[0]
            assert (found[:, -len(wanted) :] - wanted).abs().amax(1).min() < 1e-10


def test_one_segment_gives_the_gradient_of_full_backpropagation(case: Case) -> None:
    """Truncation that cuts nothing must not change what is learnt."""
    rounds = case.rounds(500, 500, every=False, lanes=9)
    batch = case.batch()
    total, _ = case.objective.loss(case.model(batch), batch)
    wanted = case.gradients(total)
    case.model.zero_grad()
    run(case, rounds, backward=True)
    for name, parameter in case.model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize(("k1", "k2"), [(5, 5), (5, 8), (9, 30)])
def test_gradients_reach_back_exactly_k2_steps(case: Case, k1: int, k2: int) -> None:
    """The gradient of each loss stops where its segment, with what is read again, begins."""
    check_by_hand(case, case.rounds(k1, k2, every=False))


@pytest.mark.parametrize(("k1", "k2"), [(5, 5), (5, 8)])
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_with_a_label_in_every_segment_each_counts_by_its_share_of_the_record(
    tmp_path: Path, task: Task, k1: int, k2: int
) -> None:
    """Long records would count more than short ones, or their first steps as much as all."""
    case = Case(tmp_path, task, rows=6)
    check_by_hand(case, case.rounds(k1, k2, every=True))


@pytest.mark.parametrize("lanes", [2, 9])
def test_an_epoch_weighs_every_record_the_same(labelled: Case, lanes: int) -> None:
    """Alone in the drain, each short piece of a long record counted as much as a full round."""
    case, rounds = labelled, labelled.rounds(5, 5, every=True, lanes=lanes)
    truncated = Truncated(rounds.lanes, CPU)
    module = SummedLoss(case.model, case.objective, truncated.loss)
    case.model.double()
    case.model.zero_grad()
    told = weights = 0.0
    for round_ in rounds.read(rounds.start()):
        downhill, loss, weight = joint_loss(module, round_, Ranks(), CPU)
        downhill.backward()
        told, weights = told + float(loss) * float(weight), weights + float(weight)
    found = {n: p.grad.clone() for n, p in case.model.named_parameters() if p.grad is not None}
    wanted, count = by_hand(case, rounds)
    assert weights == pytest.approx(count) == len(case.source)
    assert told == pytest.approx(wanted.item(), rel=1e-5)
    for name, gradient in case.gradients(wanted / rounds.full_weight).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7, msg=name)


def test_full_lanes_of_equal_records_learn_from_their_mean(tmp_path: Path) -> None:
    """The rate that was right for batches must be right for rounds, however many there are."""
    data = {"tokens": [[2, 3] * 10] * 12, "label": [0, 1] * 6}
    facts = facts_of_task("classify", data, vocab_size=8)
    path = write_snapshot(tmp_path, facts, {"train": example_table(data, facts)})
    source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=BatchSettings())
    rounds = Rounds(source, 0, cut=Cut(steps=5, gradient=5, every=True), lanes=4)
    for round_ in rounds.read(rounds.start()):
        weights = [part.weights for part in round_.passes if part.weights is not None]
        assert round_.divisor == pytest.approx(sum(float(w.sum()) for w in weights)) == 1.0
    alone = Rounds(source, 0, cut=Cut(steps=20, gradient=20, every=True), lanes=12)
    assert alone.full_weight == 12


def check_by_hand(case: Case, rounds: Rounds) -> None:
    """Loss, weight and gradients of an epoch are those of its pieces, one by one."""
    case.model.zero_grad()
    total, weight, _ = run(case, rounds, backward=True)
    found = {n: p.grad.clone() for n, p in case.model.named_parameters() if p.grad is not None}
    wanted, count = by_hand(case, rounds)
    torch.testing.assert_close(total, wanted.detach(), rtol=1e-6, atol=0)
    assert weight == pytest.approx(count)
    for name, gradient in case.gradients(wanted).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7, msg=name)


def by_hand(case: Case, rounds: Rounds) -> tuple[Tensor, float]:
    """The losses of an epoch and their weight, piece by piece, as the lanes cut the records."""
    cut, (shards,) = rounds.cut, rounds.windows
    order = next(case.source.batches(case.source.plan_evaluation())).rows
    queue, lanes = rounds._queue(case.source.window(shards, 0)[1]), Lanes.empty(rounds.lanes)
    total, weight = torch.zeros((), dtype=torch.float64), 0.0
    while True:
        pieces, lanes = advance(lanes, queue, lengths=rounds.lengths, steps=cut.steps)
        if not len(pieces):
            return total, weight
        for row, start, stop in zip(pieces.rows, pieces.starts, pieces.stops, strict=True):
            length, at = int(rounds.lengths[row]), int(np.flatnonzero(order == row)[0])
            if not cut.every and stop < length:
                continue
            loss, count = one_loss(case, at, int(start), int(stop), back=cut.gradient - cut.steps)
            share = (stop - start) / length if cut.every and not case.model.per_step else 1.0
            total, weight = total + share * loss, weight + share * count


def one_loss(case: Case, at: int, start: int, stop: int, *, back: int) -> tuple[Tensor, int]:
    """The loss of steps start to stop of one record, its past cut off `back` steps before."""
    batch = case.batch()
    row, anchor = batch.inputs[at : at + 1], max(0, start - back)
    carried = case.model.begin(1)
    if anchor:
        with torch.no_grad():
            _, carried = case.model.read(row[:, :anchor], torch.tensor([anchor]), carried)
    states, carried = case.model.read(row[:, anchor:stop], torch.tensor([stop - anchor]), carried)
    if case.model.per_step:
        assert batch.targets is not None
        outputs = case.model.answer_steps(states[:, start - anchor :])
        targets = batch.targets[at : at + 1, start:stop]
        truth = TensorBatch(inputs=row, lengths=torch.tensor([stop - start]), targets=targets)
    else:
        assert batch.labels is not None
        outputs = case.model.answer(carried)
        truth = TensorBatch(
            inputs=row, lengths=batch.lengths[at : at + 1], labels=batch.labels[at : at + 1]
        )
    loss, count = case.objective.loss(outputs, truth)
    return loss, int(count)


def test_pieces_without_a_loss_keep_no_activations(labelled: Case) -> None:
    """Most pieces of long records have no loss: a gradient of them would be time for nothing."""
    case, rounds = labelled, labelled.rounds(5, 5, every=False)
    lanes, without = Truncated(3, CPU), 0
    for round_ in rounds.read(rounds.start()):
        _, weight = lanes.loss(case.model, case.objective, round_)
        assert bool(weight > 0) == round_.has_loss
        without += not round_.has_loss
        assert lanes.carried is not None and not lanes.carried.state[0].requires_grad
    assert without > 0


def test_each_step_is_read_once_where_labels_stand_at_the_end(labelled: Case) -> None:
    """With k2 > k1 and one loss a record nothing needs to be read twice."""
    with torch.no_grad():
        *_, model = run(labelled, labelled.rounds(5, 12, every=False))
    assert model.states == int(labelled.source.lengths.sum())
