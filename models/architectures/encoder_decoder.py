"""Encoder-decoder: source steps to target symbols, with attention and a teacher-forcing schedule.

The decoder reads its previous symbols with an LSTM and then attends to the encoder's states by
content and by place: a place in the source moves on with every symbol, at a learned pace, and how
sharply it counts is learned too (so a task that runs backwards can switch it off). Since attention
does not feed back into the recurrence, all target steps are computed at once under full teacher
forcing.

Legend: B rows, T encoder steps, S target steps, H units, F encoder features, V target ids.
Source: attention by content, Luong et al. 2015, doi:10.18653/v1/D15-1166; by place, Graves 2013,
arXiv:1308.0850; scheduled sampling, Bengio et al. 2015, arXiv:1506.03099.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.layers.core import State
from models.layers.front import Front
from models.layers.head import Head
from models.layers.recurrent import LSTM
from models.layers.search import Found, beam_search, greedy
from models.options.model import Model
from models.options.model_fits import check_task
from models.shape import Shape, TensorBatch, step_mask
from seqprep.schema import BOS, PAD

SHORTEST_LIMIT = 16
"""Symbols that every output may have, however short its source."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder knows of the source, and where it stands.

    Args:
        states: of the encoder `(B, T, F)`. keys: for attention `(B, T, H)`.
        mask: real steps `(B, T)`. limit: longest output of each row `(B,)`.
        state: of the decoder. place: in the source `(B,)`.
    """

    states: Tensor
    keys: Tensor
    mask: Tensor
    limit: Tensor
    state: State
    place: Tensor

    def take(self, rows: Tensor) -> Memory:
        """The named rows, in that order."""
        return Memory(
            self.states[rows],
            self.keys[rows],
            self.mask[rows],
            self.limit[rows],
            tuple(part[:, rows] for part in self.state),
            self.place[rows],
        )

    def among(self, rows: Tensor) -> Memory:
        """The same for rows that change places with others of their source alone: no copy of it."""
        state = tuple(part[:, rows] for part in self.state)
        return replace(self, state=state, place=self.place[rows])


class EncoderDecoder(nn.Module):
    """See the module.

    Args:
        config: the model's options.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        check_task(config.name, shape.task)
        hidden, layers = config.hidden, config.layers
        self.front = Front(config, shape)
        self.core = LSTM(
            self.front.features,
            hidden,
            layers=layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        self.bridge = nn.Linear(self.core.features, 2 * layers * hidden)
        self.embedding = nn.Embedding(shape.outputs, config.embedding, padding_idx=PAD)
        self.decoder = LSTM(config.embedding, hidden, layers=layers, dropout=config.dropout)
        self.attend = config.attention
        if self.attend:
            self.key = nn.Linear(self.core.features, hidden, bias=False)
            self.query = nn.Linear(hidden, hidden, bias=False)
            self.pace = nn.Linear(hidden, 1)
            self.sharpness = nn.Parameter(torch.tensor(-2.0))
            self.combine = nn.Linear(hidden + self.core.features, hidden)
        self.head = Head(hidden, config, shape.outputs)
        self.layers, self.hidden, self.beam = layers, hidden, config.beam
        self.max_target, self.schedule = config.max_target, config.teacher_forcing
        self.share = config.teacher_forcing[0]

    def set_progress(self, share: float) -> None:
        """Move along the teacher-forcing schedule; `share` of the training is done."""
        first, last = self.schedule
        self.share = first + (last - first) * share

    def prime(self, source_steps: float, target_symbols: float) -> None:
        """Start the pace of attention at the ratio of mean lengths, both of training rows."""
        if self.attend:
            pace = source_steps / self.front.stride / max(1.0, target_symbols)
            nn.init.zeros_(self.pace.weight)
            nn.init.constant_(self.pace.bias, math.log(math.expm1(min(max(pace, 0.01), 50.0))))

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, S, V)` of each target symbol and the closing EOS, given those before it."""
        assert batch.target_tokens is not None
        memory = self.encode(batch)
        true_BS = functional.pad(batch.target_tokens[:, :-1], (1, 0), value=BOS)
        if self.share >= 1.0 or not self.training:
            return self.decode(true_BS, memory)[0]
        logits, previous_B = [], true_BS[:, 0]
        for step in range(true_BS.shape[1]):
            if step:
                forced = torch.rand(len(true_BS), device=true_BS.device) < self.share
                previous_B = torch.where(forced, true_BS[:, step], previous_B)
            out, memory = self.decode(previous_B[:, None], memory)
            logits.append(out)
            previous_B = out[:, 0].argmax(-1)
        return torch.cat(logits, dim=1)

    def encode(self, batch: TensorBatch) -> Memory:
        """Read the source."""
        x_BTF, lengths_B = self.front(batch)
        states_BTF = self.core(x_BTF, lengths_B)
        final = torch.tanh(self.bridge(self.core.final(states_BTF, lengths_B)))
        h, c = final.view(len(final), 2, self.layers, self.hidden).permute(1, 2, 0, 3).contiguous()
        limit = torch.ceil(batch.lengths.double() * self.max_target).long()
        limit = limit.clamp(min=SHORTEST_LIMIT)
        mask_BT = step_mask(lengths_B, states_BTF.shape[1])
        states_BTF = states_BTF.masked_fill(~mask_BT[:, :, None], 0.0)  # a weight of 0 hides no NaN
        keys = self.key(states_BTF) if self.attend else states_BTF[:, :, :0]
        place_B = states_BTF.new_zeros(len(lengths_B))
        return Memory(states_BTF, keys, mask_BT, limit, (h, c), place_B)

    def decode(self, previous_BS: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Go on by S symbols.

        Args:
            previous_BS: the symbol before each, BOS first.
            memory: from encode or the last call.

        Returns:
            Logits `(B, S, V)`, and the memory after them.
        """
        rows, steps = previous_BS.shape
        lengths_B = torch.full((rows,), steps, device=previous_BS.device)
        out_BSH, state = self.decoder.carry(self.embedding(previous_BS), lengths_B, memory.state)
        memory = replace(memory, state=state)
        if self.attend:
            out_BSH, memory = self._attend(out_BSH, memory)
        logits: Tensor = self.head(out_BSH)
        return logits, memory

    def _attend(self, out_BSH: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        weights_BST, after_BS = self._weights(out_BSH, memory)
        context_BSF = weights_BST @ memory.states
        combined = torch.tanh(self.combine(torch.cat([out_BSH, context_BSF], dim=-1)))
        return combined, replace(memory, place=after_BS[:, -1])

    def _weights(self, out_BSH: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Weights of the encoder's steps, `(B, S, T)`, and the places after each symbol."""
        pace_BS = functional.softplus(self.pace(out_BSH))[:, :, 0]
        after_BS = memory.place[:, None] + pace_BS.cumsum(1)
        place_BS = after_BS - pace_BS
        steps = torch.arange(memory.mask.shape[1], device=out_BSH.device)
        distance_BST = steps - place_BS[:, :, None]
        scores_BST = self.query(out_BSH) @ memory.keys.transpose(1, 2) / self.hidden**0.5
        scores_BST = scores_BST - functional.softplus(self.sharpness) * distance_BST.square()
        scores_BST = scores_BST.masked_fill(~memory.mask[:, None], -torch.inf)
        return torch.softmax(scores_BST, dim=-1), after_BS

    @torch.no_grad()
    def attention(self, batch: TensorBatch, symbols: list[list[int]]) -> list[Tensor]:
        """Weights with which each symbol of an output looked at the encoder's steps.

        Args:
            batch: B sources.
            symbols: S target ids of each, as `generate` gives them.

        Returns:
            `(S, T)` of each row, over its own steps; each symbol's weights sum to 1.

        Raises:
            ValueError: if the model has no attention.
        """
        if not self.attend:
            raise ValueError("no attention to export: set train.model.attention: true")
        memory = self.encode(batch)
        longest = max([1, *map(len, symbols)])
        shifted = [[BOS, *row][:longest] + [PAD] * (longest - 1 - len(row)) for row in symbols]
        previous_BS = torch.tensor(shifted, device=memory.limit.device)
        lengths_B = torch.full((len(batch),), longest, device=memory.limit.device)
        out_BSH, _ = self.decoder.carry(self.embedding(previous_BS), lengths_B, memory.state)
        weights_BST, _ = self._weights(out_BSH, memory)
        steps = memory.mask.sum(1).tolist()
        return [
            weights[: len(row), :count]
            for weights, row, count in zip(weights_BST, symbols, steps, strict=True)
        ]

    @torch.no_grad()
    def generate(self, batch: TensorBatch) -> list[list[int]]:
        """Target ids of each row without BOS and EOS, greedily or the best of `beam` beams."""
        return [beams[0] for beams in self.search(batch).symbols]

    @torch.no_grad()
    def search(self, batch: TensorBatch) -> Found:
        """The outputs of each row, greedily or with `beam` beams.

        A row's length limit comes from its own source, so the rest of the batch does not matter.
        """
        memory = self.encode(batch)
        if self.beam > 1:
            return beam_search(self.decode, memory, beams=self.beam)
        return greedy(self.decode, memory)
