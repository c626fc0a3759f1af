"""Train from a job file: `python -m models.train job.json`.

Needs torch, numpy, pyarrow, safetensors and torchmetrics only. Writes metrics.jsonl as it goes, a
checkpoint, and at the end bundle/, predictions and report.json. A job that was stopped goes on
where its checkpoint stands; one that is finished is reused. Exit: 0 done, 2 wrong input, 75 stopped
by a signal, or by the death of the process that SEQPREP_PARENT names, with its checkpoint written,
1 anything else.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models import report
from models.architectures import build
from models.architectures.encoder_decoder import EncoderDecoder
from models.checkpoint import (
    Checkpoint,
    optimizer_options,
    optimizer_tensors,
    restore_optimizer,
)
from models.checks import JobError, size_bytes
from models.config import Train
from models.device import choose_execution, prepare_torch, set_execution, set_precision
from models.events import Events
from models.fits import check_fits
from models.job import Job, read_job, to_json
from models.lock import exclusive, is_orphan
from models.loop import fit, updates_total
from models.objectives import (
    Moments,
    class_counts,
    objective_for,
    target_moments,
    training_objective,
)
from models.optimize import build_optimizer
from models.run import Hooks, Progress, Run, Stopped
from models.shape import Shape, to_tensors
from seqprep import __version__
from seqprep.batches import BatchSettings, BatchSource
from seqprep.errors import SeqprepError
from seqprep.schema import SPLITS, Split
from seqprep.snapshot import Snapshot, file_sha256

logger = logging.getLogger(__name__)

STOPPED = 75
"""Exit code of a run that a signal stopped; the same command goes on."""

Sources = dict[Split, BatchSource]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A run and what stands around it.

    Args:
        job: what to do. sources: batches of each split. run: the model in training.
        moments: of the targets. identity: what a checkpoint must share.
        device: facts for the report: execution, threads and the like.
    """

    job: Job
    sources: Sources
    run: Run
    moments: Moments | None
    identity: dict[str, str]
    device: dict[str, Any]

    @property
    def out(self) -> Path:
        """The folder of the job."""
        return Path(self.job.out)


def train(job: Job, *, stopping: Callable[[], bool] = lambda: False) -> Path:
    """Train, score and ship a model; go on or reuse where that was begun or done.

    Args:
        job: what to do.
        stopping: asked after each update.

    Returns:
        Path of report.json.

    Raises:
        SeqprepError: for data, a checkpoint or options that cannot be used.
        JobError: if another process trains in the same folder.
        Stopped: when asked to stop; the checkpoint is written.
    """
    Path(job.out).mkdir(parents=True, exist_ok=True)
    with exclusive(Path(job.out)):
        return _train(job, stopping)


def _train(job: Job, stopping: Callable[[], bool]) -> Path:
    device = prepare_torch(job.train)
    snapshot = Snapshot.read(Path(job.snapshot))
    identity, out = identify(job, snapshot), Path(job.out)
    if report.finished(out, identity):
        logger.info("nothing has changed: reusing %s", out / "bundle")
        with Events(out / "metrics.jsonl") as events:
            events.write("reused", {"bundle": str(out / "bundle")})
        return out / report.NAME
    setting = set_up(job, snapshot, identity, device)
    progress = setting.run.progress
    with Events(out / "metrics.jsonl", keep_until=progress.seen) as events:
        events.write("start", _start(setting))
        hooks = Hooks(log=events.write, save=lambda: save(setting), stopping=stopping)
        fit(setting.run, setting.sources["train"], setting.sources["validation"], hooks)
        path = report.finish(setting)
        events.write(
            "end", {"update": progress.seen, "report": str(path), "seconds": progress.seconds}
        )
    return path


