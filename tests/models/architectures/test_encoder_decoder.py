"""The encoder-decoder: what it learns, its beams, and its attention."""

from __future__ import annotations

import pytest
import torch

from models.answers.objectives import objective_for
from models.architectures.encoder_decoder import EncoderDecoder
from models.options.model import Model
from models.shape import Shape, TensorBatch
from tests.synthetic import VOCAB

SHAPE = Shape(task="translate", vocab_size=VOCAB, channels=0, outputs=VOCAB + 2)


def batch_of(rows: int, *, longest: int, backwards: bool) -> TensorBatch:
    """Sources of mixed lengths whose targets are themselves, or themselves from the end."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, longest + 1, (rows,), generator=generator)
    place = torch.arange(longest)
    real = place < lengths[:, None]
    inputs = torch.randint(2, VOCAB, (rows, longest), generator=generator).masked_fill(~real, 0)
    turned = torch.where(real, lengths[:, None] - 1 - place, place)
    symbols = inputs.gather(1, turned) if backwards else inputs
    target = torch.zeros(rows, longest + 1, dtype=torch.long)
    target[:, :longest] = torch.where(symbols > 0, symbols + 2, 0)
    target[torch.arange(rows), lengths] = 3
    return TensorBatch(inputs=inputs, lengths=lengths, target_tokens=target)


def wanted(batch: TensorBatch) -> list[list[int]]:
    """The true outputs without EOS."""
    assert batch.target_tokens is not None
    pairs = zip(batch.target_tokens, batch.lengths.tolist(), strict=True)
    return [row[:length].tolist() for row, length in pairs]


@pytest.fixture(scope="module", params=[False, True], ids=["copy", "reverse"])
def learnt(request: pytest.FixtureRequest) -> tuple[EncoderDecoder, TensorBatch]:
    torch.manual_seed(0)
    batch = batch_of(48, longest=6, backwards=request.param)
    config = Model(name="encoder_decoder", hidden=32, dropout=0.0, beam=3)
    model, objective = EncoderDecoder(config, SHAPE), objective_for("translate")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        objective.loss(model(batch), batch)[0].div(len(batch)).backward()
        optimizer.step()
    return model.eval(), batch


def test_it_learns_to_copy_and_to_reverse(learnt: tuple[EncoderDecoder, TensorBatch]) -> None:
    """Attention must find its place forwards and backwards, for lengths mixed in a batch."""
    model, batch = learnt
    for beam in (1, 3):
        model.beam = beam
        found = model.generate(batch)
        assert sum(a == b for a, b in zip(found, wanted(batch), strict=True)) >= 46


def test_beams_are_different_and_ranked(learnt: tuple[EncoderDecoder, TensorBatch]) -> None:
    """Beams that repeat one output, or stand in any order, say nothing of what else was likely."""
    model, batch = learnt
    model.beam = 3
    found = model.search(batch)
    for beams, scores in zip(found.symbols, found.scores, strict=True):
        assert len(beams) == len(scores) == 3
        assert len({tuple(beam) for beam in beams}) == 3
        assert scores == sorted(scores, reverse=True) and scores[0] <= 0


def test_the_score_of_a_beam_is_the_mean_log_probability_of_its_symbols(
    learnt: tuple[EncoderDecoder, TensorBatch],
) -> None:
    """A score that is not the model's own cannot be compared between records."""
    model, batch = learnt
    model.beam = 3
    found = model.search(batch)
    row = TensorBatch(inputs=batch.inputs[:1], lengths=batch.lengths[:1])
    for beam, score in zip(found.symbols[0], found.scores[0], strict=True):
        memory = model.encode(row)
        log_p = torch.log_softmax(
            _without_reserved(model.decode(torch.tensor([[2, *beam]]), memory)[0][0]), dim=-1
        )
        ended = [*beam, 3][:16]  # one that was cut at the limit has no end
        mean = log_p[torch.arange(len(ended)), torch.tensor(ended)].mean()
        torch.testing.assert_close(mean.item(), score, atol=1e-5, rtol=0)


def _without_reserved(logits: torch.Tensor) -> torch.Tensor:
    logits = logits.clone()
    logits[:, [0, 2]] = -torch.inf
    return logits


def test_exported_attention_is_what_the_logits_were_made_with(
    learnt: tuple[EncoderDecoder, TensorBatch],
) -> None:
    """Weights of another pass, of another order or of padding would make a plot of them a lie."""
    model, batch = learnt
    weights = model.attention(batch, wanted(batch))
    logits, memory = model(batch), model.encode(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        assert weights[row].shape == (length, length)
        torch.testing.assert_close(weights[row].sum(1), torch.ones(length), atol=1e-5, rtol=0)
        previous = torch.tensor([[2, *wanted(batch)[row][:-1]]])
        state = tuple(part[:, row : row + 1] for part in memory.state)
        out, _ = model.decoder.carry(model.embedding(previous), torch.tensor([length]), state)
        seen = torch.cat([out[0], weights[row] @ memory.states[row, :length]], dim=-1)
        remade = model.head(torch.tanh(model.combine(seen)))
        torch.testing.assert_close(remade, logits[row, :length], atol=1e-4, rtol=0)


def test_without_attention_there_are_no_weights() -> None:
    """The reason must be said, not a column of zeros given."""
    model = EncoderDecoder(Model(name="encoder_decoder", hidden=8, attention=False), SHAPE)
    with pytest.raises(ValueError, match=r"train\.model\.attention"):
        model.attention(batch_of(2, longest=3, backwards=False), [[4], [4]])


def test_more_beams_than_outputs_are_left_out() -> None:
    """Beams that cannot be must not show as empty texts with a score of minus infinity."""
    torch.manual_seed(0)
    shape = Shape(task="translate", vocab_size=VOCAB, channels=0, outputs=5)
    model = EncoderDecoder(Model(name="encoder_decoder", hidden=8, beam=40), shape).eval()
    found = model.search(batch_of(3, longest=3, backwards=False))
    assert all(score > -1e9 for scores in found.scores for score in scores)
    assert all(symbol in (1, 4) for beams in found.symbols for beam in beams for symbol in beam)


def test_teacher_forcing_in_full_equals_stepping() -> None:
    """The decoder computed at once and symbol by symbol must be the same function."""
    model = EncoderDecoder(Model(name="encoder_decoder", hidden=8, dropout=0.0), SHAPE)
    batch = batch_of(4, longest=4, backwards=False)
    at_once = model(batch)
    model.share = 0.999999
    torch.testing.assert_close(model(batch), at_once, atol=1e-6, rtol=0)
