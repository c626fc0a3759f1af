"""A run and what stands around it: set up from a job, saved as a checkpoint, resumed from one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.answers.objectives import (
    Moments,
    class_counts,
    objective_for,
    target_moments,
    training_objective,
)
from models.architectures import build
from models.architectures.encoder_decoder import EncoderDecoder
from models.backpropagation.activations import Size
from models.backpropagation.bptt import loss_of
from models.backpropagation.exact import Exact
from models.backpropagation.largest import largest
from models.device import choose_execution, scaler_for, set_execution, set_precision
from models.job import Job
from models.options.fits import check_fits
from models.options.model_fits import ANSWERED_BY_STEP, can_pack
from models.options.training import Train
from models.ranks import Ranks
from models.segments.phase import SegmentTraining
from models.shape import Shape, to_tensors
from models.training.checkpoint import (
    Checkpoint,
    optimizer_options,
    optimizer_tensors,
    restore_optimizer,
)
from models.training.encoder import start_from
from models.training.joint import SummedLoss, join
from models.training.memory import reset_peak
from models.training.optimize import build_optimizer
from models.training.run import Progress, Run
from models.training.warm import begin_from
from seqprep.batches import BatchSettings, BatchSource
from seqprep.errors import SeqprepError
from seqprep.schema import SPLITS, Split
from seqprep.snapshot import Snapshot

logger = logging.getLogger(__name__)

Sources = dict[Split, BatchSource]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A run and what stands around it.

    Args:
        job: what to do. sources: batches of each split. run: the model in training.
        moments: of the targets. identity: what a checkpoint must share.
        device: facts for the report: execution, threads and the like.
        begun: the same of a warm start: what it began from, or why it did not.
    """

    job: Job
    sources: Sources
    run: Run
    moments: Moments | None
    identity: dict[str, str]
    device: dict[str, Any]
    begun: dict[str, Any]

    @property
    def out(self) -> Path:
        """The folder of the job."""
        return Path(self.job.out)


def set_up(
    job: Job,
    snapshot: Snapshot,
    identity: dict[str, str],
    device: torch.device,
    ranks: Ranks = Ranks(),  # noqa: B008 - frozen, thus a value
) -> Setting:
    """Data, model and optimiser of a job, as its checkpoint left them if there is one.

    Args:
        job: what to do.
        snapshot: of its data.
        identity: what a checkpoint must share.
        device: to train on.
        ranks: the processes that train.

    Raises:
        SeqprepError: if a shard is altered, or the checkpoint is another run's.
    """
    options = job.train
    check_fits(
        options,
        task=snapshot.facts.task,
        kind="values" if snapshot.facts.vocab_size is None else "tokens",
        has_validation=snapshot.rows("validation") > 0,
    )
    sources = open_sources(snapshot, options)
    moments = target_moments(sources["train"])
    plain = objective_for(snapshot.facts.task, moments=moments)
    torch.manual_seed(options.seed)
    model = build(options.model, Shape.of(snapshot.facts))
    checkpoint = Checkpoint.read(Path(job.out) / "checkpoint")
    begun = {} if checkpoint is not None else begin(job, model, snapshot)
    set_precision(model, options.precision)
    prime(model, sources["train"])
    objective = training_objective(options, plain, sources["train"])
    segments = None
    if options.backpropagation.mode == "segments":
        per_step = snapshot.facts.task in ANSWERED_BY_STEP
        segments = SegmentTraining(options, per_step=per_step, device=device, ranks=ranks)
    loss = loss_of(options) if segments is None else segments.loss
    if isinstance(loss, Exact):
        loss.check(model, largest_batches(sources["train"], ranks.world), device.type)
    module = SummedLoss(model.to(device), objective, loss, shared=ranks.world > 1)
    run = Run(
        model=module.model,
        optimizer=build_optimizer(model, options.optimizer),
        module=module,
        objective=objective,
        plain=plain,
        options=options,
        device=device,
        ranks=ranks,
        scaler=scaler_for(device, options.precision),
        segments=segments,
        majority=majority(sources["train"]),
    )
    setting = Setting(
        job=job,
        sources=sources,
        run=run,
        moments=moments,
        identity=identity,
        device={},
        begun=begun,
    )
    if checkpoint is not None:
        resume(setting, checkpoint)
    else:
        measure(setting)
        reset_peak(device)  # what was measured is no part of the training
    run.module = join(module, ranks, device)
    return setting


def begin(job: Job, model: nn.Module, snapshot: Snapshot) -> dict[str, Any]:
    """Give a fresh model the weights that its job says; what a warm start has to tell."""
    known: dict[str, Any] = {
        "config": job.train.model,
        "facts": snapshot.facts,
        "fitted": b"{}" if job.fitted is None else Path(job.fitted).read_bytes(),
    }
    if job.train.encoder_from is not None:
        start_from(Path(job.train.encoder_from), model, **known)
    return {} if job.warm_from is None else begin_from(job.warm_from, model, **known)