def identify(job: Job, snapshot: Snapshot) -> dict[str, str]:
    """What must be equal for going on from a checkpoint or reusing a result."""
    # where and how often, not what
    options = dataclasses.replace(job.train, checkpoint_minutes=1.0, threads=None)
    text = json.dumps(to_json(options), sort_keys=True)
    return {
        "snapshot": snapshot.sha256,
        "fitted state": "" if job.fitted is None else file_sha256(Path(job.fitted)),
        "options": hashlib.sha256(text.encode()).hexdigest(),
        "code version": __version__,
    }


def set_up(job: Job, snapshot: Snapshot, identity: dict[str, str], device: torch.device) -> Setting:
    """Data, model and optimiser of a job, as its checkpoint left them if there is one.

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
    set_precision(model, bf16=options.precision == "bf16")
    prime(model, sources["train"])
    run = Run(
        model=model.to(device),
        optimizer=build_optimizer(model, options.optimizer),
        objective=training_objective(options, plain, sources["train"]),
        plain=plain,
        options=options,
        device=device,
        majority=majority(sources["train"]),
    )
    setting = Setting(
        job=job, sources=sources, run=run, moments=moments, identity=identity, device={}
    )
    checkpoint = Checkpoint.read(setting.out / "checkpoint")
    if checkpoint is not None:
        resume(setting, checkpoint)
    else:
        measure(setting)
    return setting


def open_sources(snapshot: Snapshot, options: Train) -> Sources:
    """Batches of each split; every shard is hashed before its data is used."""
    memory = size_bytes(options.memory, key="train.memory")
    sources: Sources = {}
    for split in SPLITS:  # what the splits hold together stays within the memory
        settings = BatchSettings(
            batch_tokens=options.batch_tokens,
            max_rows=options.max_rows,
            seed=options.seed,
            memory=memory // (2 if split == "train" else 4),
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


def majority(source: BatchSource) -> int | None:
    """Code of the most frequent class of the training rows or steps."""
    if source.facts.task not in ("classify", "label_steps"):
        return None
    return int(class_counts(source).argmax())


def measure(setting: Setting) -> None:
    """Choose the form of the LSTM, on the first batches."""
    run, source = setting.run, setting.sources["train"]
    batches = islice(source.batches(source.plan(0)), 3)
    execution, seconds = choose_execution(
        run.model,
        run.plain,
        (to_tensors(batch, run.device) for batch in batches),
        asked=run.options.model.execution,
        device=run.device,
    )
    setting.device.update(execution=execution, seconds_a_batch=seconds)


def save(setting: Setting) -> None:
    """Write the checkpoint."""
    run = setting.run
    Checkpoint(
        identity=setting.identity,
        model=run.model.state_dict(),
        best=run.best,
        optimizer=optimizer_tensors(run.optimizer),
        options=optimizer_options(run.optimizer),
        progress={"run": run.progress.to_json(), "device": setting.device},
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
    setting.device.update(checkpoint.progress["device"])
    set_execution(run.model, setting.device["execution"])
    logger.info("going on after update %d (epoch %d)", run.progress.seen, run.progress.epoch + 1)


def _start(setting: Setting) -> dict[str, Any]:
    run = setting.run
    plan = setting.sources["train"].plan(run.progress.epoch)
    return {
        "update": run.progress.seen,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "device": run.device.type,
        "threads": torch.get_num_threads(),
        "execution": setting.device["execution"],
        "updates_total": updates_total(run, len(plan)),
        "epochs_total": run.options.epochs or -(-(run.options.updates or 0) // max(1, len(plan))),
        "rows": {split: len(source) for split, source in setting.sources.items()},
        "padding_share": plan.padding_share,
        "overlong": plan.overlong,
        "longest": int(np.max(plan.lengths)),
        "resumed": run.progress.resumed,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("job", type=Path, help="job.json")
    path: Path = parser.parse_args(arguments).job
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    try:
        train(read_job(path), stopping=lambda: bool(asked) or is_orphan())
    except Stopped:
        logger.info("stopped; the checkpoint is written, the same command goes on")
        return STOPPED
    except (JobError, SeqprepError) as error:
        logger.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
