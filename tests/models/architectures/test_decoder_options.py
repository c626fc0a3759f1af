"""What the options of the encoder-decoder do: whose symbols it reads, and how long it may go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.architectures import build
from models.architectures.encoder_decoder import EncoderDecoder
from models.job import Job
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.options.model_fits import TASKS
from models.options.training import Train
from models.shape import Shape, TensorBatch
from models.train import train
from seqprep.schema import BOS, EOS
from tests.synthetic import VOCAB, task_snapshot

MODEL = Model(name="encoder_decoder", hidden=8, dropout=0.0)
SHAPE = Shape(task="translate", vocab_size=VOCAB, channels=0, outputs=VOCAB + 2)
OWN, TRUE = 5, 7


def model_of(**options: Any) -> EncoderDecoder:
    torch.manual_seed(0)
    model = build(replace(MODEL, **options), SHAPE)
    assert isinstance(model, EncoderDecoder)
    return model


def batch_of(*lengths: int, symbols: int = 9) -> TensorBatch:
    """Sources of these lengths, and the same true symbol at every place."""
    return TensorBatch(
        inputs=torch.randint(2, VOCAB, (len(lengths), max(lengths))),
        lengths=torch.tensor(lengths),
        target_tokens=torch.full((len(lengths), symbols), TRUE),
    )


def read_by(model: EncoderDecoder, batch: TensorBatch) -> Tensor:
    """Symbols that the decoder was given behind BOS, `(B, S - 1)`."""
    seen: list[Tensor] = []
    hook = model.embedding.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(batch)
    hook.remove()
    read = torch.cat(seen, dim=1)
    assert (read[:, 0] == BOS).all()
    return read[:, 1:]


def always(model: EncoderDecoder, symbol: int) -> EncoderDecoder:
    """The model with one symbol the likeliest everywhere."""
    with torch.no_grad():
        model.head.layers[-1].bias[symbol] = 100.0  # type: ignore[index]
    return model


@pytest.mark.parametrize(("progress", "share"), [(0.0, 1.0), (0.5, 0.6), (1.0, 0.2)])
def test_true_symbols_become_fewer_along_the_training(progress: float, share: float) -> None:
    """A schedule that stands still, or a draw that is not looked at, teaches as always."""
    model = always(model_of(teacher_forcing=(1.0, 0.2)), OWN).train()
    model.set_progress(progress)
    torch.manual_seed(1)
    read = read_by(model, batch_of(*[3] * 60, symbols=50))
    assert set(read.flatten().tolist()) <= {OWN, TRUE}
    assert abs((read == TRUE).float().mean().item() - share) < 0.04


def test_without_true_symbols_the_decoder_reads_its_own() -> None:
    """What the logits are made with then is what prediction will make them with."""
    model, batch = model_of(teacher_forcing=(1.0, 0.0)).train(), batch_of(5, 2, 9)
    model.set_progress(1.0)
    logits = model(batch)
    read = read_by(model, batch)
    assert torch.equal(read, logits[:, :-1].argmax(-1))
    before = torch.cat([torch.full((3, 1), BOS), read], dim=1)
    torch.testing.assert_close(logits, model.decode(before, model.encode(batch))[0])


def test_evaluation_reads_true_symbols_wherever_training_stands() -> None:
    """A validation loss that falls with the schedule could not choose the best epoch."""
    model, batch = model_of(teacher_forcing=(1.0, 0.0)), batch_of(5, 2, 9)
    model.set_progress(1.0)
    assert (read_by(model.eval(), batch) == TRUE).all()


def test_training_moves_along_the_schedule(tmp_path: Any) -> None:
    """The model's own schedule is worth nothing if nobody moves it on."""
    snapshot = task_snapshot(tmp_path / "data", "translate", rows=20)
    losses = []
    for shares in ((1.0, 1.0), (1.0, 0.0)):
        options = Train(
            model=replace(MODEL, teacher_forcing=shares), updates=6, threads=1, device="cpu"
        )
        out = tmp_path / str(shares[1])
        train(Job(snapshot=str(snapshot), out=str(out), train=options))
        losses.append((out / "bundle" / "weights.safetensors").read_bytes())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("conv", [(), (Conv(channels=6, kernel=4, stride=4),)])
def test_each_output_ends_at_the_limit_of_its_own_record(beam: int, conv: tuple[Conv, ...]) -> None:
    """Of input steps, as a person counts them, whatever the front leaves and the batch holds."""
    model = model_of(max_target=1.5, beam=beam, front=Front(conv=conv)).eval()
    with torch.no_grad():
        model.head.layers[-1].bias[EOS] = -1e9  # type: ignore[index]
    found = model.generate(batch_of(1, 8, 20, 31))
    assert [len(symbols) for symbols in found] == [16, 16, 30, 47]
    model.max_target = 0.9
    assert [len(symbols) for symbols in model.generate(batch_of(20, 31))] == [18, 28]


def test_the_largest_limit_can_be_counted() -> None:
    """A limit beyond what integers hold would be taken for none, or for the shortest."""
    memory = model_of(max_target=1000.0).encode(batch_of(3, 40))
    assert memory.limit.tolist() == [3000, 40_000]


@pytest.mark.parametrize("task", sorted({task for tasks in TASKS.values() for task in tasks}))
def test_another_task_is_refused_with_the_models_that_learn_it(task: str) -> None:
    """An advice that is itself refused sends a person round in a circle."""
    if task == "translate":
        return
    with pytest.raises(JobError, match=r"train\.model\.name: encoder_decoder") as error:
        build(MODEL, replace(SHAPE, task=task))  # type: ignore[arg-type]
    advised = str(error.value).partition("choose ")[2].partition(",")[0].split(" or ")
    assert advised == [name for name, tasks in TASKS.items() if task in tasks]
