"""How a command ends: one clear message and its exit status, also when a signal stops it.

0 done, 2 wrong use or wrong input, 75 a training was stopped and its checkpoint is written, 130 or
143 stopped by a signal without a training, 1 anything else.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cyclopts import CycloptsError

from flows.training.running import ENDED, HANDLERS, RUNNING, TrainingStopped, hold_signals, stop
from models.options.checks import JobError
from models.training.grace import STOPPED
from seqprep.errors import SeqprepError

MENDABLE = (CycloptsError, SeqprepError, JobError)
"""What the person can mend: the message is enough."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a folder that cannot be written to gives: full, over its quota, read-only."""


@contextmanager
def ending() -> Iterator[None]:
    """Turn what the block raises, and the signals that reach it, into message and exit status."""
    HANDLERS.update({signal.SIGINT: _interrupted, signal.SIGTERM: _interrupted})
    hold_signals()
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except MENDABLE as error:
        tell(f"error: {error}")
        sys.exit(2)
    except TrainingStopped as error:
        tell(str(error))
        sys.exit(STOPPED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            tell(
                f"error: {error}; free space, allow writing, or choose another folder, then give "
                "the same command again"
            )
            sys.exit(2)
        if os.environ.get("SEQPREP_DEBUG"):
            traceback.print_exception(error)
        tell(f"error: {type(error).__name__}: {error} (SEQPREP_DEBUG=1 shows where)")
        sys.exit(1)


def tell(text: str) -> None:
    """One line for the person at the terminal, at once."""
    print(text, file=sys.stderr, flush=True)


def _interrupted(number: int, frame: object) -> None:
    """Let a running training write its checkpoint, say one line, and end at once.

    Not by an exception: Prefect's temporary server gets the same Ctrl-C, and a flow that goes on
    would wait for it.
    """
    HANDLERS.clear()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, _impatient(time.monotonic()))
    if RUNNING:
        tell("stopping; the training writes a checkpoint ... (Ctrl-C again: without one)")
    for process in list(RUNNING):
        stop(process)
    tell("stopped; the same command goes on from here")
    os._exit(STOPPED if STOPPED in ENDED else 128 + number)


def _impatient(since_s: float) -> Callable[[int, object], None]:
    """What a second Ctrl-C does: end everything; within a second it is the same one, sent twice."""

    def end(number: int, frame: object) -> None:
        if time.monotonic() - since_s < 1:
            return
        for process in list(RUNNING):
            process.kill()
        tell("stopped; the same command goes on from the last checkpoint")
        os._exit(128 + number)

    return end