def open_sources(snapshot: Snapshot, options: Train) -> Sources:
    """Batches of each split; every shard is hashed before its data is used."""
    sources: Sources = {}
    for split in SPLITS:  # what the splits hold together stays within the memory
        settings = BatchSettings(
            batch_tokens=options.batch_tokens,
            max_rows=options.max_rows,
            seed=options.seed,
            memory=options.memory_bytes // (2 if split == "train" else 4),
        )
        sources[split] = BatchSource.of_snapshot(snapshot, split, settings=settings)
    if not len(sources["train"]):
        raise SeqprepError("the snapshot has no training rows; change the split")
    return sources


def prime(model: nn.Module, source: BatchSource) -> None:
    """Tell an encoder-decoder how much longer sources are than targets."""
    if isinstance(model, EncoderDecoder):
        symbols = sum(
            0 if e.target_tokens is None else len(e.target_tokens.values) for e in source.examples()
        )
        model.prime(float(source.lengths.mean()), symbols / len(source))


def largest_batches(source: BatchSource, world: int) -> list[Size]:
    """The largest batches that any epoch can bring to one of so many processes."""
    symbols = 0
    if source.facts.task == "translate":
        found = (e.target_tokens for e in source.examples())
        symbols = max(0 if tokens is None else int(tokens.lengths.max()) for tokens in found)
    return largest(
        source.lengths,
        source.settings,
        drawn=bool(source.facts.on_the_fly),
        world=world,
        symbols=symbols,
    )


def majority(source: BatchSource) -> int | None:
    """Code of the most frequent class of the training rows or steps."""
    if source.facts.task not in ("classify", "label_steps"):
        return None
    return int(class_counts(source).argmax())


def measure(setting: Setting) -> None:
    """Choose the form of the LSTM, on the first batches."""
    run, source = setting.run, setting.sources["train"]
    asked = run.options.model.execution
    if asked == "auto" and run.options.deterministic:
        asked = "dense"  # what is measured may come out otherwise the next time
    if asked == "auto" and not can_pack(run.options.model):
        asked = "dense"  # no other form to measure beside it
    if asked == "auto" and run.options.backpropagation.mode != "full":
        asked = "dense"  # the form that hands state on, and whole records may not fit
    batches = islice(source.batches(source.plan(0)), 3)
    chosen = choose_execution(
        run.model,
        run.plain,
        (to_tensors(batch, run.device) for batch in batches),
        asked=asked,
        device=run.device,
    )
    execution, seconds = run.ranks.share(lambda: chosen)  # the same form in all processes
    set_execution(run.model, execution)
    setting.device.update(execution=execution, seconds_a_batch=seconds)


def save(setting: Setting) -> None:
    """Write the checkpoint.

    Raises:
        SeqprepError: if a weight is not finite; the last checkpoint stays.
    """
    run = setting.run
    if not all(bool(p.isfinite().all()) for p in run.model.parameters()):
        raise SeqprepError(
            f"a weight is not finite after update {run.progress.seen}; lower train.optimizer.lr "
            "(the last checkpoint stays as it was)"
        )
    Checkpoint(
        identity=setting.identity,
        model=run.model.state_dict(),
        best=run.best,
        optimizer=optimizer_tensors(run.optimizer),
        options=optimizer_options(run.optimizer),
        progress={
            "run": run.progress.to_json(),
            "device": setting.device,
            "begun": setting.begun,
            "scaler": run.scaler.state_dict(),
            "segments": None if run.segments is None else run.segments.to_json(),
        },
        lanes={} if run.segments is None else run.segments.tensors(),
    ).write(setting.out / "checkpoint")


def resume(setting: Setting, checkpoint: Checkpoint) -> None:
    """Put a run where its checkpoint stands.

    Raises:
        SeqprepError: if it is another run's.
    """
    run = setting.run
    checkpoint.check(setting.identity, folder=setting.out / "checkpoint")
    run.model.load_state_dict(checkpoint.model)
    restore_optimizer(run.optimizer, checkpoint)
    run.best = checkpoint.best
    run.progress = Progress(**checkpoint.progress["run"])
    run.progress.resumed += 1
    if run.scaler.is_enabled():
        run.scaler.load_state_dict(checkpoint.progress["scaler"])
    if run.segments is not None:
        run.segments.restore(checkpoint.progress["segments"], checkpoint.lanes)
    setting.device.update(checkpoint.progress["device"])
    setting.begun.update(checkpoint.progress.get("begun", {}))
    set_execution(run.model, setting.device["execution"])
    logger.info("going on after update %d (epoch %d)", run.progress.seen, run.progress.epoch + 1)
