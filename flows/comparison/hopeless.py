"""When a training is stopped early because it is hopeless (`--stop-hopeless`).

The rule: at the end of an epoch after half of its updates, a training is stopped whose best
validation score so far is worse than the median of what those of its round that were trained to
their end had best by the same share of their updates, once there are three of these. `full` and the
file's own way are never stopped, for the others are held against them.

Source: the median stopping rule of Golovin et al. 2017, doi:10.1145/3097983.3098043, with the best
score so far in place of a running mean.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from flows.reporting.reports import read_events

FROM_SHARE = 0.5
"""Share of the updates before which nothing is stopped: learning rates are still high."""
LEAST_PEERS = 3
Curve = list[tuple[float, float]]
"""Shares of the updates, rising, and the best score by then; more is better."""


class HopelessError(RuntimeError):
    """A training was stopped by the rule; it says at what score."""


def curve(run: Path, *, measure: str) -> Curve:
    """How a training went so far, from its folder.

    Args:
        run: its folder.
        measure: the validation figure that is compared.
    """
    updates = json.loads((run / "job.json").read_bytes())["train"]["updates"]
    sign = -1.0 if measure == "rmse" else 1.0
    found: Curve = []
    for event in read_events(run / "metrics.jsonl"):
        value = event["validation"].get(measure) if event["event"] == "epoch" else None
        if value is not None:
            best = max(sign * value, found[-1][1] if found else -float("inf"))
            found.append((event["update"] / updates, best))
    return found


def is_hopeless(own: Curve, peers: Sequence[Curve]) -> bool:
    """Whether the rule stops a training.

    Args:
        own: its curve so far.
        peers: of the trainings of its round that came to their end.

    >>> ended = [[(0.5, score), (1.0, 0.9)] for score in (0.7, 0.8, 0.9)]
    >>> is_hopeless([(0.6, 0.75)], ended), is_hopeless([(0.4, 0.75)], ended)
    (True, False)
    """
    if not own or own[-1][0] < FROM_SHARE or own[-1][0] >= 1:
        return False
    share, score = own[-1]
    by_then = [one[place - 1][1] for one in peers if (place := bisect_right(one, (share, 2e300)))]
    return len(by_then) >= LEAST_PEERS and score < median(by_then)
