"""Which outputs a decoder finds likeliest: greedily, or with several beams side by side.

All rows and beams of a batch are decoded at once, a symbol at a time; a row that has ended stays as
it is.

Legend: B rows, K beams, S symbols so far, V ids.
Source: beam search, Graves 2012, arXiv:1211.3711.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from seqprep.schema import BOS, EOS, PAD


class Limited(Protocol):
    """What a decoder goes on from."""

    @property
    def limit(self) -> Tensor:
        """Longest output of each row."""
        ...

    def take(self, rows: Tensor) -> Self:
        """The named rows, in that order."""
        ...

    def among(self, rows: Tensor) -> Self:
        """The same for rows that change places with others of their source alone."""
        ...


M = TypeVar("M", bound=Limited)
Decode = Callable[[Tensor, M], tuple[Tensor, M]]
"""From the symbols before, `(B, 1)`, to logits of the next `(B, 1, V)`, and what to go on from."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found for each row, best first.

    Args:
        symbols: rows of beams of target ids, without BOS and EOS.
        scores: of the beams: mean log-probability of a symbol, EOS included.
    """

    symbols: list[list[list[int]]]
    scores: list[list[float]]


def greedy(decode: Decode[M], memory: M) -> Found:
    """The likeliest symbol at every place; its score is left out.

    Args:
        decode: see Decode.
        memory: before the first symbol.
    """
    rows = len(memory.limit)
    previous_B = torch.full((rows,), BOS, device=memory.limit.device)
    done_B = torch.zeros_like(previous_B, dtype=torch.bool)
    symbols = []
    while not bool(done_B.all()):
        logits, memory = decode(previous_B[:, None], memory)
        previous_B = _allowed(logits[:, 0]).argmax(-1)
        previous_B = torch.where(done_B, EOS, previous_B)
        symbols.append(previous_B)
        done_B = done_B | (previous_B == EOS) | (memory.limit <= len(symbols))
    rows_BS = torch.stack(symbols, dim=1).tolist()
    return Found([[_until_eos(row)] for row in rows_BS], [[] for _ in rows_BS])


def beam_search(decode: Decode[M], memory: M, *, beams: int) -> Found:
    """The best outputs of K beams; those that ended are ranked by mean log-probability a symbol.

    Args:
        decode: see Decode.
        memory: before the first symbol.
        beams: K.
    """
    rows, device = len(memory.limit), memory.limit.device
    memory = memory.take(torch.arange(rows, device=device).repeat_interleave(beams))
    base_B1 = torch.arange(rows, device=device)[:, None] * beams
    score_BK = torch.full((rows, beams), -torch.inf, device=device)
    score_BK[:, 0] = 0.0
    done_BK = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    count_BK = torch.zeros(rows, beams, device=device)
    symbols = torch.full((rows, beams, 1), BOS, device=device)
    limit_B1 = memory.limit.view(rows, beams)[:, :1]
    while not bool(done_BK.all()):
        logits, memory = decode(symbols[:, :, -1].reshape(-1, 1), memory)
        log_p = torch.log_softmax(_allowed(logits[:, 0]), dim=-1).view(rows, beams, -1)
        closed = torch.full_like(log_p, -torch.inf)
        closed[:, :, EOS] = 0.0  # a finished beam stays as it is
        total = score_BK[:, :, None] + torch.where(done_BK[:, :, None], closed, log_p)
        length = (count_BK + ~done_BK)[:, :, None]
        best = (total / length).flatten(1).topk(beams, dim=1).indices
        beam_BK, symbol_BK = best // log_p.shape[-1], best % log_p.shape[-1]
        score_BK = total.flatten(1).gather(1, best)
        count_BK = length[:, :, 0].gather(1, beam_BK)
        done_BK = done_BK.gather(1, beam_BK) | (symbol_BK == EOS)
        symbols = symbols.gather(1, beam_BK[:, :, None].expand_as(symbols))
        symbols = torch.cat([symbols, symbol_BK[:, :, None]], dim=-1)
        memory = memory.among((base_B1 + beam_BK).flatten())
        done_BK = done_BK | (limit_B1 <= symbols.shape[-1] - 1)
    return _found(symbols[:, :, 1:], score_BK / count_BK)


def _found(symbols_BKS: Tensor, score_BK: Tensor) -> Found:
    """The beams of each row that there are: a small vocabulary has fewer outputs than beams."""
    rows = zip(symbols_BKS.tolist(), score_BK.tolist(), strict=True)
    found = Found([], [])
    for beams, scores in rows:
        real = [place for place, score in enumerate(scores) if score > -math.inf]
        found.symbols.append([_until_eos(beams[place]) for place in real])
        found.scores.append([scores[place] for place in real])
    return found


def _allowed(logits_BV: Tensor) -> Tensor:
    """Logits without the ids that never stand in an output."""
    logits_BV = logits_BV.clone()
    logits_BV[:, [PAD, BOS]] = -torch.inf
    return logits_BV


def _until_eos(symbols: list[int]) -> list[int]:
    return symbols[: symbols.index(EOS)] if EOS in symbols else symbols
