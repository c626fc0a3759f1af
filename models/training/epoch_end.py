"""The end of an epoch: what validation says, which weights are the best, what is written down."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from models.answers import outputs
from models.scores import metrics
from models.training.evaluation import answers
from models.training.run import Hooks, Run, Stopped, break_off
from seqprep.batches import BatchSource


def end_epoch(run: Run, validation: BatchSource, hooks: Hooks) -> None:
    """Score validation, keep the best weights, and note the epoch.

    Raises:
        Stopped: when asked to stop before it was told; the checkpoint is written.
    """
    start, progress = time.perf_counter(), run.progress
    found = run.ranks.share(lambda: _judge(run, validation, hooks))
    if found is None:
        hooks.save()
        raise Stopped
    loss, figures = found
    _choose(run, loss, figures)
    if run.segments is not None and not run.segments.is_last_phase:
        progress.waited = 0  # a worse epoch of short segments is no reason to stop before long ones
    seconds = time.perf_counter() - start
    progress.seconds += seconds
    batches, updates = max(1, progress.batch), max(1, progress.finite)
    event = {
        "epoch": progress.epoch + 1,
        "update": progress.seen,
        "train_loss": progress.loss / progress.weight if progress.weight else None,
        "validation_loss": loss,
        "validation": figures,
        "best_epoch": progress.best_epoch,
        "lr": run.optimizer.param_groups[0]["lr"],
        "clipped_share": progress.clipped / batches,
        "skipped": progress.skipped,
        "real_steps_per_s": progress.real_steps_per_s,
        "padding_share": progress.padding_share,
        "context_share": progress.context_share,
        "grad_norm": progress.grad_norm / updates,
        "grad_norm_clipped": progress.grad_norm_clipped / updates,
        "memory_bytes": progress.memory_bytes,
        "seconds": progress.epoch_seconds + seconds,
    }
    if run.segments is not None:
        event["segments"] = run.segments.end_epoch(event["train_loss"])
    progress.history.append(event)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    progress.loss, progress.weight, progress.clipped, progress.epoch_seconds = 0.0, 0, 0, 0.0
    progress.finite, progress.grad_norm, progress.grad_norm_clipped = 0, 0.0, 0.0
    hooks.log("epoch", event)


def _judge(
    run: Run, validation: BatchSource, hooks: Hooks
) -> tuple[float | None, metrics.Scores] | None:
    """What validation says of the model; None when asked to stop before it was told."""
    try:
        return evaluate(run, validation, between=break_off(hooks.stopping))
    except Stopped:
        return None


def evaluate(
    run: Run, source: BatchSource, *, between: Callable[[], None] | None = None
) -> tuple[float | None, metrics.Scores]:
    """Loss and figures of a split; a loss that is not finite is None."""
    if not len(source):
        return None, {}
    found = answers(run, source, between=between)
    if found.loss is None or not math.isfinite(found.loss):
        return None, {}
    return found.loss, metrics.score(source.facts.task, outputs.pool(found), majority=run.majority)


def _choose(run: Run, loss: float | None, figures: metrics.Scores) -> None:
    """Keep the weights if they are the best so far, or the last; never those without a score."""
    progress, name = run.progress, run.options.select_by
    value = loss if name == "loss" else figures.get(name)
    if name == "last" and loss is not None:
        value = progress.epoch + 1.0
    if value is None or not math.isfinite(value):
        progress.waited += 1
        return
    score = -value if name in ("loss", "rmse") else value
    if progress.best_score is not None and score <= progress.best_score:
        progress.waited += 1
        return
    progress.best_score, progress.best_epoch, progress.waited = score, progress.epoch + 1, 0
    run.best = {k: v.detach().cpu().clone() for k, v in run.model.state_dict().items()}
