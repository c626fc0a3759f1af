"""Strategies and single trainings of a comparison that gave nothing, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field


class LateError(RuntimeError):
    """A training was not begun, for it would not have ended in time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """Why strategies and trainings gave nothing; filled while a comparison runs.

    Args:
        refused: strategies that mean nothing here.
        failed: strategies or trainings that failed, or were stopped.
        late: those for which the time was too short.
    """

    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, error: Exception) -> str:
        """Remember why a strategy or a training gave nothing, and say it in one line.

        Args:
            name: of it.
            error: what happened to it.
        """
        why = str(error).partition("\n")[0]
        (self.late if isinstance(error, LateError) else self.failed)[name] = why
        return why

    def update(
        self, *, refused: dict[str, str], failed: dict[str, str], late: dict[str, str]
    ) -> None:
        """Remember the reasons of an earlier run, too."""
        self.refused.update(refused)
        self.failed.update(failed)
        self.late.update(late)

    @property
    def first(self) -> str:
        """The first reason, for an error message."""
        every = {**self.failed, **self.late, **self.refused}
        return next((f"{name}: {why}" for name, why in every.items()), "none was named")
