"""Next symbol: after every prefix of a record, how likely each symbol is to follow.

Use it to model text or DNA without labels, to continue records, and to start a classifier's front
and core (`train.encoder_from`). Not for values. Its state runs in one direction, so every way of
training that reads records segment by segment works. Logits of all steps of a batch are held at
once: `batch_tokens` x ids numbers, so limit large vocabularies by `prepare.tokens.max_vocab`.

Legend: B rows, T steps, N symbols to go on by, V ids.
Source: Mikolov et al. 2010, doi:10.21437/Interspeech.2010-343; Graves 2013, arXiv:1308.0850.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architectures.lstm import PooledLSTM
from models.options.model import Model
from models.options.model_fits import check_foretells
from models.shape import Shape, TensorBatch
from seqprep import ragged
from seqprep.ragged import Keys
from seqprep.schema import NUM_RESERVED_TARGET


class NextSymbol(PooledLSTM):
    """See the module; batches hold BOS and each record, and the symbol after each step as target.

    Args:
        config: the model's options.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        check_foretells(config, tokens=shape.vocab_size is not None)
        super().__init__(config, shape)
        self.continuation, self.temperature = config.continuation, config.temperature

    @torch.no_grad()
    def follows(self, batch: TensorBatch) -> Tensor:
        """Logits of what follows each whole record, `(B, V)`."""
        return self._read(batch)[0]

    @torch.no_grad()
    def generate(self, batch: TensorBatch, keys: Keys, *, seed: int = 0) -> Tensor:
        """Symbols that go on each record, `(B, N)` ids of tokens.

        They are drawn with the model's temperature, 0 taking the likeliest. What is drawn follows
        from the record's key alone, so neither its neighbours nor its place matter. The end of a
        record is never drawn: every continuation has N symbols.

        Args:
            batch: whole records, BOS first.
            keys: `(B,)` 64-bit hashes of the records' ids.
            seed: of the draws.
        """
        logits_BV, state = self._read(batch)
        ones_B = torch.ones_like(batch.lengths)
        symbols: list[Tensor] = []
        while len(symbols) < self.continuation:
            drawn_B = torch.from_numpy(ragged.uniform(keys, seed, len(symbols)))
            symbols.append(draw(logits_BV, drawn_B.to(logits_BV.device), self.temperature))
            x_B1F, _ = self.front(TensorBatch(inputs=symbols[-1][:, None], lengths=ones_B))
            out_B1H, state = self.core.carry(x_B1F, ones_B, state)
            logits_BV = self.head(out_B1H[:, 0])
        return torch.stack(symbols, dim=1)

    def _read(self, batch: TensorBatch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits after each row's last step, and the state there."""
        x_BTF, lengths_B = self.front(batch)
        out_BTH, state = self.core.carry(x_BTF, lengths_B)
        return self.head(self.core.final(out_BTH, lengths_B)), state


def draw(logits_BV: Tensor, uniform_B: Tensor, temperature: float) -> Tensor:
    """A token of each row by its probability to the power 1 / temperature, `(B,)`.

    Args:
        logits_BV: of all ids; reserved ones are never drawn.
        uniform_B: float64 in [0, 1).
        temperature: 0 takes the likeliest.

    >>> logits = torch.tensor([[9.0, 9.0, 9.0, 9.0, 0.0, 0.0]]).repeat(2, 1)
    >>> draw(logits, torch.tensor([0.4, 0.6]).double(), 1.0).tolist()
    [4, 5]
    """
    logits_BV = logits_BV.double()
    logits_BV[:, :NUM_RESERVED_TARGET] = -torch.inf
    if temperature == 0:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV - logits_BV.amax(-1, keepdim=True)  # or a low temperature overflows
    below_BV = torch.softmax(logits_BV / temperature, dim=-1).cumsum(-1)
    return (below_BV <= uniform_B[:, None] * below_BV[:, -1:]).sum(-1)
