"""What each key of the pipeline file means, from the docstrings, for JSON Schema and run forms.

The dataclasses say it once, under `Args:`, where `a, b: text` stands for both and
`a: text. c: text` or `a: text; c: text` for one after the other.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import fields
from typing import Any

_END = re.compile(r"\n(?:Returns\b|Raises\b|Source\b|\s*>>>).*", re.DOTALL)
_ARGS = "\nArgs:\n"


def describe(schema: dict[str, Any], class_: type) -> None:
    """Put the docstring's words for each field into a dataclass's schema, in place.

    Args:
        schema: of the class, as pydantic made it.
        class_: a dataclass.
    """
    for holder in reversed(class_.__mro__[:-1]):  # what a class inherits, its base describes
        head, _, arguments = _END.sub("", inspect.cleandoc(holder.__doc__ or "")).partition(_ARGS)
        schema["description"] = _one_line(head)
        names = [field.name for field in fields(class_)]
        for name, meaning in meanings(arguments, names).items():
            place = schema.get("properties", {}).get(name.rstrip("_"))
            if place is not None:
                place["description"] = meaning


def meanings(arguments: str, names: Collection[str]) -> dict[str, str]:
    r"""What the part of a docstring under `Args:` says of each name.

    >>> meanings("    a: how many;\n        at least 1. b, c: of a: more.", ["a", "b", "c"])
    {'a': 'how many; at least 1', 'b': 'of a: more', 'c': 'of a: more'}
    """
    entries = re.sub(r"^ {4}", "", re.sub(r"\n {8}", " ", arguments), flags=re.MULTILINE)
    name = "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True)) or r"(?!)"
    begin_of = re.compile(rf"(?:^|(?<=[.;] ))((?:{name})(?:, (?:{name}))*): ", re.MULTILINE)
    begins = list(begin_of.finditer(entries))
    ends = [begin.start() for begin in begins[1:]] + [len(entries)]
    found: dict[str, str] = {}
    for begin, end in zip(begins, ends, strict=False):
        meaning = entries[begin.end() : end]
        for one in begin[1].split(", "):
            found.setdefault(one, _one_line(meaning).rstrip(".;"))
    return found


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
