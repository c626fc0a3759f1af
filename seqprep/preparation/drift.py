"""How far the data has moved from what was fitted: numbers, thresholds, and whether to fit anew.

Training rows that joined since the fit are compared with those that the state was fitted on: tokens
never seen, the distribution of tokens and of lengths, rows longer than every bucket, and the level
and spread of each channel. A distance counts only beyond what chance gives for so few records.

Sources: Jensen-Shannon divergence, Lin 1991, doi:10.1109/18.61115; two-sample Kolmogorov-Smirnov
statistic and its 1 % point, Smirnov 1948, doi:10.1214/aoms/1177730256.
Legend: V tokens of the fitted table, F channels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.length_counts import LengthCounts
from seqprep.options.drift import Drift
from seqprep.preparation.scaling import Moments, Scaler
from seqprep.ragged import Ints

LENGTH_BINS = 30
SHOWN = 3
"""Channels that the advice names."""
_KS_POINT = 1.63
"""The two-sample Kolmogorov-Smirnov statistic is over this times sqrt(1/n + 1/m) once in 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Since:
    """Training rows at the fit, and those that joined since.

    Args:
        fitted_lengths: of the records that the state was fitted on, in steps before any technique.
        lengths: of those that joined.
        tokens: `(V + 1,)` occurrences of each rank in those that joined, the last one for tokens
            that the fitted table lacks.
        moments: of their values after the steps; None for tokens.
        rows: stored rows that they gave. over: of them, those longer than every bucket's limit.
        step_codes: of labelled steps in them.
        whole: whether those that the state was fitted on are counted among them, since all rows
            were made again.
    """

    fitted_lengths: LengthCounts
    lengths: LengthCounts
    tokens: Ints
    moments: Moments | None = None
    rows: int = 0
    over: int = 0
    step_codes: tuple[int, ...] = ()
    whole: bool = False

    @classmethod
    def nothing(cls, fitted_lengths: LengthCounts, *, num_tokens: int) -> Since:
        """At the fit."""
        none = LengthCounts.of([], [])
        tokens = np.zeros(num_tokens + 1, dtype=np.int64)
        return cls(fitted_lengths=fitted_lengths, lengths=none, tokens=tokens)

    @property
    def start(self) -> Since:
        """At the fit again, before anything joined."""
        return Since.nothing(self.fitted_lengths, num_tokens=len(self.tokens) - 1)

    def plus(
        self,
        *,
        lengths: LengthCounts,
        tokens: Ints | None,
        moments: Moments | None,
        rows: int,
        over: int,
        step_codes: tuple[int, ...],
    ) -> Since:
        """After more training rows joined."""
        merged = self.moments if moments is None else moments
        if self.moments is not None and moments is not None:
            merged = self.moments.merge(moments)
        return Since(
            fitted_lengths=self.fitted_lengths,
            lengths=self.lengths.plus(lengths),
            tokens=self.tokens if tokens is None else self.tokens + tokens,
            moments=merged,
            rows=self.rows + rows,
            over=self.over + over,
            step_codes=tuple(sorted({*self.step_codes, *step_codes})),
            whole=self.whole,
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON; of the tokens only those that occur."""
        some = np.flatnonzero(self.tokens)
        body = {
            "fitted_lengths": self.fitted_lengths.to_json(),
            "lengths": self.lengths.to_json(),
            "tokens": [len(self.tokens), some.tolist(), self.tokens[some].tolist()],
            "moments": self.moments
            and [self.moments.count, self.moments.mean.tolist(), self.moments.squares.tolist()],
            "rows": self.rows,
            "over": self.over,
            "step_codes": self.step_codes,
            "whole": self.whole,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Since:
        """Read what `to_bytes` wrote."""
        body = json.loads(data)
        size, places, counts = body["tokens"]
        tokens = np.zeros(size, dtype=np.int64)
        tokens[np.asarray(places, np.int64)] = counts
        found = body["moments"]
        return cls(
            fitted_lengths=LengthCounts.from_json(body["fitted_lengths"]),
            lengths=LengthCounts.from_json(body["lengths"]),
            tokens=tokens,
            moments=found
            and Moments(count=found[0], mean=np.asarray(found[1]), squares=np.asarray(found[2])),
            rows=body["rows"],
            over=body["over"],
            step_codes=tuple(body["step_codes"]),
            whole=body["whole"],
        )


def measure(
    since: Since, *, counts: Ints | None, scaler: Scaler | None, channels: tuple[str, ...]
) -> dict[str, Any]:
    """The numbers of drift; only those that the data has.

    Args:
        since: what joined.
        counts: `(V,)` occurrences of each rank at the fit; None for values.
        scaler: of the channels at the fit; None where they are not scaled.
        channels: their names.

    Returns:
        `records`, `unseen_share` and `over_limit_share` in [0, 1], `token_divergence` in bits,
        `length_distance` in [0, 1], `amplitude` by channel with `shift` (in fitted deviations) and
        `ratio` (of deviations), `length_shares` for a plot (`edges`, and the shares of records
        `fitted` and `joined` between them), and `<name>_by_chance`: what
        chance may give for so few.
    """
    joined = int(since.lengths.rows.sum())
    found: dict[str, Any] = {
        "records": joined,
        "over_limit_share": since.over / since.rows if since.rows else 0.0,
        "unseen_share": 0.0,
    }
    if not joined:
        return found
    there = int(since.fitted_lengths.rows.sum())
    found["length_shares"] = _length_shares(since.fitted_lengths, since.lengths)
    found["length_distance"] = length_distance(since.fitted_lengths, since.lengths)
    found["length_distance_by_chance"] = _KS_POINT * float(np.sqrt(1 / joined + 1 / max(there, 1)))
    total = int(since.tokens.sum())
    if counts is not None and total:
        found["unseen_share"] = float(since.tokens[-1] / total)
        found["token_divergence"] = divergence(np.append(counts, 0), since.tokens)
        found["token_divergence_by_chance"] = _divergence_by_chance(
            np.append(counts, 0), since.tokens
        )
    if scaler is not None and since.moments is not None and since.moments.count:
        found["amplitude"] = _amplitude(since.moments, scaler, channels)
    return found


def length_distance(first: LengthCounts, second: LengthCounts) -> float:
    """The largest difference of the two distributions of lengths (Kolmogorov-Smirnov).

    >>> length_distance(LengthCounts.of([1, 2], [0, 0]), LengthCounts.of([2, 3], [0, 0]))
    0.5
    """
    values = np.union1d(first.values, second.values)
    return float(np.abs(_below(first, values) - _below(second, values)).max(initial=0.0))


def _length_shares(first: LengthCounts, second: LengthCounts) -> dict[str, list[float]]:
    """Both distributions over the same at most LENGTH_BINS bins."""
    values = np.union1d(first.values, second.values)
    edges = np.unique(np.linspace(values[0], values[-1] + 1, LENGTH_BINS + 1).astype(np.int64))
    shares = {"edges": edges.tolist()}
    for name, lengths in (("fitted", first), ("joined", second)):
        ends = _below(lengths, edges - 1)
        shares[name] = np.diff(ends).tolist()
    return shares


def _below(lengths: LengthCounts, values: Ints) -> npt.NDArray[np.float64]:
    """The share of rows of at most each of these lengths."""
    ends = np.concatenate([[0], np.cumsum(lengths.rows)])
    share: npt.NDArray[np.float64] = ends[np.searchsorted(lengths.values, values, side="right")]
    return share / max(int(ends[-1]), 1)


def divergence(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Jensen-Shannon divergence of two counts `(V,)` as distributions, in bits, in [0, 1].

    >>> divergence([1, 0], [0, 1]), divergence([2, 2], [1, 1])
    (1.0, 0.0)
    """
    p, q = (np.asarray(counts, np.float64) / np.sum(counts) for counts in (first, second))
    middle = (p + q) / 2
    return float(max((_relative(p, middle) + _relative(q, middle)) / 2, 0.0))


def _relative(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


def _divergence_by_chance(first: Ints, second: Ints) -> float:
    """The most that two samples of one distribution are likely to diverge, in bits.

    Where counts are large, 8 ln 2 times the divergence and the harmonic size is about chi-squared
    with as many degrees of freedom as there are tokens that occur, less one; a token that occurs
    once in one sample gives up to 2 ln 2 times as much. Mean and three deviations.
    """
    freedom = max(int(((first + second) > 0).sum()) - 1, 1)
    n, m = int(first.sum()), int(second.sum())
    size = n * m / (n + m)
    return float((freedom + 3 * np.sqrt(2 * freedom)) / (4 * size))


def _amplitude(
    moments: Moments, scaler: Scaler, channels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    spread = np.sqrt(moments.squares / max(moments.count, 1))
    shift = np.abs(moments.mean - np.asarray(scaler.mean)) / np.asarray(scaler.std)
    ratio = spread / np.asarray(scaler.std)
    return {
        name: {"shift": float(a), "ratio": float(b)}
        for name, a, b in zip(channels, shift, ratio, strict=True)
    }


def beyond_chance(found: Mapping[str, Any], what: str, limit: float) -> float:
    """The limit of a distance, or what chance may give for so few records where that is more.

    >>> beyond_chance({"length_distance_by_chance": 0.4}, "length_distance", 0.2)
    0.4
    """
    return max(limit, float(found.get(f"{what}_by_chance", 0.0)))


def advice(found: Mapping[str, Any], limits: Drift) -> list[str]:
    """Why a refit is advised, by the thresholds of the recipe; [] while the state still fits."""
    reasons = []
    if found["unseen_share"] > limits.unseen:
        reasons.append(
            f"{found['unseen_share']:.1%} of the new training tokens were never seen, limit "
            f"{limits.unseen:.1%}"
        )
    if found["over_limit_share"] > limits.over_limit:
        reasons.append(
            f"{found['over_limit_share']:.1%} of the new training rows are longer than every "
            f"bucket, limit {limits.over_limit:.1%}"
        )
    for what, limit, text in (
        ("token_divergence", limits.tokens, "the mix of tokens moved by {:.2f} bits"),
        ("length_distance", limits.lengths, "lengths moved by {:.2f} (Kolmogorov-Smirnov)"),
    ):
        value, most = found.get(what, 0.0), beyond_chance(found, what, limit)
        if value > most:
            few = f" for so few records ({limit:g} for many)" if most > limit else ""
            reasons.append(f"{text.format(value)}, limit {most:.2g}{few}")
    return reasons + _moved_channels(found.get("amplitude", {}), limits)


def _moved_channels(amplitude: Mapping[str, Mapping[str, float]], limits: Drift) -> list[str]:
    """The channels beyond the limits: those that moved or spread most, and how many more."""
    excess = {}
    for name, numbers in amplitude.items():
        factor = max(numbers["ratio"], 1 / max(numbers["ratio"], 1e-12))
        if numbers["shift"] > limits.shift or factor > limits.spread:
            excess[name] = max(numbers["shift"] / max(limits.shift, 1e-12), factor / limits.spread)
    most = sorted(excess, key=lambda name: -excess[name])[:SHOWN]
    reasons = [
        f"channel {name} moved by {amplitude[name]['shift']:.2f} deviations, limit "
        f"{limits.shift:.2f}, and spreads {amplitude[name]['ratio']:.2f} times as far, limit "
        f"{limits.spread:.2f}"
        for name in most
    ]
    if len(excess) > SHOWN:
        reasons.append(
            f"{len(excess) - SHOWN:,} more of {len(amplitude):,} channels are beyond these limits"
        )
    return reasons
