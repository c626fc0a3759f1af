"""How long a trainer that is asked to stop may take, and the exit codes that tell how it ended."""

from __future__ import annotations

STOPPED = 75
"""Exit code of a run that a signal stopped; the same command goes on."""
WRONG = 2
"""Exit code for wrong input."""
GRACE_S = 600
"""Seconds for an update and a checkpoint before a process that shall stop is killed."""
