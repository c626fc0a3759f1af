"""metrics.jsonl: one JSON object a line, flushed, for the flow that watches and for plots."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from models.training.tracking import Board
from seqprep.snapshot import replace_bytes

logger = logging.getLogger(__name__)

NAME = "metrics.jsonl"
PROGRESS_SECONDS = 1.0
_ALL = sys.maxsize


class Events:
    """Appends events to a file; progress at most once a second, with the loss of every update.

    Args:
        folder: of the job.
        done: updates and epochs that are done; what an earlier process told of later ones is
            dropped first, for a run that goes on tells it again, and so is a torn last line.
        board: also write TensorBoard events.
    """

    def __init__(
        self, folder: Path, *, done: tuple[int, int] = (_ALL, _ALL), board: bool = False
    ) -> None:
        path = folder / NAME
        found = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        lines = [line for line in found if _is_told(line, *done)]
        if len(lines) < len(found):
            replace_bytes(path, b"".join(lines))
        self.file = path.open("ab")
        self.last = 0.0
        self.update = 0 if done[0] == _ALL else done[0]
        self.held: dict[str, Any] | None = None
        self.losses: list[float | None] = []
        self.board = Board(folder) if board else None
        for line in lines if self.board is not None else ():
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
        """Write one event; progress is held back while the last is under a second old."""
        if event == "progress":
            self._hold(fields)
            if time.monotonic() - self.last >= PROGRESS_SECONDS:
                self.settle()
            return
        self.settle()
        self._append(event, fields)
        if event == "epoch":
            logger.info(_sentence(fields))

    def settle(self) -> None:
        """Write the progress that is held back: what a checkpoint counts must have been told."""
        if self.held is not None:
            self._append("progress", {**self.held, "losses": self.losses})
            self.held, self.losses, self.last = None, [], time.monotonic()

    def _hold(self, fields: dict[str, Any]) -> None:
        """Keep the newest progress, and the loss of each update since the last line."""
        self.held = fields
        if fields["update"] > self.update:  # else states were handed on, and nothing was learnt
            self.losses.append(fields["loss"])
            self.update = fields["update"]

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        line = json.dumps({"event": event, **fields}, allow_nan=False)
        self.file.write(line.encode() + b"\n")
        self.file.flush()
        self._show({"event": event, **fields})

    def _show(self, event: dict[str, Any]) -> None:
        if self.board is not None:
            self.board.show(event)


def _is_told(line: bytes, updates: int, epochs: int) -> bool:
    """Whether a line speaks of these updates and epochs; a torn last line does not."""
    try:
        event = json.loads(line)
        if event["event"] == "epoch":
            return int(event["epoch"]) <= epochs
        return int(event.get("update", 0)) <= updates
    except (ValueError, AttributeError, KeyError, TypeError):
        return False


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
