"""What a comparison recommends: the best on validation, and the doubt about it."""

from __future__ import annotations

from collections.abc import Sequence

from flows.comparison.course import Standing


def recommended(standings: Sequence[Standing]) -> Standing:
    """The finalist with the best mean validation score."""
    return max((one for one in standings if one.is_final), key=lambda one: one.validation.mean)


def rivals(standings: Sequence[Standing]) -> list[Standing]:
    """Finalists that the best one cannot be told from, the quickest to train first."""
    best = recommended(standings)
    found = [
        one
        for one in standings
        if one.is_final
        and one is not best
        and not best.validation.is_distinguishable(one.validation)
    ]
    return sorted(found, key=train_seconds)


def train_seconds(one: Standing) -> float:
    """Of one training, the mean over its seeds."""
    return sum(outcome.train_seconds for outcome in one.outcomes) / len(one.outcomes)


def told(standings: Sequence[Standing], *, records: int) -> str:
    """The recommendation with its reason, and its doubt.

    Args:
        standings: of all strategies.
        records: of validation.
    """
    best, others = recommended(standings), rivals(standings)
    low, high = best.validation.interval
    name = best.validation.measure
    text = (
        f"Use **{best.entry.name}** ({best.entry.told}): it has the best validation {name}, "
        f"{best.validation.shown:.3f} ({low:.3f} to {high:.3f}), over {best.validation.seeds} seeds"
    )
    full = next((one for one in standings if one.entry.name == "full" and one.is_final), None)
    if full is not None and full is not best:
        text += f", where whole records give {full.validation.shown:.3f}"
    return f"{text}. {_doubt(best, others, standings, records)}"


def _doubt(
    best: Standing, others: Sequence[Standing], standings: Sequence[Standing], records: int
) -> str:
    finals = sum(one.is_final for one in standings)
    if not others:
        left = len(standings) - finals
        text = f"At this size ({records:,} validation records) it is distinguishable from "
        text += f"{finals - 1} others" if finals > 2 else "the other one"
        text += " that were trained in full" if finals > 2 else ""
        return f"{text}; {left} more left after the search." if left else f"{text}."
    quick = others[0]
    names = ", ".join(one.entry.name for one in others)
    text = f"It is not distinguishable from {names} at this size ({records:,} validation records)"
    if train_seconds(quick) < 0.8 * train_seconds(best):
        ratio = train_seconds(best) / max(train_seconds(quick), 1e-9)
        text += f", of which {quick.entry.name} trains {ratio:.1f} times as fast"
    return text + "."
