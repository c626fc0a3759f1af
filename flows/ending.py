"""How a command ends: one clear message and its exit status, also when a signal stops it.

0 done, 2 wrong use or wrong input, 130 or 143 stopped by a signal, 1 anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from cyclopts import CycloptsError

from models.options.checks import JobError
from seqprep.errors import SeqprepError

MENDABLE = (CycloptsError, SeqprepError, JobError)
"""What the person can mend: the message is enough."""


@contextmanager
def ending() -> Iterator[None]:
    """Turn what the block raises, and the signals that reach it, into message and exit status."""
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except MENDABLE as error:
        tell(f"error: {error}")
        sys.exit(2)
    except Exception as error:
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "flows.train" in sys.modules:
        from flows.train import RUNNING, stop

        if RUNNING:
            tell("stopping; the training writes a checkpoint ...")
        for process in list(RUNNING):
            stop(process)
    tell("stopped; the same command goes on from here")
    os._exit(128 + number)
