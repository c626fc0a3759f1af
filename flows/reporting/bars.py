"""How far a long stage is, as a progress artifact on the page of its run.

A stage that ends before its first figure has none. Nothing here may stop the work: where the server
does not answer, the bar is left as it is and said to be.
"""

from __future__ import annotations

from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from flows.reporting.keys import artifact_key


class ProgressBars:
    """One artifact for each thing that a stage counts.

    Args:
        title: of the stage.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._made: dict[str, UUID] = {}
        self._is_off = False

    def show(self, what: str, share: float, told: str) -> None:
        """Put a bar to a share in [0, 1], with a line of text beside it."""
        if self._is_off:
            return
        percent = round(100 * min(max(share, 0.0), 1.0), 1)
        try:
            self._put(what, percent, f"{self._title}: {told}")
        except (httpx.HTTPError, PrefectException) as error:
            self._is_off = True
            get_run_logger().warning("progress is not shown any more: %s", error)

    def finish(self) -> None:
        """Fill all bars: the stage is done."""
        for what in self._made:
            self.show(what, 1.0, f"{what}, done")

    def _put(self, what: str, percent: float, text: str) -> None:
        if what in self._made:
            update_progress_artifact(self._made[what], progress=percent, description=text)
            return
        key = artifact_key(self._title, what)
        made = create_progress_artifact(progress=percent, key=key, description=text)
        assert isinstance(made, UUID)
        self._made[what] = made
