"""Train from a job file: `python -m models.train job.json`.

Needs torch, numpy, pyarrow, safetensors and torchmetrics only. Writes metrics.jsonl as it goes, a
checkpoint, and at the end bundle/, predictions and report.json. A job that was stopped goes on
where its checkpoint stands; one that is finished is reused. A job with `processes: n` starts n of
them; under torchrun it takes those that torchrun started. Exit: 0 done, 2 wrong input, 75 stopped
by a signal, or by the death of the process that SEQPREP_PARENT names, with its checkpoint written,
1 anything else.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.device import prepare_torch
from models.job import Job, read_job, to_json
from models.options.checks import JobError
from models.ranks import Ranks, connected, is_of_another, launched
from models.training import report, tracking
from models.training.encoder import digest_of
from models.training.events import Events
from models.training.grace import STOPPED, WRONG
from models.training.launch import await_the_end, launch, say
from models.training.lock import exclusive, is_orphan
from models.training.loop import fit, updates_total
from models.training.run import Hooks, Stopped, break_off
from models.training.setting import Setting, save, set_up
from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.snapshot import Snapshot, file_sha256

__all__ = ["STOPPED", "identify", "main", "train"]

logger = logging.getLogger(__name__)


def train(job: Job, *, stopping: Callable[[], bool] = lambda: False) -> Path:
    """Train, score and ship a model; go on or reuse where that was begun or done.

    Args:
        job: what to do.
        stopping: asked after each update, and in an evaluation that takes long.

    Returns:
        Path of report.json.

    Raises:
        SeqprepError: for data, a checkpoint or options that cannot be used.
        JobError: if another process trains in the same folder.
        Stopped: when asked to stop; the checkpoint is written.
    """
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)
    device = prepare_torch(job.train)
    tracking.check_tracking(job.train.tracking)
    with connected(device) as ranks, exclusive(out) if ranks.is_first else nullcontext():
        whole = _work(job, device, ranks, stopping)
    if not whole:
        raise Stopped
    return out / report.NAME


def _work(job: Job, device: torch.device, ranks: Ranks, stopping: Callable[[], bool]) -> bool:
    """Train and report, or find that it is done; whether it was not stopped."""
    snapshot = Snapshot.read(Path(job.snapshot))
    identity, out = identify(job, snapshot), Path(job.out)
    board = job.train.tracking == "tensorboard"
    if ranks.share(lambda: report.finished(out, identity)):
        if ranks.is_first:
            logger.info("nothing has changed: reusing %s", out / "bundle")
            missing = not (out / tracking.NAME).exists()
            with Events(out, board=board and missing) as events:
                events.write("reused", {"bundle": str(out / "bundle")})
        return True
    setting = set_up(job, snapshot, identity, device, ranks)
    if not ranks.is_first:
        return _fit(setting, Hooks(log=lambda *_: None, save=lambda: None, stopping=stopping))
    progress = setting.run.progress
    done = progress.seen, progress.epoch
    with Events(out, done=done, board=board) as events:
        events.write("start", _start(setting))
        hooks = Hooks(log=events.write, save=lambda: _save(setting, events), stopping=stopping)
        path = _finish(setting, stopping) if _fit(setting, hooks) else None
        if path is None:
            events.write("stopped", {"message": "Stopped"})
            return False
        events.write(
            "end", {"update": progress.seen, "report": str(path), "seconds": progress.seconds}
        )
    return True


def _save(setting: Setting, events: Events) -> None:
    """Write a checkpoint, behind the events of all that it counts."""
    events.settle()
    save(setting)


def _fit(setting: Setting, hooks: Hooks) -> bool:
    """Fit the model; whether it was not stopped."""
    try:
        fit(setting.run, setting.sources["train"], setting.sources["validation"], hooks)
    except Stopped:
        return False
    return True


def _finish(setting: Setting, stopping: Callable[[], bool]) -> Path | None:
    """Score and ship the model; None when asked to stop before that was done."""
    try:
        return report.finish(setting, between=break_off(stopping))
    except Stopped:
        return None  # the checkpoint of the last epoch stands


def identify(job: Job, snapshot: Snapshot) -> dict[str, str]:
    """What must be equal for going on from a checkpoint or reusing a result."""
    # where, how often and how many at once, not what
    options = dataclasses.replace(
        job.train,
        checkpoint_minutes=1.0,
        threads=None,
        processes=1,
        tracking="none",
        encoder_from=None,
    )
    body = to_json(options)
    del body["retrain"]  # whether, not what
    text = json.dumps(body, sort_keys=True)
    return {
        "snapshot": snapshot.sha256,
        "fitted state": "" if job.fitted is None else file_sha256(Path(job.fitted)),
        "options": hashlib.sha256(text.encode()).hexdigest(),
        "code version": __version__,
        **_begun_from(job),
    }


def _begun_from(job: Job) -> dict[str, str]:
    """The bundle that the model starts from, by its content; nothing for fresh weights."""
    if job.warm_from is not None:  # as it was chosen: the bundle may be gone when the run goes on
        return {"warm start": job.warm_from.sha256 or "none"}
    folder = job.train.encoder_from
    return {} if folder is None else {"encoder": digest_of(Path(folder))}


def _start(setting: Setting) -> dict[str, Any]:
    run = setting.run
    plan = setting.sources["train"].plan(run.progress.epoch)
    return {
        "update": run.progress.seen,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "device": run.device.type,
        "threads": torch.get_num_threads(),
        "processes": run.ranks.world,
        "execution": setting.device["execution"],
        "updates_total": updates_total(run, len(plan)),
        "epochs_total": run.options.epochs or -(-(run.options.updates or 0) // max(1, len(plan))),
        "rows": {split: len(source) for split, source in setting.sources.items()},
        "padding_share": plan.padding_share,
        "overlong": plan.overlong,
        "longest": int(np.max(plan.lengths)),
        "resumed": run.progress.resumed,
        "remarks": _remarks(setting),
    }


def _remarks(setting: Setting) -> list[str]:
    """What a person should know before the work begins; it is logged, too."""
    run = setting.run
    found = [] if run.segments is None else run.segments.remarks(setting.sources["train"])
    if setting.begun and not run.progress.seen:
        found = [setting.begun["told"], *found]
    for remark in found:
        logger.warning("%s", remark)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("job", type=Path, help="job.json")
    path: Path = parser.parse_args(arguments).job
    first = os.environ.get("RANK", "0") == "0" or not launched()
    level = logging.INFO if first else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    try:
        job = read_job(path)
        if job.train.processes > 1 and not launched():
            return launch(path, job.train.processes)
        asked = _asked()
        train(job, stopping=lambda: bool(asked) or is_orphan())
    except Stopped:
        logger.info("stopped; the checkpoint is written, the same command goes on")
        return STOPPED
    except (JobError, SeqprepError) as error:
        say(str(error))
        return WRONG
    except Exception as error:
        if not launched():
            raise
        if is_of_another(error):
            await_the_end()
        logger.exception("process %s", os.environ["RANK"])
        say(f"{type(error).__name__}: {error}")
        return 1
    return 0


def _asked() -> list[int]:
    """The signals to stop that came; it fills up later."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    return asked


if __name__ == "__main__":
    sys.exit(main())
