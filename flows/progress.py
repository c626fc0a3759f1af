"""Show how far a stage is: a bar on a terminal, a line now and then elsewhere.

In a deployment the lines go to the run's log and a progress artifact, so that its page shows them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.environment import TERMINAL
from flows.reporting.bars import ProgressBars
from flows.training.running import hold_signals

Callback = Callable[[str, int, int], None]
"""Called as (what, done, total)."""


class Shown(Protocol):
    """A Callback that also takes figures of what is going on, for a person to read."""

    def __call__(self, what: str, done: int, total: int, figures: str = "", /) -> None:
        """Show how far `what` is, and the figures beside it."""
        ...


EVERY_S = 5.0
"""Seconds between two lines where there is no terminal."""


def silent(what: str, done: int, total: int, figures: str = "", /) -> None:
    """Progress of one of many trainings is not shown."""


@contextmanager
def stage(title: str) -> Iterator[Shown]:
    """Show progress of one stage while the block runs.

    Args:
        title: the dataset and the stage.

    Yields:
        The callback to report with.
    """
    hold_signals()
    say(f"{title} ...")
    if not sys.stderr.isatty():
        lines = _Lines(title)
        yield lines
        lines.finish()
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)


def say(text: str) -> None:
    """One line for the person at the terminal, or for the log of the run on Prefect's page."""
    if _is_on_a_page():
        get_run_logger().info(text)
    else:
        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(text)


def _is_on_a_page() -> bool:
    """Whether a run's page is where a person looks, not a terminal."""
    in_run = FlowRunContext.get() is not None or TaskRunContext.get() is not None
    return in_run and TERMINAL not in os.environ


class _Bars:
    """One bar for each thing that is counted."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int, figures: str = "", /) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=max(total, 1), figures=figures)
        task, most = self._tasks[what], max(total, 1)
        self._bars.update(task, completed=done, total=most, figures=figures)


class _Lines:
    """A line every few seconds, and a bar on the page of the run where there is one."""

    def __init__(self, title: str) -> None:
        self._title, self._last_s = title, time.monotonic()
        self._bars = ProgressBars(title) if _is_on_a_page() else None

    def __call__(self, what: str, done: int, total: int, figures: str = "", /) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= EVERY_S:
            self._last_s = now_s
            told = f"{what} {done:,} of {total:,}" + (f", {figures}" if figures else "")
            say(f"{self._title}: {told}")
            if self._bars is not None:
                self._bars.show(what, done / max(total, 1), told)

    def finish(self) -> None:
        """The stage is done."""
        if self._bars is not None:
            self._bars.finish()
