"""What preparation learnt from the training rows; prediction uses exactly this.

Canonical JSON: the same state has the same bytes, and its SHA-256 names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.errors import CorruptError
from seqprep.frequency import Frequency
from seqprep.preparation.scaling import Scaler

FORMAT = 2
_READ = (1, 2)
"""Formats that can be read: 1 lacks what has a default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """State that was fitted on training rows only.

    Args:
        frequency: tokens by rank with counts; None where inputs are values.
        vocabulary: strings of the input ids from 2 on.
        target_vocabulary: strings of the target ids from 4 on.
        labels: class names in code order.
        step_codes: for labelled steps, the code in `sequences` of each label.
        channels: names of the value channels of the records. rate_hz: their sampling rate.
        outputs: names of the value channels after all steps; () for tokens. output_rate_hz: steps
            a second after them.
        target_names: channels of per-step targets.
        scaler: of the channels, if they are scaled over the dataset.
        limits: upper limits of the length buckets, in steps.
        decided: for rules by token that counts alone do not give again, by their place in the
            chain: the tokens that go, `(V + 1,)`.
        byte_pairs: merges of byte-pair encoding, as the library writes them; None without.
    """

    frequency: Frequency | None = None
    vocabulary: tuple[str, ...] = ()
    target_vocabulary: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    step_codes: tuple[int, ...] = ()
    channels: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    rate_hz: float | None = None
    scaler: Scaler | None = None
    limits: tuple[int, ...] = ()
    outputs: tuple[str, ...] = ()
    output_rate_hz: float | None = None
    decided: Mapping[int, npt.NDArray[np.bool_]] = field(default_factory=dict)
    byte_pairs: str | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        body = {
            "format": FORMAT,
            "frequency": _plain(self.frequency),
            "vocabulary": self.vocabulary,
            "target_vocabulary": self.target_vocabulary,
            "labels": self.labels,
            "step_codes": self.step_codes,
            "channels": self.channels,
            "target_names": self.target_names,
            "rate_hz": self.rate_hz,
            "scaler": self.scaler and {"mean": self.scaler.mean, "std": self.scaler.std},
            "limits": self.limits,
            "outputs": self.outputs,
            "output_rate_hz": self.output_rate_hz,
            "decided": {
                str(place): np.flatnonzero(~gone).tolist() for place, gone in self.decided.items()
            },
            "byte_pairs": self.byte_pairs,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Fitted:
        """Read what `to_bytes` wrote.

        Raises:
            CorruptError: if it is not fitted state of this format.
        """
        try:
            body = json.loads(data)
            if body.pop("format") not in _READ:
                raise CorruptError(f"fitted state is not of format {FORMAT}; run prepare again")
            scaler, table = body.pop("scaler"), body.pop("frequency")
            frequency = table and _table(table)
            decided = body.pop("decided", {})
            return cls(
                frequency=frequency,
                scaler=scaler and Scaler(mean=tuple(scaler["mean"]), std=tuple(scaler["std"])),
                rate_hz=body.pop("rate_hz"),
                output_rate_hz=body.pop("output_rate_hz", None),
                byte_pairs=body.pop("byte_pairs", None),
                decided={int(place): _gone(kept, frequency) for place, kept in decided.items()},
                **{key: tuple(value) for key, value in body.items()},
            )
        except _UNREADABLE as error:
            if isinstance(error, CorruptError):
                raise
            raise CorruptError(f"fitted state cannot be read: {error!r}") from error


_UNREADABLE = (
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading something else than fitted state runs into."""


def _gone(kept: list[int], frequency: Frequency | None) -> npt.NDArray[np.bool_]:
    """Marks the tokens that go, from the places of those that stay."""
    gone = np.ones((0 if frequency is None else len(frequency)) + 1, dtype=bool)
    gone[np.asarray(kept, dtype=np.int64)] = False
    return gone


def _plain(frequency: Frequency | None) -> dict[str, object] | None:
    if frequency is None:
        return None
    records = None if frequency.records is None else frequency.records.tolist()
    return {
        "tokens": frequency.tokens.to_pylist(),
        "counts": frequency.counts.tolist(),
        "records": records,
        "num_records": frequency.num_records,
    }


def _table(body: dict[str, list]) -> Frequency:
    records = None if body["records"] is None else np.asarray(body["records"], np.int64)
    return Frequency(
        tokens=pa.array(body["tokens"], pa.large_string()),
        counts=np.asarray(body["counts"], np.int64),
        records=records,
        num_records=int(body["num_records"]),  # type: ignore[call-overload]
    )
