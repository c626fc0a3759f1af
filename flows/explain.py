"""What is wrong in a pipeline file, in the words of the file: key, value and what may stand there.

pydantic finds where a value does not fit; what it should be is read from the annotations of the
dataclasses, so that a new key needs no message of its own.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from models.options.checks import JobError
from seqprep.errors import ConfigError

SHOWN = 5
"""So many mistakes are told at a time."""
LONGEST = 80
"""Letters of a value that are repeated in a message."""
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
_MISSING = ("missing", "missing_keyword_only_argument")
_YES_NO = " (YAML reads a bare yes or no as true or false)"
_SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_MANY = {int: "whole numbers", float: "numbers", str: "texts"}


def explain(error: ValidationError, root: type) -> str:
    """The first few mistakes, one a line.

    Args:
        error: what pydantic found.
        root: the dataclass that the file should have become.
    """
    found = [_Place(item["loc"], root, item) for item in error.errors()]
    lines: dict[str, str] = {}
    for place in found:
        # Each member of a union complains; the one that went deepest is enough.
        if place.key not in lines and not any(_is_under(other.key, place.key) for other in found):
            lines[place.key] = place.line()
    shown = list(lines.values())[:SHOWN]
    if len(lines) > SHOWN:
        shown.append(f"and {len(lines) - SHOWN} more")
    return "\n  ".join(shown)


def _is_under(key: str, other: str) -> bool:
    return key.startswith((f"{other}.", f"{other}["))


class _Place:
    """One mistake: its key as a person writes it, and what the annotation wants there."""

    def __init__(self, loc: Sequence[int | str], root: type, item: Any) -> None:
        self.item, self.root = item, root
        self.hint: Any = root
        """What may stand at the key; None where nothing is known."""
        self.owner: Any = root
        """The dataclass that the key belongs to."""
        steps = list(loc)
        if item["type"] in _MISSING and isinstance(steps[-1], int):
            steps.pop()  # a list that is too short
        elif item["type"] == "invalid_key":
            steps[-1] = _short(item["input"])
        elif steps[-1:] == ["[key]"]:
            del steps[-2:]  # the name itself is wrong, not what stands at it
        self.key = ""
        for step in steps:
            self._enter(step)

    def _enter(self, step: int | str) -> None:
        members = _members(self.hint)
        kind = next((m for m in members if is_dataclass(m)), None)
        if kind is not None:
            self.owner = kind
            self.hint = _hints(kind).get(str(step))
            self.key += f".{step}" if self.key else str(step)
            return
        for member in members:
            if get_origin(member) is tuple and isinstance(step, int):
                inner = get_args(member)
                self.hint = inner[0] if inner[-1] is Ellipsis else inner[min(step, len(inner) - 1)]
                self.key += f"[{step}]"
                return
            if get_origin(member) is dict:
                self.hint = get_args(member)[1]
                self.key += f".{step}"
                return
        # What is left is pydantic's name of a member of a union.

    def line(self) -> str:
        """The message."""
        kind, value = self.item["type"], self.item["input"]
        if kind in _UNKNOWN:
            return f"{self.key}: unknown key{_nearest(self.key, self.owner)}"
        if kind in _MISSING and not isinstance(self.item["loc"][-1], int):
            wanted = f": {_wanted(self.hint)}" if get_origin(self.hint) is Literal else ""
            return f"{self.key}: this key is required{wanted}"
        if self.item["loc"] and self.item["loc"][-1] == "[key]":
            return (
                f"{self.key}: a name must be text; got {_short(value)}; put it in quotes{_YES_NO}"
            )
        cause = self.item.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError | JobError):
            text, roots = str(cause), tuple(_hints(self.root))
            is_placed = not self.key or text.startswith((self.key, *roots))
            return text if is_placed else f"{self.key}: {text}"
        if value is None and is_dataclass(self.hint):
            return f"{self.key}: nothing stands there; write {_wanted(self.hint)}, or drop the line"
        remedy = _remedy(self.key.rpartition(".")[2], self.hint, value)
        return f"{self.key} must be {_wanted(self.hint)}; got {_short(value)}{remedy}"


def _hints(kind: Any) -> dict[str, Any]:
    """The annotation of each key of a dataclass, as a person writes the key."""
    hints = get_type_hints(kind)
    return {item.name.rstrip("_"): hints[item.name] for item in fields(kind)}


def _members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, without null; of anything else itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(m for m in get_args(hint) if m is not type(None))
    return (hint,)


def _wanted(hint: Any) -> str:
    """What may stand at a key.

    >>> _wanted(int | None), _wanted(tuple[Literal["mean", "max"], ...] | Literal["mean", "max"])
    ('a whole number or null', "one or several of 'mean', 'max'")
    """
    members = _members(hint)
    lists = {get_args(m)[0] for m in members if get_origin(m) is tuple}
    said = []
    for member in members:
        if get_origin(member) is Literal and member in lists:
            said = [f"one or several of {_listed(get_args(member))}"]
        else:
            said.append(_wanted_alone(member))
    if type(None) in get_args(hint):
        said.append("null")
    return " or ".join(said)


def _wanted_alone(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if origin is Literal:
        return f"one of {_listed(inner)}"
    if origin is dict and inner[1] is str:
        return "names in braces, e.g. {found: name}"
    if origin is dict and get_origin(inner[1]) is dict:
        return "one technique with its options, e.g. `truncate: {length: 400}`"
    if origin is dict:
        return "options in braces, e.g. {length: 400}, or {} for none"
    if origin is tuple and inner[-1] is Ellipsis:
        return f"a list{_of(inner[0])}"
    if origin is tuple:
        return f"a list of {len(inner)} {_MANY[inner[0]]}"
    if not is_dataclass(hint):
        return "another value"
    names = list(_hints(hint))
    shown = f"{', '.join(names[:4])} ..." if len(names) > 5 else ", ".join(names)
    return f"keys with their values ({shown})"


def _of(hint: Any) -> str:
    """What a list holds."""
    kinds = [_MANY[member] for member in _members(hint) if member in _MANY]
    if kinds:
        return f" of {' or '.join(kinds)}"
    return f", each {_wanted_alone(hint)}"


def _listed(choices: Sequence[object]) -> str:
    return ", ".join(repr(choice) for choice in choices)


def _short(value: object) -> str:
    """A value as the file shows it, or its beginning."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = str(value) if isinstance(value, date) else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _remedy(name: str, hint: Any, value: object) -> str:
    """What was probably meant, where that can be told."""
    if isinstance(value, date):
        return "; text that looks like a date needs quotes"
    if isinstance(value, bool):
        return _YES_NO
    if not isinstance(value, str):
        return ""
    for member in _members(hint):
        if is_dataclass(member):  # `label: folder` for `label: {from: folder}`
            for key, kind in _hints(member).items():
                if any(value in get_args(m) for m in _members(kind) if get_origin(m) is Literal):
                    return f"; did you mean `{name}: {{{key}: {value}}}`?"
        if get_origin(member) is tuple and str in get_args(member):
            return f"; a list is written [{value}]"
    return ""


def _nearest(key: str, owner: type) -> str:
    names = list(_hints(owner))
    close = difflib.get_close_matches(key.rpartition(".")[2], names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; choose from {', '.join(sorted(names))}"
