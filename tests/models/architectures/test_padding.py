"""What stands after a row's end does not matter, even where it is no number."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.models.architectures.test_architectures import VARIANTS
from tests.models.long_batches import batch_of, model_of

OF_VALUES = {
    name: (task, config)
    for name, (task, config) in VARIANTS.items()
    if task != "next" and config.input != "one_hot"
}


@pytest.mark.parametrize("fill", [math.nan, math.inf])
@pytest.mark.parametrize("name", OF_VALUES)
def test_padding_that_is_no_number_does_not_change_output(name: str, fill: float) -> None:
    """Whoever fills values with NaN means that they are not there; a weight of 0 hides none."""
    task, config = OF_VALUES[name]
    model = model_of(config, task, tokens=False, dtype=torch.float32).eval()
    batch = batch_of(task, (17, 1, 23, 9, 4), tokens=False, dtype=torch.float32)
    real = torch.arange(23) < batch.lengths[:, None]
    filled = replace(batch, inputs=batch.inputs.masked_fill(~real[:, :, None], fill))
    wanted, found = model(batch), model(filled)
    if wanted.ndim == 3 and batch.target_tokens is None:
        wanted, found = wanted[real], found[real]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", OF_VALUES)
def test_real_steps_of_zeros_are_read(name: str) -> None:
    """A mask made of values would take them for padding (mistake 2): only lengths say what is."""
    task, config = OF_VALUES[name]
    model = model_of(config, task, tokens=False, dtype=torch.float32).eval()
    batch = batch_of(task, (23, 23), tokens=False, dtype=torch.float32)
    zeros, specks = (batch.inputs.clone() for _ in range(2))
    zeros[:, 5:], specks[:, 5:] = 0.0, 1e-7
    wanted, found = (model(replace(batch, inputs=x)) for x in (specks, zeros))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
