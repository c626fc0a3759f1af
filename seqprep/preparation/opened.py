"""What is opened before content is read: the records of a version, and what makes their tokens.

Use `opened` for tables and previews that come before a recipe is run: it writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from seqprep.fitted import Fitted
from seqprep.preparation.fitting import fit_byte_pairs
from seqprep.preparation.job import Job
from seqprep.preparation.roster import Roster, read_roster
from seqprep.tokens import Encoder


@contextmanager
def opened(job: Job, *, base: Path, workers: int) -> Iterator[tuple[Job, Roster]]:
    """The job with its encoder, and its records, for as long as the block runs.

    Args:
        job: as `prepare.plan_job` gives it.
        base: folder that `split.table` is relative to.
        workers: processes or threads that tokenise.

    Raises:
        ConfigError: if a split is empty, a group is torn, or there is nothing to learn.
    """
    roster = read_roster(job, base=base, workers=workers)
    byte_pairs = byte_pairs_of(job, roster, None)
    with open_encoder(job, byte_pairs, workers=workers) as encoder:
        yield replace(job, encoder=encoder, byte_pairs=byte_pairs), roster


def byte_pairs_of(job: Job, roster: Roster, kept: Fitted | None) -> str | None:
    """Byte pairs, fitted on the training rows, known or kept; None for other units."""
    if job.tokens.unit != "bpe" or job.byte_pairs is not None:
        return job.byte_pairs
    return fit_byte_pairs(job, roster) if kept is None else kept.byte_pairs


@contextmanager
def open_encoder(job: Job, byte_pairs: str | None, *, workers: int) -> Iterator[Encoder | None]:
    """What turns strings into tokens; None where the records are values."""
    if job.width is not None:
        yield None
        return
    with Encoder.of(job.tokens, byte_pairs=byte_pairs, workers=workers) as encoder:
        yield encoder
