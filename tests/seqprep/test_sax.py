"""Symbols of signals: as published, by another implementation, and where channels are many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.errors import ConfigError
from seqprep.preparation.form import Form
from seqprep.recipe import Prepare, Tokens
from seqprep.transforms import build_steps, check_chain
from seqprep.transforms.sax import Sax
from tests.seqprep.chunks import applied, chunk_of, rows_of, targets_of, values_form

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sax.json").read_text())
"""See `golden/make_sax.py`; the file names the implementation that it comes from."""


def words(values: list[Any], **options: Any) -> list[list[str]]:
    """The tokens of each row."""
    chunk = chunk_of(values)
    texts = Sax(**options).symbols(values_form(chunk.steps.values.shape[1], None)).to_pylist()
    return [[texts[token] for token in row] for row in rows_of(applied(chunk, {"sax": options}))]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=str)
def test_means_and_symbols_equal_those_of_another_implementation(case: dict[str, Any]) -> None:
    """Symbols would not be those of the literature."""
    row = GOLDEN["rows"][case["row"]]
    key = "segments" if "segments" in case else "block"
    (means,) = rows_of(applied(chunk_of([row]), {"paa": {key: case[key]}}))
    np.testing.assert_allclose(means.ravel(), case["means"], rtol=1e-6, atol=1e-6)
    if key == "block":
        options = {"block": case["block"], "alphabet": case["alphabet"]}
        (symbols,) = rows_of(applied(chunk_of([row]), {"sax": options}))
        assert symbols.tolist() == case["symbols"]


def test_letters_rise_with_the_values() -> None:
    """`a` would not be the lowest, or the letters not be as likely as each other."""
    assert words([[0, 1, 2, 3]], block=1, alphabet=4) == [["a", "b", "c", "d"]]
    assert words([[-1, 1, 0, 0]], block=1, alphabet=2) == [["a", "b", "b", "b"]]


def test_several_channels_make_one_token_of_so_many_letters() -> None:
    """Channels would be told apart no more, or be normalised together."""
    rows = [[[0, 900], [0, 900], [9, 100], [9, 100]]]
    assert words(rows, block=2, alphabet=2) == [["ab", "ba"]]
    assert words(rows, block=2, alphabet=3) == [["ac", "ca"]]


@pytest.mark.parametrize(("alphabet", "middle"), [(3, "b"), (4, "c")])
def test_a_constant_channel_is_the_middle_letter(alphabet: int, middle: str) -> None:
    """Rounding noise of a flat channel would be blown up to a signal."""
    flat = [0.1] * 5
    assert words([flat], block=2, alphabet=alphabet) == [[middle] * 3]
    noisy = [1e6, 1e6 + 0.06, 1e6, 1e6, 1e6]
    assert words([noisy], block=2, alphabet=alphabet) == [[middle] * 3]


def test_small_units_are_no_constants() -> None:
    """Signals in volts would all become one letter."""
    assert words([[1e-6, 2e-6, 3e-6]], block=1, alphabet=3) == [["a", "b", "c"]]


def test_each_row_is_normalised_by_itself() -> None:
    """A loud record would press a quiet one into one letter; short ones would fail."""
    assert words([[0, 1], [], [0, 1000], [5]], block=1, alphabet=2) == [
        ["a", "b"],
        [],
        ["a", "b"],
        ["b"],
    ]


def test_targets_follow_the_blocks() -> None:
    """Labels of merged steps would be those of other steps."""
    chunk = chunk_of([[1, 2, 3]], targets=[[7, 7, 8]])
    result = applied(chunk, {"sax": {"block": 2, "targets": "majority"}})
    assert targets_of(result) == [[7, 8]]


def test_too_many_tokens_are_refused_with_a_remedy() -> None:
    """A vocabulary of millions would be built from a few channels."""
    form = values_form(14, 256.0)
    with pytest.raises(ConfigError, match=r"8 letters of 14 channels .* use alphabet: 2 or fewer"):
        Sax(block=8, alphabet=8).outcome(form)
    assert len(Sax(alphabet=2).symbols(form)) == 2**14
    with pytest.raises(ConfigError, match=r"17 channels are 131,072 tokens.*; read fewer channels"):
        Sax(alphabet=2).outcome(values_form(17, None))


def test_the_form_after_symbols_is_that_of_tokens() -> None:
    """Later steps would take symbols for values, or count seconds at the old rate."""
    form = Sax(block=8).outcome(Form(unit="value", channels=("Fz",), rate_hz=256.0))
    assert (form.unit, form.channels, form.rate_hz, form.width) == ("symbol", (), 32.0, None)


def test_the_unit_symbol_is_a_first_step_that_is_not_counted() -> None:
    """`tokens.unit: symbol` would do nothing, or errors would name the wrong step."""
    tokens = Tokens(unit="symbol", block=4, alphabet=3)
    steps = build_steps(Prepare(tokens=tokens, steps=({"truncate": {"length": 3}},)))
    assert [type(step).__name__ for step in steps] == ["Sax", "Truncate"]
    assert (steps[0].options()["block"], steps[0].options()["alphabet"]) == (4, 3)
    check_chain(steps, "eeg", "classify", tokens)
    wrong = build_steps(
        Prepare(tokens=tokens, steps=({"truncate": {"length": 3}}, {"notch": {"at_hz": 50}}))
    )
    with pytest.raises(ConfigError, match=r"^steps\[1\] \(notch\) works on value"):
        check_chain(wrong, "eeg", "classify", tokens)
