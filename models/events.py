"""metrics.jsonl: one JSON object a line, flushed, for the flow that watches and for plots."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from models.tracking import Board
from seqprep.snapshot import replace_bytes

logger = logging.getLogger(__name__)

NAME = "metrics.jsonl"
PROGRESS_SECONDS = 1.0


class Events:
    """Appends events to a file; progress at most once a second.

    Args:
        folder: of the job.
        keep_until: lines of later updates are dropped first: a run that goes on from a checkpoint
            writes them again. None keeps all.
        board: also write TensorBoard events.
    """

    def __init__(self, folder: Path, *, keep_until: int | None = None, board: bool = False) -> None:
        path = folder / NAME
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        if keep_until is not None:
            lines = [line for line in lines if _update(line) <= keep_until]
            replace_bytes(path, b"".join(lines))
        self.file = path.open("ab")
        self.last = 0.0
        self.board = Board(folder) if board else None
        for line in lines if self.board is not None else ():
            if _update(line) < float("inf"):
                self._show(json.loads(line))

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.write("stopped", {"message": str(error) or type(error).__name__})
        self.file.close()
        if self.board is not None:
            self.board.close()

    def write(self, event: str, fields: dict[str, Any]) -> None:
        """Write one event; a progress event is left out when the last is under a second old."""
        if event == "progress":
            now = time.monotonic()
            if now - self.last < PROGRESS_SECONDS:
                return
            self.last = now
        self.file.write(json.dumps({"event": event, **fields}, allow_nan=False).encode() + b"\n")
        self.file.flush()
        self._show({"event": event, **fields})
        if event == "epoch":
            logger.info(_sentence(fields))

    def _show(self, event: dict[str, Any]) -> None:
        if self.board is not None:
            self.board.show(event)


def _update(line: bytes) -> float:
    """The update a line speaks of; a torn last line counts as later than all."""
    try:
        return float(json.loads(line).get("update", 0))
    except (ValueError, AttributeError):
        return float("inf")


def _sentence(fields: dict[str, Any]) -> str:
    def show(value: float | None) -> str:
        return "none" if value is None else f"{value:.4f}"

    figures = ", ".join(
        f"{name} {show(value)}"
        for name, value in fields["validation"].items()
        if name in ("accuracy", "macro_f1", "rmse", "r2", "token_accuracy", "exact_match")
    )
    return (
        f"epoch {fields['epoch']}: train loss {show(fields['train_loss'])}, validation loss "
        f"{show(fields['validation_loss'])}, {figures}, {fields['seconds']:.1f} s"
    )
