"""A pipeline as the YAML that a person would have written: only what differs from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import yaml

from flows.pipeline_file import Pipeline, build


def to_yaml(spec: Pipeline, *, comment: str) -> str:
    """The text of a pipeline file; relative paths stay as they are.

    Args:
        spec: the pipeline.
        comment: its first line.

    >>> from seqprep.source import Source
    >>> spec = Pipeline(dataset="reviews", source=Source(domain="text", path="/data/reviews"))
    >>> print(to_yaml(spec, comment="Film reviews."), end="")
    # Film reviews.
    dataset: reviews
    source: {domain: text, path: /data/reviews}
    """
    body = _shortened(spec)
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, default_flow_style=None)
    assert build(yaml.safe_load(text)) == spec, "a default is not what was left out"
    return f"# {comment}\n{text}"


def in_one_line(options: Mapping[str, Any]) -> str:
    """Options as they stand in a pipeline file.

    >>> in_one_line({"drop_top": 200, "bands": {"alpha": (8.0, 13.0)}})
    '{drop_top: 200, bands: {alpha: [8.0, 13.0]}}'
    """
    return yaml.safe_dump(
        _shortened(dict(options)),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=float("inf"),
    ).strip()


def _shortened(value: Any) -> Any:
    """Plain mappings and lists, without the keys that have their default."""
    if is_dataclass(value):
        own = {item.name: getattr(value, item.name) for item in fields(value)}
        short = {f.name: _shortened(own[f.name]) for f in fields(value) if own[f.name] != f.default}
        return {k.rstrip("_"): v for k, v in short.items() if v or not is_dataclass(own[k])}
    if isinstance(value, tuple | list):
        return [_shortened(one) for one in value]
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    return value
