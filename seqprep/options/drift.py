"""How far new data may move before a refit is advised. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, fields

from seqprep.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """Thresholds; they change no row, only what the commands say.

    Args:
        unseen: share of the new training tokens that were never seen.
        over_limit: share of the new training rows that are longer than every bucket.
        tokens: Jensen-Shannon divergence of the tokens, in bits.
        lengths: Kolmogorov-Smirnov distance of the lengths.
        shift: of a channel's mean, in fitted deviations.
        spread: factor by which a channel's deviation grows or shrinks, at least 1.
    """

    unseen: float = 0.05
    over_limit: float = 0.05
    tokens: float = 0.1
    lengths: float = 0.2
    shift: float = 0.5
    spread: float = 1.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low = 1 if field.name == "spread" else 0
            if isinstance(value, bool) or not isinstance(value, int | float) or value < low:
                raise ConfigError(
                    f"prepare.drift.{field.name} must be a number >= {low}, got {value!r}"
                )
