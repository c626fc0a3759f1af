"""Training by segments: the phase, the lanes of its epoch, and what they hand on.

This is the state that a run has beside weights and optimiser, and all of it goes into the
checkpoint: a run that is stopped in the middle of a record goes on bit for bit.

Legend: B lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.answers.objectives import Objective
from models.options.training import Train
from models.ranks import Ranks
from models.segments.lanes import count_lanes
from models.segments.reading import Cut
from models.segments.rounds import Position, Round, Rounds
from models.segments.schedule import Phase, after_epoch, choose, numbers_of, segment_steps
from models.segments.truncated import Truncated
from seqprep.batches import BatchSource


@dataclass(kw_only=True, slots=True)
class Counted:
    """Steps of an epoch: until the last record was begun, and in the drain.

    Args:
        real, context, computed: read for the first time; read again; both with padding.
        rounds: of them.
        drain_real, drain_context, drain_computed, drain_rounds: the same after that.
        drain_consumed: steps that the lanes went on in the drain; drain_room: that full lanes
            would have.
    """

    real: int = 0
    context: int = 0
    computed: int = 0
    rounds: int = 0
    drain_real: int = 0
    drain_context: int = 0
    drain_computed: int = 0
    drain_rounds: int = 0
    drain_consumed: int = 0
    drain_room: int = 0

    def add(self, round_: Round, room: int) -> None:
        """Count one round; `room`: steps that full lanes read."""
        if round_.handing_out:
            self.real += round_.total_steps
            self.context += round_.context_steps
            self.computed += round_.computed
            self.rounds += 1
            return
        self.drain_real += round_.total_steps
        self.drain_context += round_.context_steps
        self.drain_computed += round_.computed
        self.drain_rounds += 1
        self.drain_consumed += round_.consumed
        self.drain_room += room

    def shares(self) -> dict[str, Any]:
        """Shares of the computed steps, and how full the lanes of the drain were; None: of none.

        What is neither real nor context is padding.
        """
        return {
            "rounds": self.rounds,
            "real_share": _share(self.real, self.computed),
            "context_share": _share(self.context, self.computed),
            "drain_rounds": self.drain_rounds,
            "drain_real_share": _share(self.drain_real, self.drain_computed),
            "drain_context_share": _share(self.drain_context, self.drain_computed),
            "drain_filled": _share(self.drain_consumed, self.drain_room),
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class SegmentTraining:
    """See the module.

    Args:
        options: of the run, with mode segments.
        per_step: whether every step has its own target.
        device: of the model.
        ranks: all processes.
    """

    def __init__(
        self, options: Train, *, per_step: bool, device: torch.device, ranks: Ranks
    ) -> None:
        self.options, self.device, self.ranks = options, device, ranks
        self.every = per_step or options.backpropagation.label_each
        self.phase: Phase | None = None
        self.position: Position | None = None
        self.truncated: Truncated | None = None
        self.counted = Counted()

    def epoch(self, source: BatchSource, epoch: int, *, done: int) -> Rounds:
        """The rounds of an epoch; where it begins, so does perhaps a phase.

        Args:
            source: of the training rows.
            epoch: from 0.
            done: updates of all epochs so far.
        """
        if self.position is None:
            self.phase = self._choose(source, epoch, done)
        assert self.phase is not None
        rounds = self._rounds(source, epoch, self.phase)
        if self.position is None:
            self.position, self.counted = rounds.start(), Counted()
            self.truncated = Truncated(rounds.lanes, self.device)
        return rounds

    def read(self, rounds: Rounds) -> Iterator[Round]:
        """The rounds that are left of the epoch; `learnt` is to be told of each."""
        assert self.position is not None
        return rounds.read(self.position, rank=self.ranks.rank, world=self.ranks.world)

    def loss(self, model: nn.Module, objective: Objective, round_: Round) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a round, and their weight; the lanes hand on what they read."""
        assert self.truncated is not None
        return self.truncated.loss(model, objective, round_)

    def learnt(self, round_: Round) -> None:
        """The update of a round is done: a run that goes on goes on after it."""
        assert self.truncated is not None and self.phase is not None
        self.truncated.exchange(self.ranks)
        self.counted.add(round_, self.phase.steps * self.truncated.lanes)
        self.position = round_.after

    def end_epoch(self, loss: float | None) -> dict[str, Any]:
        """Close an epoch; what its event tells of the segments.

        Args:
            loss: of training; None: not finite.
        """
        assert self.phase is not None and self.truncated is not None
        phase, options = self.phase, self.options.backpropagation
        event = {
            "phase": phase.number + 1,
            "segments": phase.segments,
            "steps": phase.steps,
            "gradient_steps": options.k2 or phase.steps,
            "lanes": self.truncated.lanes,
            "since": phase.since,
            "why": phase.why,
            **self.counted.shares(),
        }
        self.phase = after_epoch(phase, loss)
        self.position = self.truncated = None
        return event

    @property
    def is_last_phase(self) -> bool:
        """Whether no longer segments come: what waits for a better model may begin to count."""
        return self.phase is not None and self.phase.last

    def remarks(self, source: BatchSource) -> list[str]:
        """What a person should know of the schedule before the work begins.

        Args:
            source: of the training rows.
        """
        options, updates = self.options.backpropagation, self.options.updates
        if updates is None or options.epochs_needed == 1:
            return []  # epochs that are too few were refused with the options
        longest = int(source.lengths_of(0).max())
        each = []
        for number, segments in enumerate(numbers_of(options, longest)):
            steps = segment_steps(longest, segments)
            phase = Phase(number=number, segments=segments, steps=steps, since=1, why="")
            each.append(self._rounds(source, 0, phase).learning)
        needed = (options.patience + 1) * sum(each[:-1]) + 1
        if updates >= needed:
            return []
        return [
            f"train.updates: {updates:,} end before the schedule of segments does: its last number "
            f"comes after {options.epochs_needed - 1} epochs or {needed - 1:,} updates at the "
            "earliest; raise train.updates, lower backpropagation.patience, or use schedule: auto"
        ]

    def to_json(self) -> dict[str, Any]:
        """All but tensors, as plain JSON."""
        return {
            "phase": None if self.phase is None else self.phase.to_json(),
            "position": None if self.position is None else self.position.to_json(),
            "counted": asdict(self.counted),
        }

    def tensors(self) -> dict[str, Tensor]:
        """What the lanes hand on."""
        return {} if self.truncated is None else self.truncated.tensors()

    def restore(self, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Stand where a checkpoint stands.

        Args:
            fields: of `to_json`.
            tensors: of `tensors`.
        """
        phase, position = fields["phase"], fields["position"]
        self.phase = None if phase is None else Phase.from_json(phase)
        self.position = None if position is None else Position.from_json(position)
        self.counted = Counted(**fields["counted"])
        self.truncated = None
        if self.position is not None:
            self.truncated = Truncated(len(self.position.lanes.rows), self.device)
            self.truncated.restore(tensors)

    def _rounds(self, source: BatchSource, epoch: int, phase: Phase) -> Rounds:
        lanes = count_lanes(
            phase.steps,
            batch_tokens=self.options.batch_tokens,
            max_rows=self.options.max_rows,
            rows=len(source),
        )
        gradient = self.options.backpropagation.k2 or phase.steps
        cut = Cut(steps=phase.steps, gradient=gradient, every=self.every)
        return Rounds(source, epoch, cut=cut, lanes=lanes)

    def _choose(self, source: BatchSource, epoch: int, done: int) -> Phase:
        """The phase of an epoch that begins."""
        longest, options = int(source.lengths_of(epoch).max()), self.options.backpropagation
        if self.options.updates is None:
            assert self.options.epochs is not None
            share = (epoch + 0.5) / self.options.epochs
        elif epoch:
            share = done * (1 + 0.5 / epoch) / self.options.updates  # as long as those before
        else:
            first = choose(None, options, longest=longest, epoch=1, share=0.0)
            share = 0.5 * self._rounds(source, epoch, first).learning / self.options.updates
        share = min(share, 1.0)
        return choose(self.phase, options, longest=longest, epoch=epoch + 1, share=share)
