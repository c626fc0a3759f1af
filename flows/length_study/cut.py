"""A pipeline whose records are cut to a length, and what a cut means.

For one answer a record the cut is a `truncate`, behind the file's own stored steps, so that lengths
are counted in the steps that the model reads. Where every step is answered nothing may be cut off:
the record is read in pieces of that length, each by itself, so that no answer sees beyond its own
piece, and all steps are answered at every length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flows.comparison.applied import is_in_training
from flows.comparison.strategy import Step
from flows.pipeline_file import Pipeline, build, to_json
from models.options.model_fits import OF_STEPS

Keep = Literal["tail", "head", "middle", "head_tail"]
"""The part of a record that stays."""
TOLD: dict[str, str] = {
    "tail": "the last {:,} steps",
    "head": "the first {:,} steps",
    "middle": "the middle {:,} steps",
    "head_tail": "{:,} steps, half from each end",
    "pieces": "pieces of {:,} steps",
}
WHOLE = "whole records"
CUTTING = ("truncate", "subsequences", "remove_steps", "windows")
"""Steps of the file that set a length themselves, and are left out."""
MOST_SHIFT = 4
"""A random shift of the start drops at most one in so many steps of a length."""
LEAST_ROWS, ROWS, MOST_STEPS = 8, 32, 2**18
"""Rows of an update: at least, where the file names no number, and steps that they may have."""


def uncut(spec: Pipeline) -> tuple[Pipeline, list[str]]:
    """The pipeline on whole records, and what was left out of the file for it.

    Args:
        spec: as the person wrote it.
    """
    body = to_json(spec)
    names = [next(iter(step)) for step in spec.prepare.steps]
    body["prepare"]["steps"] = [
        step for step, name in zip(spec.prepare.steps, names, strict=True) if name not in CUTTING
    ]
    body["prepare"]["recipe"] = "lengths-whole"
    body["predict"] = {}
    left_out = [name for name in names if name in CUTTING]
    if spec.train.backpropagation.mode == "segments":  # an update would not be so many records
        body["train"]["backpropagation"] = {}
        left_out.append("backpropagation in segments")
    return build(body), left_out


def cut(bare: Pipeline, steps: int, *, keep: Keep | None) -> Pipeline:
    """The pipeline with records of at most so many steps.

    Args:
        bare: on whole records.
        steps: that stay of a record, or that a piece has.
        keep: the part that stays; None: the tail.
    """
    body, part = to_json(bare), part_of(bare, keep)
    if part == "pieces":
        own: Step = {"windows": {"length": steps}}
    else:
        own = {"truncate": {"length": steps, "keep": part}}
    stored = [step for step in bare.prepare.steps if not is_in_training(step)]
    late = [step for step in bare.prepare.steps if is_in_training(step)]
    body["prepare"]["steps"] = [*stored, own, *_gentle(late, steps)]
    body["prepare"]["recipe"] = f"lengths-{part.replace('_', '-')}-{steps}"
    return build(body)


def _gentle(late: Sequence[Step], steps: int) -> list[Step]:
    """Steps of the training that leave most of a short record."""
    found: list[Step] = []
    for step in late:
        ((name, options),) = step.items()
        most = min(options.get("max", 0), steps // MOST_SHIFT)
        if name != "shift":
            found.append(step)
        elif most > 0:
            found.append({name: {**options, "max": most}})
    return found


def part_of(spec: Pipeline, keep: Keep | None) -> str:
    """A key of TOLD: the part that is kept, or pieces where every step is answered."""
    return "pieces" if spec.source.task in OF_STEPS else keep or "tail"


def told(steps: int, part: str, *, longest: int) -> str:
    """A length in a person's words.

    >>> told(64, "tail", longest=900), told(900, "tail", longest=900)
    ('the last 64 steps', 'whole records')
    """
    return WHOLE if steps >= longest else TOLD[part].format(steps)


def rows_an_update(spec: Pipeline, *, longest: int) -> int:
    """Rows of an update, the same at every length, so that times can be held together.

    Args:
        spec: the pipeline.
        longest: length, in steps.
    """
    most = spec.train.max_rows or ROWS
    return min(most, max(LEAST_ROWS, MOST_STEPS // longest))
