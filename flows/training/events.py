"""The events of a trainer while it writes them, and their figures in a person's words."""

from __future__ import annotations

import json
from pathlib import Path

from flows.references import Json
from flows.reporting.reports import read_events


class NewEvents:
    """What a trainer that is about to start writes to its file, each event once.

    Each look reads only what was added. A trainer that goes on from a checkpoint first rewrites the
    file without what it is going to tell again: the new file is read from its beginning, and the
    starts of earlier trainers that it kept are passed over.

    Args:
        path: of the events, before the trainer starts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts = [_updates(e) for e in read_events(path) if e["event"] == "start"]
        self._file, self._offset = _stand(path)
        self._passed = len(self._starts)
        self._begun = False

    def read(self) -> list[Json]:
        """The events of the new trainer since the last look."""
        file, size = _stand(self.path)
        if file != self._file or size < self._offset:
            self._file, self._offset, self._passed, self._begun = file, 0, 0, False
        if size == self._offset:
            return []
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            added = stream.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for event in map(json.loads, whole.splitlines()) if self._is_new(event)]

    def _is_new(self, event: Json) -> bool:
        if not self._begun and event["event"] == "start":
            # of the earlier starts the file keeps those up to where the new trainer stands
            kept = sum(updates <= _updates(event) for updates in self._starts)
            self._begun = self._passed >= kept
            self._passed += 1
        return self._begun


def _updates(event: Json) -> int:
    return int(event.get("update") or 0)


def _stand(path: Path) -> tuple[int | None, int]:
    """Which file stands there, and its size."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None, 0
    return found.st_ino, found.st_size


def figures(event: Json) -> str:
    """Speed, padding, gradient and memory of a progress or epoch event.

    >>> figures({"real_steps_per_s": 1234.5, "padding_share": 0.042, "grad_norm": 0.83,
    ...     "grad_norm_clipped": 0.5, "memory_bytes": 222298112})
    '1,234 steps/s, padding 4.2%, gradient 0.83 clipped to 0.5, memory 212 MB'
    """
    shown = [f"{event['real_steps_per_s']:,.0f} steps/s", f"padding {event['padding_share']:.1%}"]
    if event.get("context_share"):
        shown.append(f"read again {event['context_share']:.1%}")
    norm, clipped = event.get("grad_norm"), event.get("grad_norm_clipped")
    if norm is not None:
        shorter = clipped is not None and clipped < norm
        shown.append(f"gradient {norm:.2g}" + (f" clipped to {clipped:.2g}" if shorter else ""))
    if event.get("memory_bytes"):
        shown.append(f"memory {event['memory_bytes'] / 2**20:,.0f} MB")
    return ", ".join(shown)
