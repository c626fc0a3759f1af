"""Globs on the relative paths of source files, in any case, with `.gz` added by itself.

Use it for `source.include` and `source.exclude`. It looks at names only and opens nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence


def strip_gz(path: str) -> str:
    """The path without a final `.gz`, in any case."""
    return path[:-3] if path[-3:].lower() == ".gz" else path


@functools.lru_cache(maxsize=256)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob as a case-insensitive regular expression on a relative path.

    `*` and `?` stay inside one folder, `**/` is any number of folders; a glob without a slash is
    looked for in every folder.

    >>> bool(glob_pattern("**/*.txt").match("a/B.TXT")), bool(glob_pattern("*.fa").match("x.fas"))
    (True, False)
    """
    text = glob if "/" in glob else f"**/{glob}"
    out, place = "", 0
    for token in re.finditer(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]", text):
        out += re.escape(text[place : token.start()])
        place = token.end()
        fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        out += fixed.get(token[0]) or _character_class(token[0][1:-1])
    out += re.escape(text[place:])
    return re.compile(rf"(?s:{out})\Z", re.IGNORECASE)


def _character_class(inside: str) -> str:
    negated = inside.startswith("!")
    letters = inside[negated:].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
    return f"[{'^' if negated else ''}{letters}]"


def matches(path: str, globs: Sequence[str]) -> bool:
    """Whether one of the globs fits the path, or the path without `.gz`."""
    return matcher(tuple(globs))(path)


@functools.lru_cache(maxsize=64)
def matcher(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """`matches` for many paths: all globs are one expression, which a path is compared with."""
    if not globs:
        return lambda path: False
    match = re.compile("|".join(glob_pattern(glob).pattern for glob in globs), re.IGNORECASE).match

    def fits(path: str) -> bool:
        if match(path):
            return True
        return path[-3:].lower() == ".gz" and match(path[:-3]) is not None

    return fits


def is_excluded(path: str, globs: Sequence[str]) -> bool:
    """Whether the path or a folder on it is excluded."""
    parts = path.split("/")
    return any(matches("/".join(parts[: stop + 1]), globs) for stop in range(len(parts)))
