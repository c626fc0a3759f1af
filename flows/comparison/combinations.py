"""Several strategies joined by `+`: one that does what each of them does, in their order.

What two of them cannot both have, such as two models or two ways to truncate, is refused by their
names alone, before anything is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from flows.comparison.strategies import STRATEGIES
from flows.comparison.strategy import Case, Found, Strategy
from seqprep.errors import ConfigError

_WORDS = Case(
    task="classify",
    unit="word",
    steps=1000,
    vocab_size=10_000,
    rate_hz=None,
    channels=0,
    hidden=32,
    reference="table",
)
_SIGNAL = Case(
    task="classify",
    unit="value",
    steps=1000,
    vocab_size=None,
    rate_hz=100.0,
    channels=2,
    hidden=32,
)
_EXAMPLES = (_WORDS, _SIGNAL)
"""Of which every strategy fits one; which keys it sets hangs on no number of them."""


def check_strategy(name: str) -> None:
    """Refuse a name that is not known, and parts that contradict each other.

    Args:
        name: of a strategy, or of several joined by `+`.

    Raises:
        ConfigError: naming those that there are, or what both parts decide.
    """
    parts = name.split("+")
    for part in parts:
        if part not in STRATEGIES:
            raise ConfigError(
                f"unknown strategy {part!r}; choose from {', '.join(STRATEGIES)}, or join some of "
                "them by +"
            )
    for one, other in combinations(parts, 2):
        if why := _contradiction(one, other):
            raise ConfigError(f"strategy {name!r}: {why}; name them apart, with a comma between")


def _contradiction(one: str, other: str) -> str | None:
    """Why two strategies cannot be one; None where they can."""
    if one == other:
        return f"{one} stands there twice"
    if "full" in (one, other):
        return "full changes nothing, and is what all others start from"
    first, second = _example(one), _example(other)
    for part in (first, second):
        if part.pretraining is not None:
            return f"{part.name} trains an autoencoder on whole records first, and stands alone"
    if both := {next(iter(s)) for s in first.steps} & {next(iter(s)) for s in second.steps}:
        return f"{one} and {other} are both a {both.pop()} step"
    if both := {k for k in first.train if k in second.train and first.train[k] != second.train[k]}:
        return f"{one} and {other} both decide train.{min(both)}"
    return None


def _example(name: str) -> Strategy:
    found = [STRATEGIES[name](case) for case in _EXAMPLES]
    return next(one for one in found if not isinstance(one, str))


def combined(name: str, case: Case) -> Found:
    """The strategy of a name, or why it means nothing here.

    Args:
        name: one that `check_strategy` lets pass.
        case: what its numbers follow from.
    """
    parts: list[Strategy] = []
    for part in name.split("+"):
        found = STRATEGIES[part](case)
        if isinstance(found, str):
            return found
        parts.append(found)
    return parts[0] if len(parts) == 1 else _joined(name, parts)


def _joined(name: str, parts: Sequence[Strategy]) -> Strategy:
    return Strategy(
        name=name,
        family="combination",
        told="; ".join(part.told for part in parts),
        steps=tuple(step for part in parts for step in part.steps),
        train={key: value for part in parts for key, value in part.train.items()},
        rows="+".join(part.name for part in parts if part.steps),
    )
