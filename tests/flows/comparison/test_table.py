"""What a row of the table says of a way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.comparison.course import Standing
from flows.comparison.pretraining import Pretraining
from flows.comparison.strategy import PretrainingKind
from flows.comparison.table import rows_of
from models.options.model import Conv, Front
from tests.flows.comparison.test_verdict import standing

OPTIONS = {"code_every": 25}


def kept(one: Standing) -> float:
    """The share of the steps, of rows whose recipe leaves a half."""
    entry = replace(one.entry, prepared={"kept_share": 0.5})
    return rows_of([replace(one, entry=entry)])[0].kept_share


def after(kind: PretrainingKind) -> Standing:
    """A way that begins with an autoencoder of a code for each 25 steps."""
    one = standing("way", 0.5, place=0)
    first = Pretraining(kind=kind, options=OPTIONS)
    return replace(one, entry=replace(one.entry, pretraining=first))


def test_steps_kept_are_those_that_the_recurrent_layer_reads() -> None:
    """Would break if codes of 25 steps each passed for reading every one of these."""
    plain = standing("way", 0.5, place=0)
    assert kept(plain) == kept(after("encoder")) == 0.5
    assert kept(after("codes")) == pytest.approx(0.5 / 25)
    model = replace(plain.spec.train.model, front=Front(conv=(Conv(stride=4),)))
    train = replace(plain.spec.train, model=model)
    assert kept(replace(plain, spec=replace(plain.spec, train=train))) == pytest.approx(0.5 / 4)
