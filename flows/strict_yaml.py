"""YAML as the pipeline file allows it: plain data, no key twice, errors with their line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from seqprep.errors import ConfigError

_HINTS = {
    "unknown escape character": (
        "a backslash in double quotes needs another one; write patterns in single quotes, e.g. "
        "pattern: '_(\\w+)$'"
    ),
    r"'\\t' that cannot start": "a tab stands there; indent with spaces only",
    "mapping values are not allowed": (
        "a colon is not expected there; look at the indentation, at a missing space after a colon "
        "in the line above, or put a text that holds a colon into quotes"
    ),
    "expected alphabetic or numeric": (
        "a text that begins with * or & needs quotes, e.g. include: '*.txt'"
    ),
    r"expected ',' or '[]}]'": "a bracket is not closed, or a comma is missing, before this place",
    "expected <block end>": "the line is indented by another number of spaces than its neighbours",
    "could not find expected ':'": "a key needs a colon and a space after it, e.g. `dataset: NAME`",
    "while scanning a quoted scalar": "a quote is not closed",
}
"""What YAML's parser says -> what it means to the person who wrote the file."""


def read(path: Path) -> dict[str, Any]:
    """The content of a pipeline file, which must be keys with values.

    Args:
        path: of the file.

    Returns:
        Plain mappings, lists and scalars.

    Raises:
        ConfigError: with the file, and the line where something is wrong.
    """
    try:
        body = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such pipeline file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if isinstance(body, dict):
        return body
    if body is None:
        found = "the file is empty"
    elif isinstance(body, list):
        found = "it holds a list: take away the `-` at the left edge"
    else:
        found = f"it holds only {body!r}: a key needs a colon and a space after it"
    raise ConfigError(
        f"{path}: a pipeline file is a mapping that starts with `dataset: NAME`; {found}"
    )


def parse(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: saying in one line where the text is no YAML, and what to do.

    >>> parse("{train: 0.8}")
    {'train': 0.8}
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {_meaning(error)}") from error


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice instead of keeping the last."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if not isinstance(key, Hashable):
            raise yaml.YAMLError(f"line {line}: a key must be a word, not a list or a mapping")
        if key in seen:
            raise yaml.YAMLError(f"line {line}: the key {key!r} stands there twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _meaning(error: yaml.YAMLError) -> str:
    """One line: where, and what it means rather than what the parser was about to do."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return re.sub(r"\s+", " ", str(error).replace('in "<unicode string>", ', "at "))
    mark, said = error.problem_mark, f"{error.context} {error.problem}"
    hints = (hint for pattern, hint in _HINTS.items() if re.search(pattern, said))
    return f"line {mark.line + 1}, column {mark.column + 1}: {next(hints, error.problem)}"
