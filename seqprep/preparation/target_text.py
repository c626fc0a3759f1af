"""Target text to target tokens, and the steps that shorten it (CONTRACT 13).

Steps under `prepare.steps` never touch the target. Under `prepare.target_steps` it may be
truncated; what chooses by token or draws at random would ask for another answer than the record's.

Legend: R records.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.kernels import cut_spans
from seqprep.recipe import Prepare
from seqprep.schema import Task
from seqprep.tokens import Encoded, encode
from seqprep.transforms import build_step
from seqprep.transforms.truncate import Truncate


def target_steps(recipe: Prepare, *, task: Task) -> tuple[Truncate, ...]:
    """The checked steps on the target text.

    Raises:
        ConfigError: for a technique that does not fit a target, or where the task has none.
    """
    if recipe.target_steps and task != "translate":
        raise ConfigError(
            f"prepare.target_steps has a meaning only with task: translate, got task: {task}; "
            "remove it"
        )
    steps = []
    for index, step in enumerate(recipe.target_steps):
        key = f"prepare.target_steps[{index}]"
        ((name, options),) = step.items()
        built = build_step(name, options or {}, key=key)
        if not isinstance(built, Truncate) or built.keep == "random":
            raise ConfigError(
                f"{key}: {name} does not fit a target: what is left must be one part of the "
                "answer, e.g. `truncate: {length: 200, keep: head}`"
            )
        steps.append(built)
    return tuple(steps)


def encode_targets(column: pa.Array | pa.ChunkedArray, recipe: Prepare) -> Encoded:
    """Target tokens of each record, `(R)` rows, after the target steps.

    >>> recipe = Prepare(target_steps=({"truncate": {"length": 2, "keep": "tail"}},))
    >>> found = encode_targets(pa.array(["ACGT", "A"]), recipe)
    >>> [found.tokens[i].as_py() for i in found.ids.values], found.ids.lengths.tolist()
    (['G', 'T', 'A'], [2, 1])
    """
    encoded = encode(column, recipe.target_tokens)
    for step in target_steps(recipe, task="translate"):
        lengths = encoded.ids.lengths
        keys = np.zeros(len(lengths), dtype=np.uint64)
        spans = cut_spans(lengths, length=step.length, keep=step.keep, keys=keys)
        encoded = replace(encoded, ids=ragged.cut(encoded.ids, *spans))
    return encoded
