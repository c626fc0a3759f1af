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
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import report
from models.checks import JobError
from models.device import prepare_torch
from models.events import Events
from models.job import Job, read_job, to_json
from models.lock import exclusive, is_orphan
from models.loop import fit, updates_total
from models.run import Hooks, Stopped
from models.setting import Setting, save, set_up
from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.snapshot import Snapshot, file_sha256

logger = logging.getLogger(__name__)

STOPPED = 75
"""Exit code of a run that a signal stopped; the same command goes on."""


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
