"""The models of a dataset: what each was trained on, how it scored, and which one is current.

A Delta table with a row for everything that happened to a model: it was trained, it became current,
or it was taken back. Who is current follows from the rows, so nothing is ever changed but added to.
Use it from whatever trains or predicts; many may write at once. It is small: each commit writes the
rows of all, and `gc` leaves every version of it alone.

Legend: E events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pyarrow as pa

from seqprep.errors import SeqprepError
from seqprep.fingerprint import fingerprint
from seqprep.staging import StagedFile, StagedWriter
from seqprep.table import CommitInfo, ConflictError, Table

NAME = "registry"
"""The table's folder in that of the dataset."""
ATTEMPTS = 50
"""How often an event is written again after somebody else's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happened to a model.

    Args:
        at_ms: milliseconds since 1970.
        event: `trained`; `promoted`: current from then on; `rolled_back`: no longer, and the one
            before it is current again.
        run: the model's folder in `models`. recipe: of its examples.
        bundle: SHA-256 of its manifest, which holds the hashes of all its files.
        snapshot: digest of the examples. sequences_version, examples_version: of the tables.
        validation, test: its scores as JSON.
        by: `policy` or `person`. why: for a person to read.
    """

    at_ms: int
    event: Literal["trained", "promoted", "rolled_back"]
    run: str
    recipe: str
    bundle: str
    snapshot: str
    sequences_version: int
    examples_version: int
    validation: str
    test: str
    by: Literal["policy", "person"]
    why: str


SCHEMA = pa.schema(
    [
        pa.field(item.name, pa.int64() if item.type == "int" else pa.string(), nullable=False)
        for item in fields(Event)
    ]
)
Events = tuple[Event, ...]


def standing(events: Sequence[Event]) -> list[Event]:
    """The models that are or were current and not taken back, the current one last.

    >>> def event(what, run):
    ...     rest = {item.name: "" for item in fields(Event)}
    ...     return Event(**{**rest, "event": what, "run": run})
    >>> happened = [event("promoted", "a"), event("promoted", "b"), event("rolled_back", "b")]
    >>> [one.run for one in standing(happened)]
    ['a']
    """
    found: list[Event] = []
    for event in events:
        if event.event == "promoted":
            found.append(event)
        elif event.event == "rolled_back" and found:
            found.pop()
    return found


class Registry:
    """The events of a dataset's models.

    Args:
        folder: of the dataset.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = Table(folder / NAME)

    def events(self, version: int | None = None) -> Events:
        """All that happened, oldest first.

        Raises:
            CorruptError: if the table is damaged.
        """
        if version is None:
            version = self.table.version()
        if version is None:
            return ()
        groups = [self.table.read_group(*place) for place in self.table.row_groups(version)]
        return tuple(Event(**row) for group in groups for row in group.to_pylist())

    def current(self) -> Event | None:
        """What made the current model current; None where there is none."""
        found = standing(self.events())
        return found[-1] if found else None

    def current_run(self) -> str | None:
        """The name of the current model's folder; None where there is none."""
        current = self.current()
        return None if current is None else current.run

    def trained(self, run: str) -> Event:
        """The last training of a model.

        Raises:
            SeqprepError: if there is none of that name, naming those that there are.
        """
        known = {event.run: event for event in self.events() if event.event == "trained"}
        if run not in known:
            names = ", ".join(known) or "none; `seqprep train` makes one"
            raise SeqprepError(f"{self.folder.name}: no model {run!r} is registered, but {names}")
        return known[run]

    def add(self, make: Callable[[Events], Event | None]) -> Event | None:
        """Write one more event; see `add_at_once`."""

        def one(before: Events) -> Events:
            event = make(before)
            return () if event is None else (event,)

        found = self.add_at_once(one)
        return found[0] if found else None

    def add_at_once(self, make: Callable[[Events], Events]) -> Events:
        """Write more events in one commit: a crash leaves all of them or none.

        Args:
            make: of the events so far, the new ones, or () where there is nothing to say; called
                again where somebody else's came first.

        Returns:
            What was written.
        """
        for _ in range(ATTEMPTS):
            base = self.table.version()
            before = self.events(base)
            events = make(before)
            if not events:
                return ()
            try:
                self._commit((*before, *events), base)
            except ConflictError:
                continue
            return events
        raise SeqprepError(f"{self.table.path}: others write all the time; run again")

    def _commit(self, events: Events, base: int | None) -> None:
        file = self._write(events)
        info = CommitInfo(
            kind=NAME,
            # Two that say the same are two events: their commits must not pass for one.
            fingerprint=fingerprint(file.sha256, uuid4().hex),
            counts={"events": len(events)},
        )
        try:
            self.table.commit(schema=SCHEMA, files=[file], info=info, base=base, remove="all")
        except ConflictError:
            (self.table.path / file.path).unlink(missing_ok=True)
            raise

    def _write(self, events: Events) -> StagedFile:
        # Not by its hash alone: what one run takes back another may just have written.
        writer = StagedWriter(self.table.path, f"events-{uuid4().hex[:8]}", SCHEMA)
        with writer:
            writer.write(pa.Table.from_pylist([asdict(one) for one in events], SCHEMA))
        return writer.staged


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
