"""Truncated backpropagation by segments: one round read, its loss, and what the lanes hand on.

The gradient of a round reaches back through the steps that it reads; what came before is a state
without a past. A label's loss belongs to the piece that holds its record's last step, or, with a
loss in every piece, weighs by the piece's share of its record. With weights held still and dropout
off, the last state of a record is that of an unsegmented pass.

Legend: P pieces, B lanes, T steps of a block, H units, C outputs.
Source: Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from models.answers.objectives import Objective
from models.layers.segmented import Carried, Segmented
from models.ranks import Ranks
from models.segments.rounds import Pass, Round
from models.shape import TensorBatch, to_tensor
from seqprep.ragged import Ints, Ragged, copy_spans, pad_groups, to_offsets
from seqprep.schema import IGNORED_LABEL


class Truncated:
    """What the lanes hand on, and the loss of a round from it.

    Args:
        lanes: B. device: of the model.
    """

    def __init__(self, lanes: int, device: torch.device) -> None:
        self.lanes, self.device = lanes, device
        self.carried: Carried | None = None

    def loss(self, model: nn.Module, objective: Objective, round_: Round) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a round, and their weight; the lanes hand on what they read.

        Args:
            model: Segmented; in training mode for training.
            objective: what the loss is.
            round_: the next one.
        """
        assert isinstance(model, Segmented)
        carried = model.begin(self.lanes) if self.carried is None else self.carried
        total = torch.zeros((), device=self.device)
        weight, after = torch.zeros((), device=self.device), carried
        for one in round_.passes:
            with nullcontext() if one.has_loss else torch.no_grad():
                reader = _Reader(model, objective, one, self.device)
                reader.read(carried)
            total, weight = total + reader.total, weight + reader.weight
            if reader.kept:
                lanes = to_tensor(np.concatenate([lanes for lanes, _ in reader.kept]), self.device)
                after = after.put(lanes, Carried.concat([some for _, some in reader.kept]).detach())
        self.carried = after
        return total, weight

    def exchange(self, ranks: Ranks) -> None:
        """Have every process know the states of all lanes; each read its own."""
        if ranks.world == 1 or self.carried is None:
            return
        mine = torch.arange(self.lanes, device=self.device) % ranks.world == ranks.rank
        named = self.tensors()
        for name, tensor in named.items():
            along = (-1, 1) if name.startswith("state") else (-1, *[1] * (tensor.ndim - 1))
            named[name] = ranks.sum(torch.where(mine.view(along), tensor, torch.zeros_like(tensor)))
        self.restore(named)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        if self.carried is None:
            return {}
        named = {f"state.{n}": part for n, part in enumerate(self.carried.state)}
        named |= {f"pooled.{n}": part for n, part in enumerate(self.carried.pooled)}
        return {**named, "lengths": self.carried.lengths}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Hand on what a checkpoint kept."""
        if not tensors:
            self.carried = None
            return
        parts = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        state, pooled = (
            tuple(parts[f"{kind}.{n}"] for n in range(sum(k.startswith(kind) for k in parts)))
            for kind in ("state", "pooled")
        )
        self.carried = Carried(state, pooled, parts["lengths"])


class _Reader:
    """One pass: block after block, with the losses on the way and the states to keep.

    Args:
        model: reads. objective: what the loss is. part: what is read. device: of the model.
    """

    def __init__(
        self, model: Segmented, objective: Objective, part: Pass, device: torch.device
    ) -> None:
        self.model, self.objective, self.part, self.device = model, objective, part, device
        self.total = self.weight = torch.zeros((), device=device)
        self.kept: list[tuple[Ints, Carried]] = []

    def read(self, carried: Carried) -> None:
        """Read all blocks.

        Args:
            carried: of all lanes.
        """
        part, ended, order = self.part, list[Carried](), list[Ints]()
        current = self._begin(carried)
        for start, stop in zip(part.edges[:-1].tolist(), part.edges[1:].tolist(), strict=True):
            rows, left = int((part.sizes > start).sum()), int((part.sizes > stop).sum())
            current = current.take(slice(rows))
            sizes = np.minimum(part.sizes[:rows], stop) - start
            inputs = _dense(part.inputs, part.inputs.offsets[:rows] + start, sizes)
            states, current = self.model.read(
                to_tensor(inputs, self.device), to_tensor(sizes, self.device), current
            )
            if self.model.per_step:
                self._add_steps(states, start, sizes)
            elif part.has_loss and left < rows:
                ended.append(current.take(slice(left, rows)))
                order.append(np.arange(left, rows))
            self._keep(current, stop, rows, left)
        if ended:
            self._add_labels(self.model.answer(Carried.concat(ended)), np.concatenate(order))

    def _begin(self, carried: Carried) -> Carried:
        """What stands before the steps of each piece."""
        start = self.model.begin(len(self.part.sizes))
        going_on = np.flatnonzero(~self.part.fresh)
        if not len(going_on):
            return start
        lanes = to_tensor(self.part.lanes[going_on], self.device)
        return start.put(to_tensor(going_on, self.device), carried.take(lanes))

    def _keep(self, current: Carried, stop: int, rows: int, left: int) -> None:
        """Keep states at their marks: at a block's end, or where a piece ends inside one."""
        marks, sizes = self.part.marks[:rows], self.part.sizes[:rows]
        at = (marks == stop) | ((np.arange(rows) >= left) & (marks == sizes))
        which = np.flatnonzero(at)
        if len(which):
            self.kept.append((self.part.lanes[which], current.take(to_tensor(which, self.device))))

    def _add_labels(self, outputs: Tensor, order: Ints) -> None:
        """Losses of labels, `outputs` `(P, C)` of the pieces in this order."""
        assert self.part.labels is not None, "records without labels"
        labels = to_tensor(self.part.labels[order], self.device)
        if self.part.weights is None:
            total, count = self.objective.loss(outputs, _truth(labels=labels))
            self.total, self.weight = self.total + total, self.weight + count
            return

        def of_row(output: Tensor, label: Tensor) -> Tensor:
            return self.objective.loss(output[None], _truth(labels=label[None]))[0]

        weights = to_tensor(self.part.weights[order], self.device)
        losses: Tensor = torch.vmap(of_row)(outputs, labels)
        self.total = self.total + (losses * weights).sum()
        self.weight = self.weight + weights.sum()

    def _add_steps(self, states_BTH: Tensor, start: int, sizes: Ints) -> None:
        """Losses of the steps of a block that are no context; B of the pieces are in it."""
        part, rows = self.part, len(sizes)
        assert part.targets is not None, "steps without targets"
        first = np.clip(part.context[:rows] - start, 0, sizes)
        which = np.flatnonzero(sizes > first)
        if not len(which):
            return
        counts = (sizes - first)[which]
        if first.any():  # the steps of a row that count are moved to its front
            index = to_tensor(first[which], self.device)[:, None] + torch.arange(
                int(counts.max()), device=self.device
            )
            index = index.clamp(max=states_BTH.shape[1] - 1)[:, :, None]
            chosen = states_BTH[to_tensor(which, self.device)]
            states_BTH = chosen.gather(1, index.expand(-1, -1, states_BTH.shape[2]))
        skipped = np.maximum(start - part.context[:rows], 0)[which]
        ignored = 0 if np.issubdtype(part.targets.values.dtype, np.floating) else IGNORED_LABEL
        dense = _dense(
            part.targets, part.targets.offsets[:-1][which] + skipped, counts, fill=ignored
        )
        truth = _truth(
            lengths=to_tensor(counts, self.device), targets=to_tensor(dense, self.device)
        )
        total, count = self.objective.loss(self.model.answer_steps(states_BTH), truth)
        self.total, self.weight = self.total + total, self.weight + count


def _truth(
    *, labels: Tensor | None = None, lengths: Tensor | None = None, targets: Tensor | None = None
) -> TensorBatch:
    """What a loss is taken against; the inputs were read already."""
    anything = labels if labels is not None else lengths
    assert anything is not None
    lengths = anything if lengths is None else lengths
    return TensorBatch(inputs=anything, lengths=lengths, labels=labels, targets=targets)


def _dense(rows: Ragged, starts: Ints, sizes: Ints, *, fill: float = 0) -> np.ndarray:
    """Spans of steps as one array, padded to the longest."""
    some = Ragged(copy_spans(rows.values, starts, sizes), to_offsets(sizes))
    return pad_groups(some, np.array([0, len(sizes)]), fill=fill)[0]
