"""The events of a run as TensorBoard's scalars, where a person asks for them.

They are written from metrics.jsonl's own events, and written anew when a run goes on, so that its
curves are those of a run that was never stopped. Needs the package tensorboard.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any

from models.options.checks import JobError

NAME = "tensorboard"
_SHOWN: dict[str, tuple[str, ...]] = {
    "progress": (
        "loss",
        "lr",
        "real_steps_per_s",
        "padding_share",
        "grad_norm",
        "grad_norm_clipped",
        "clipped_share",
        "memory_bytes",
    ),
    "epoch": ("train_loss", "validation_loss", "clipped_share", "seconds"),
}
"""Event -> the numbers of it that are drawn over the updates."""


def check_tracking(tracking: str) -> None:
    """Refuse what this machine cannot write, before any work starts.

    Raises:
        JobError: if tensorboard is asked for and not installed.
    """
    if tracking == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise JobError(
            "train.tracking: tensorboard, but the package tensorboard is not installed; run "
            "`pip install 'seqprep[tracking]'`, or set tracking: none (metrics.jsonl is always "
            "written)"
        )


class Board:
    """Scalars of one run, in the folder `tensorboard` of its job.

    Args:
        folder: of the job; what an earlier process drew is removed.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder / NAME, ignore_errors=True)
        # optional, thus not imported above
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self.writer = writer(log_dir=str(folder / NAME))

    def show(self, event: dict[str, Any]) -> None:
        """Draw the numbers of an event at its update."""
        kind = event["event"]
        figures = {name: event.get(name) for name in _SHOWN.get(kind, ())}
        if kind == "epoch":
            figures |= {f"validation_{name}": value for name, value in event["validation"].items()}
        for name, value in figures.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.writer.add_scalar(f"{kind}/{name}", value, event["update"])
        if kind == "epoch":
            self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
