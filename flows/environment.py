"""Defaults of Prefect's settings for an embedded, quiet, project-local run.

Call `quiet()` before prefect is imported: its settings are read on import. What the person has set
is left alone.
"""

from __future__ import annotations

import os
from pathlib import Path

TERMINAL = "SEQPREP_TERMINAL"
"""Set by the command line: a person reads stderr."""


def quiet(*, home: Path) -> None:
    """Set what a run on Prefect's own temporary server needs.

    Args:
        home: folder for Prefect's database and settings.
    """
    defaults = {
        "PREFECT_HOME": str(home.resolve()),
        # The temporary server prints some 150 lines of traceback when it stops.
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        # Errors come back to the caller, who says them once and without a traceback.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        TERMINAL: "1",
    }
    for key, value in defaults.items():
        os.environ.setdefault(key, value)
