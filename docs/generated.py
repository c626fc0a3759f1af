"""What the guide takes from the program when it is built, so that it cannot go stale.

A hook of MkDocs. A line `<!-- generated: keys -->` of a page becomes tables of every key of the
pipeline file, from its JSON Schema; `<!-- generated: steps -->` those of the techniques;
`<!-- generated: help COMMAND -->` what `seqprep COMMAND --help` prints;
`<!-- generated: findings -->` the measured results of findings.yaml;
`<!-- generated: decisions -->` the advice of decisions.yaml with what was measured of it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from flows.cli import app
from flows.pipeline_file import json_schema

Json = dict[str, Any]
WIDTH = 88
_WORDS = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_REFERENCE = re.compile(r" \((?:CONTRACT|[LMPS])\W?\d+[^)]*\)")
"""Of the project's own papers, which a reader of the guide does not have."""
_MARK = re.compile(r"^<!-- generated: (\w+) ?(.*) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with every marked line replaced."""
    return _MARK.sub(lambda mark: MAKERS[mark[1]](mark[2]), markdown)


def _keys(_: str) -> str:
    schema = json_schema()
    anchors: dict[str, str] = {}
    found = list(_parts(schema, schema, "", anchors))
    parts = [_table(schema, anchors)]
    for path, part in found:
        anchor = _anchor(path)
        parts.append(f"## `{path}` {{ #{anchor} }}\n\n{_plain(part)}\n\n{_table(part, anchors)}")
    return "\n".join(parts)


def _steps(_: str) -> str:
    steps = json_schema()["$defs"]["Prepare"]["properties"]["steps"]["items"]["oneOf"]
    parts = []
    for ((name, step),) in (one["properties"].items() for one in steps):
        table = _table(step, {}) if step["properties"] else "No options.\n"
        parts.append(f"### `{name}` {{ #step-{name} }}\n\n{_plain(step)}\n\n{table}")
    return "\n".join(parts)


def _help(command: str) -> str:
    out = io.StringIO()
    app.help_print([command], console=Console(file=out, width=WIDTH, color_system=None))
    text = "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
    return f"```text\n{text}\n```"


def _findings(_: str) -> str:
    lines = ["| data | what was done | test score | beside it | lesson |", "|---|---|---|---|---|"]
    for row in _listed("findings"):
        cells = (row[key] for key in ("data", "way", "score", "beside", "lesson"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _decisions(_: str) -> str:
    """Each row of advice with the measured results that name it."""
    lines = ["| the answer lies | try first | not | measured (test) |", "|---|---|---|---|"]
    findings = _listed("findings")
    for row in _listed("decisions"):
        measured = (
            f"{one['data']}: {one['score']} ({one['beside']})"
            for one in findings
            if one.get("answer") == row["answer"]
        )
        cells = (
            row["answer"],
            row["try"],
            row["not"],
            "<br>".join(measured) or "not on public data yet",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _listed(name: str) -> list[dict[str, str]]:
    text = (Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, str]] = yaml.safe_load(text)
    return rows


def _parts(
    schema: Json, part: Json, path: str, anchors: dict[str, str]
) -> Iterator[tuple[str, Json]]:
    """Every mapping below a part by its dotted key, once; `anchors` tells where each stands."""
    for name, key in part["properties"].items():
        for reference in _references(key):
            if reference not in anchors:
                anchors[reference] = _anchor(f"{path}{name}")
                inner = schema["$defs"][reference]
                yield f"{path}{name}", inner
                yield from _parts(schema, inner, f"{path}{name}.", anchors)


def _anchor(path: str) -> str:
    return path.replace(".", "-")


def _references(key: Json) -> list[str]:
    """The parts of the schema that a key's value may be."""
    kinds = [key, *key.get("anyOf", [])]
    kinds += [kind.get("items", {}) for kind in kinds]
    return [kind["$ref"].rpartition("/")[2] for kind in kinds if "$ref" in kind]


def _table(part: Json, anchors: dict[str, str]) -> str:
    lines = ["| key | meaning | value | default |", "|---|---|---|---|"]
    for name, key in part["properties"].items():
        default = "required" if name in part.get("required", ()) else _default(key)
        cells = (f"`{name}`", _plain(key), _kind(key, anchors), default)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _plain(part: Json) -> str:
    """What is said of a part, for a page of Markdown."""
    said = _REFERENCE.sub("", part.get("description", "")).replace("|", "\\|").split("`")
    return "`".join(
        re.sub(r"([*_])", r"\\\1", one) if n % 2 == 0 else one for n, one in enumerate(said)
    )


def _default(key: Json) -> str:
    if _references(key) or "default" not in key:
        return ""
    value = key["default"]
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _kind(key: Json, anchors: dict[str, str]) -> str:
    """What a value may be, in words."""
    if "anyOf" in key:
        kinds = [_kind(one, anchors) for one in key["anyOf"] if one.get("type") != "null"]
        return " or ".join(sorted(dict.fromkeys(kinds), key=lambda kind: kind.startswith("list")))
    if "enum" in key or "const" in key:
        return ", ".join(f"`{one}`" for one in key.get("enum", [key.get("const")]))
    if "$ref" in key:
        return f"[its keys](#{anchors[key['$ref'].rpartition('/')[2]]})"
    if key.get("type") == "array":
        items = key.get("items", {"oneOf": []})
        return "list" if "oneOf" in items else f"list of {_kind(items, anchors)}"
    return _WORDS.get(key.get("type", ""), "any")


MAKERS = {
    "keys": _keys,
    "steps": _steps,
    "help": _help,
    "findings": _findings,
    "decisions": _decisions,
}
