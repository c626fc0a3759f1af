"""Fitted state: the same bytes for the same state, and no other way in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep.errors import CorruptError
from seqprep.fitted import Fitted
from seqprep.frequency import Frequency
from seqprep.preparation.scaling import Scaler

TOKENS = Fitted(
    frequency=Frequency(
        tokens=pa.array(["the", 'q"\n', "né"], pa.large_string()),
        counts=np.array([3, 2, 1]),
        records=np.array([2, 2, 1]),
        num_records=2,
    ),
    vocabulary=("the", 'q"\n', "né"),
    labels=("no", "yes"),
    limits=(3, 9),
)
VALUES = Fitted(
    channels=("a", "b"),
    rate_hz=128.0,
    scaler=Scaler(mean=(0.1, 1e-9), std=(1.0, 3.3)),
    step_codes=(0, 2),
    target_names=("buy",),
    limits=(7,),
)


def altered(fitted: Fitted, change: Callable[[dict[str, Any]], None]) -> bytes:
    """What `fitted` writes, with something else in it."""
    body = json.loads(fitted.to_bytes())
    change(body)
    return json.dumps(body).encode()


@pytest.mark.parametrize("fitted", [Fitted(), TOKENS, VALUES])
def test_reading_gives_back_what_was_written(fitted: Fitted) -> None:
    """Prediction would use another scaler or vocabulary than training."""
    read = Fitted.from_bytes(fitted.to_bytes())
    assert read.to_bytes() == fitted.to_bytes()
    assert read.scaler == fitted.scaler
    assert read.labels == fitted.labels and read.limits == fitted.limits
    if fitted.frequency is not None:
        assert read.frequency is not None
        assert read.frequency.tokens.equals(fitted.frequency.tokens)
        assert read.frequency.ranks(pa.array(["né", "zzz"])).tolist() == [2, 3]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": 99}',
        VALUES.to_bytes()[:-9],
        b'{"format": 1, "x": 1}',
        b"[" * 100_000,
        altered(TOKENS, lambda body: body["frequency"].update(counts=[10**30, 2, 1])),
        altered(TOKENS, lambda body: body.update(decided={"0": [99]})),
    ],
)
def test_what_is_not_fitted_state_is_refused(data: bytes) -> None:
    """An altered file would raise a traceback, or worse, be used."""
    with pytest.raises(CorruptError, match="fitted state"):
        Fitted.from_bytes(data)
