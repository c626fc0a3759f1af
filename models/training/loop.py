"""Fit a model: updates, epochs, the best weights on validation, and the guard.

Every batch seeds its own random numbers from (seed, batch number, rank), so a run that was stopped
anywhere goes on bit for bit from its weights and counters.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from models.architectures.encoder_decoder import EncoderDecoder
from models.segments.rounds import Round, Rounds
from models.training.epoch_end import end_epoch
from models.training.joint import computed_steps, joint_loss
from models.training.optimize import Clipped, clip, learning_rate, set_learning_rate
from models.training.run import Hooks, Run, Stopped
from seqprep.batches import Batch, BatchSource, Plan
from seqprep.errors import SeqprepError

logger = logging.getLogger(__name__)


def fit(run: Run, train: BatchSource, validation: BatchSource, hooks: Hooks) -> None:
    """Train until the epochs or updates are done, or waiting has lasted too long.

    Raises:
        Stopped: when asked to stop; the checkpoint is written.
        SeqprepError: after `guard` updates in a row without a finite loss and gradient, or
            none that had one.
    """
    while run.progress.batch or not finished(run):  # a stop after the last update leaves its end
        if not finished(run):
            _go_on(run, train, hooks)
        end_epoch(run, validation, hooks)
        hooks.save()
    if not run.progress.updates:
        raise SeqprepError(
            f"nothing was learnt: loss or gradient was not finite in all {run.progress.seen} "
            "updates; look at the data, or lower train.optimizer.lr and train.model.noise"
        )


def _go_on(run: Run, train: BatchSource, hooks: Hooks) -> None:
    """Take the updates that are left of the epoch."""
    saved = time.monotonic()
    plan, batches = _epoch(run, train)
    for batch in batches:
        run.growth.begin(run.device)
        _step(run, batch, plan, train, hooks)
        run.note_memory()
        if run.ranks.any(hooks.stopping()):
            hooks.save()
            raise Stopped
        if time.monotonic() - saved > 60 * run.options.checkpoint_minutes:
            hooks.save()
            saved = time.monotonic()
        if run.options.updates is not None and run.progress.seen >= run.options.updates:
            return


def _epoch(run: Run, train: BatchSource) -> tuple[Plan | Rounds, Iterator[Batch | Round]]:
    """What the epoch is made of, and what is left of it for this process."""
    progress, ranks = run.progress, run.ranks
    if run.segments is not None:
        rounds = run.segments.epoch(train, progress.epoch, done=progress.seen)
        return rounds, run.segments.read(rounds)
    plan = train.plan(progress.epoch)
    return plan, train.batches(plan, start=progress.batch, rank=ranks.rank, world=ranks.world)


def finished(run: Run) -> bool:
    """Whether nothing is left to do."""
    options, progress = run.options, run.progress
    if options.early_stopping is not None and progress.waited >= options.early_stopping:
        return True
    if options.updates is not None:
        return progress.seen >= options.updates
    assert options.epochs is not None
    return progress.epoch >= options.epochs


def share_done(run: Run, batches: int) -> float:
    """The share of the training that is done in the middle of the next update."""
    if run.options.updates is not None:
        return (run.progress.seen + 0.5) / run.options.updates
    assert run.options.epochs is not None
    return (run.progress.epoch + (run.progress.batch + 0.5) / batches) / run.options.epochs


def _step(
    run: Run, batch: Batch | Round, plan: Plan | Rounds, train: BatchSource, hooks: Hooks
) -> None:
    start, progress = time.perf_counter(), run.progress
    share = share_done(run, len(plan))
    if isinstance(batch, Round) and not batch.has_loss:
        result = None
        hand_on(run, batch)
    else:
        result = _learn(run, batch, share)
    progress.batch += 1
    if result is not None and not (result.finite or result.rescaled):
        _guard(run, batch, plan, train)
    progress.steps += batch.total_steps
    progress.context += batch.context_steps if isinstance(batch, Round) else 0
    computed = computed_steps(plan, batch, run.ranks.world)
    progress.computed += computed
    progress.largest = max(progress.largest, computed)
    seconds = time.perf_counter() - start
    progress.epoch_seconds += seconds
    progress.train_seconds += seconds
    progress.seconds += seconds
    if isinstance(batch, Round) and run.segments is not None:
        run.segments.learnt(batch)
    learnt = result if result is not None and result.finite else None
    hooks.log(
        "progress",
        {
            "epoch": progress.epoch + 1,
            "update": progress.seen,
            "updates_total": updates_total(run, updates_in(plan)),
            "steps": progress.steps,
            "loss": None if learnt is None else learnt.loss,
            "lr": learning_rate(run.options.optimizer, share),
            "real_steps_per_s": progress.real_steps_per_s,
            "padding_share": progress.padding_share,
            "context_share": progress.context_share,
            "grad_norm": None if learnt is None else learnt.before,
            "grad_norm_clipped": None if learnt is None else learnt.after,
            "clipped_share": progress.clipped / progress.batch,
            "memory_bytes": progress.memory_bytes,
            "seconds": progress.seconds,
        },
    )


def _learn(run: Run, batch: Batch | Round, share: float) -> Clipped:
    """One update, and what is counted of it."""
    progress = run.progress
    result, weight = update(run, batch, share)
    progress.seen += 1
    if result.finite:
        progress.updates += 1
        progress.bad_in_row = 0
        progress.loss += result.loss * weight
        progress.weight += weight
        progress.clipped += result.clipped
        progress.finite += 1
        progress.grad_norm += result.before
        progress.grad_norm_clipped += result.after
    else:
        progress.skipped += 1
        progress.bad_in_row += not result.rescaled
    return result


def updates_in(plan: Plan | Rounds) -> int:
    """Updates of an epoch: batches, or the rounds that have a loss."""
    return plan.learning if isinstance(plan, Rounds) else len(plan)


def updates_total(run: Run, batches: int) -> int:
    """Updates of the whole run; epochs differ by a few, so about that many."""
    return run.options.updates or (run.options.epochs or 0) * batches


def update(run: Run, batch: Batch | Round, share: float) -> tuple[Clipped, float]:
    """One step of the optimiser, left out when loss or gradient is not finite.

    Args:
        run: changed.
        batch: to learn from; of several processes, the part of this one.
        share: of the training that is done.

    Returns:
        The mean loss with what clipping did, and the rows, steps or symbols it is the mean of, or
        the sum of their weights.
    """
    model, options = run.model.train(), run.options
    torch.manual_seed(_seed(run, batch))
    if isinstance(model, EncoderDecoder):
        model.set_progress(share)
    run.optimizer.zero_grad(set_to_none=True)
    downhill, loss, weight = joint_loss(run.module, batch, run.ranks, run.device)
    run.scaler.scale(downhill).backward()
    run.scaler.unscale_(run.optimizer)
    result = clip(model, options.optimizer, loss)
    if result.finite:
        set_learning_rate(run.optimizer, learning_rate(options.optimizer, share))
        run.scaler.step(run.optimizer)
    elif run.scaler.is_enabled() and run.scaler.get_scale() > 1:
        result = replace(result, rescaled=math.isfinite(result.loss))
    run.scaler.update()
    return result, weight.item()


def hand_on(run: Run, round_: Round) -> None:
    """Read a round in which no record ends: its states are handed on, nothing is learnt."""
    run.model.train()
    torch.manual_seed(_seed(run, round_))
    with torch.no_grad():
        run.module(round_)


def _seed(run: Run, batch: Batch | Round) -> int:
    """The seed of an update; rounds count apart, for not all of them are updates."""
    seed = seed_of(run.options.seed, run.progress.seen, run.ranks.rank)
    if isinstance(batch, Round):
        seed += run.progress.batch * 0xD1B5_4A32_D192_ED03
    return seed % 2**63


def seed_of(seed: int, batch: int, rank: int) -> int:
    """What a batch draws from in one process, so that resuming needs no generator's state."""
    return (seed * 1_000_003 + batch + rank * 0x9E37_79B9_7F4A_7C15) % 2**63


def _guard(run: Run, batch: Batch | Round, plan: Plan | Rounds, train: BatchSource) -> None:
    logger.warning("update %d left out: loss or gradient not finite", run.progress.seen)
    if run.progress.bad_in_row < run.options.guard:
        return
    if isinstance(plan, Plan) and isinstance(batch, Batch):  # with the parts of other processes
        batch = next(train.batches(plan, start=batch.index))
    names = batch.ids.to_pylist()
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    raise SeqprepError(
        f"loss or gradient was not finite in {run.progress.bad_in_row} updates in a row, last on "
        f"the records {shown}; look at these records, or lower train.optimizer.lr"
    )
