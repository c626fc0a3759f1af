"""Options that bundles of earlier versions hold, as this version reads them. Standard library only.

Earlier versions wrote null for options of models that they could not build; those options have a
value of their own now, which no model of that time reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ONCE_NULL = ("parts", "merge", "second_backwards", "chunk", "upper_hidden")


def model_options(options: Any) -> Any:
    """The model's options without those that were once null.

    >>> model_options({"name": "lstm", "parts": None, "code_every": None})
    {'name': 'lstm', 'code_every': None}
    """
    if not isinstance(options, Mapping):
        return options
    return {
        key: value for key, value in options.items() if not (key in _ONCE_NULL and value is None)
    }


def pipeline_options(pipeline: dict[str, Any]) -> dict[str, Any]:
    """A pipeline with its model's options read so."""
    train = pipeline.get("train")
    if not isinstance(train, Mapping) or "model" not in train:
        return pipeline
    return pipeline | {"train": {**train, "model": model_options(train["model"])}}
