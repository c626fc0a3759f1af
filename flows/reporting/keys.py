"""Keys of artifacts: what finds the history of one thing again on Prefect's page."""

from __future__ import annotations

import re


def artifact_key(*parts: str) -> str:
    """A key of these parts: lower-case letters, digits and dashes only, as Prefect has it.

    >>> artifact_key("movie_reviews", "rare-common_cut")
    'movie-reviews-rare-common-cut'
    """
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
