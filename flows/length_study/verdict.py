"""Which length a study names: the shortest whose score lies within the interval of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.comparison.scores import TOLD, Score, least_seeds
from flows.length_study.cut import WHOLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the validation scores say of the lengths.

    Args:
        best: the length with the best mean score.
        shortest: the shortest whose mean lies within the interval of the best.
        outside: longer ones than `shortest` that do not.
        is_chance: whether the interval of the best does not leave guessing behind.
        is_named_chance: whether that of `shortest` does not.
        is_behind: whether the best is ahead of `shortest` all the same, record by record.
        unjudged: lengths with fewer seeds than half of the others.
    """

    best: int
    shortest: int
    outside: tuple[int, ...]
    is_chance: bool
    is_named_chance: bool
    is_behind: bool
    unjudged: tuple[int, ...] = ()


def decide(scores: Mapping[int, Score], *, chance: float | None) -> Decision:
    """Name a length.

    Args:
        scores: on validation, by length.
        chance: what guessing scores, in the measure's own unit; None where nobody knows.
    """
    every, least = scores, least_seeds(list(scores.values()))
    scores = {steps: one for steps, one in every.items() if one.seeds >= least}
    best = max(scores, key=lambda steps: (scores[steps].mean, -steps))
    low, high = scores[best].interval
    within = [s for s in sorted(scores) if s == best or low <= scores[s].shown <= high]
    shortest = min(within)
    return Decision(
        best=best,
        shortest=shortest,
        outside=tuple(s for s in sorted(scores) if s > shortest and s not in within),
        is_chance=chance is not None and not scores[best].beats(chance),
        is_named_chance=chance is not None and not scores[shortest].beats(chance),
        is_behind=scores[best].is_distinguishable(scores[shortest]),
        unjudged=tuple(steps for steps in sorted(every) if steps not in scores),
    )


def told(
    decision: Decision,
    scores: Mapping[int, Score],
    *,
    names: Mapping[int, str],
    cost: str,
    beside: str,
) -> str:
    """The named length with its reason, and the doubt: two sentences.

    Args:
        decision: of `decide`.
        scores: on validation, by length.
        names: of the lengths, for a person.
        cost: what the named length saves, or "".
        beside: what a baseline says, or "".
    """
    best = scores[decision.best]
    measure = TOLD[best.measure]
    if decision.is_chance:
        return (
            f"**No length tells more than chance here**: the best validation {measure}, "
            f"{_shown(best)} of {names[decision.best]}, does not leave chance behind. More time "
            f"(`--minutes`), another model or more records may change that{beside}."
        )
    named = scores[decision.shortest]
    if decision.shortest == decision.best:
        reason = f"they have the best validation {measure}, {_shown(best)}"
    else:
        reason = (
            f"their validation {measure}, {_shown(named)}, lies within the interval of the "
            f"best, {_shown(best)} of {names[decision.best]}"
        )
    name = names[decision.shortest]
    what = "are needed" if decision.shortest == max(scores) else "are enough"
    seeds = f"{best.seeds} seeds" if best.seeds > 1 else "one seed"
    doubt = "; ".join(_doubts(decision, scores, names))
    return f"**{name[0].upper()}{name[1:]} {what}**: {reason}, over {seeds}{cost}. {doubt}{beside}."


def _doubts(
    decision: Decision, scores: Mapping[int, Score], names: Mapping[int, str]
) -> Sequence[str]:
    """What is not known, the first one beginning a sentence."""
    records = scores[decision.best].records
    found = [f"The doubt: the interval is of {records:,} validation record{'s'[: records != 1]}"]
    if scores[decision.best].seeds == 1:
        found.append("one seed says nothing of the next one")
    shorter = [steps for steps in sorted(scores) if steps < decision.shortest]
    if shorter:
        below = scores[shorter[-1]]
        found.append(
            f"{names[shorter[-1]]}, the next shorter length, have {below.shown:.3f}, outside of it"
        )
    else:
        found.append("nothing shorter was tried")
    if decision.shortest == max(scores) and names[decision.shortest] != WHOLE:
        found.append("nothing longer was tried")
    if decision.is_named_chance:
        found.append(f"{names[decision.shortest]} alone do not leave chance behind")
    if decision.is_behind:
        found.append(
            f"record by record {names[decision.best]} are still ahead, by more than chance"
        )
    if decision.outside:
        lost = ", ".join(names[steps] for steps in decision.outside)
        found.append(f"{lost}, though longer, lie outside of it")
    if decision.unjudged:
        few = ", ".join(names[steps] for steps in decision.unjudged)
        found.append(f"of {few} fewer seeds came to their end, too few to judge by")
    return found


def _shown(score: Score) -> str:
    low, high = score.interval
    return f"{score.shown:.3f} ({low:.3f} to {high:.3f})"
