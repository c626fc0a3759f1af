"""Start the processes of a training run on this machine, as torchrun does, and tell how they ended.

`python -m models.train job.json` comes here when the job asks for several processes; under torchrun
itself, on one machine or several, it does not. One message and one exit code stand for all of them.

Source: torchrun, https://pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from models.training.grace import GRACE_S, STOPPED, WRONG
from models.training.lock import PARENT, is_orphan

logger = logging.getLogger(__name__)

_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


def launch(job: Path, processes: int) -> int:
    """Run `python -m models.train JOB` in so many processes until all have ended.

    A signal to stop is passed on to all of them. When one fails, the others are ended.

    Args:
        job: the job file.
        processes: how many.

    Returns:
        The exit code of the first that failed, of a stop, or 0.
    """
    threading.Thread(target=_stop_as_orphan, daemon=True).start()
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE_S))
    _silence()
    safe = ["-P"] if sys.flags.safe_path else []
    with tempfile.TemporaryDirectory(prefix="seqprep-processes-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)(*safe, "-m", "models.train", str(job))
        except SignalException:
            return STOPPED  # rank 0 has said so
        except ChildFailedError as error:
            return _first_failure(error)
    return 0


def _stop_as_orphan() -> None:
    """Stop when the process that watches over this one dies, as a trainer alone does."""
    orphan = is_orphan()
    named = os.environ.get(PARENT)
    os.environ[PARENT] = str(os.getpid())  # the processes watch this one
    while named and not orphan:
        time.sleep(0.5)
        orphan = os.getppid() != int(named)
    if orphan:
        os.kill(os.getpid(), signal.SIGTERM)


def _silence() -> None:
    """Leave what is to be said of a failure to the message of the process that failed."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _first_failure(error: ChildFailedError) -> int:
    rank, failure = error.get_first_failure()
    message = failure.message
    text = message.get("message", "") if isinstance(message, dict) else str(message)
    if failure.exitcode == STOPPED:
        return STOPPED
    if failure.exitcode == WRONG:
        logger.error("%s", text)
        return WRONG
    logger.error("process %d of the training ended: %s", rank, text)
    return 1


def say(message: str) -> None:
    """Say what is wrong: to whoever started the processes, or, alone, on the log."""
    path = os.environ.get(_ERROR_FILE)
    if path is None:
        logger.error("%s", message)
        return
    extra = {"py_callstack": message, "timestamp": str(int(time.time()))}
    text = json.dumps({"message": {"message": message, "extraInfo": extra}})
    Path(path).write_text(text, encoding="utf-8")


def await_the_end(seconds: float = 30.0) -> None:
    """Of a process that lost another: that one's end is the message, and ends this one."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(seconds)
