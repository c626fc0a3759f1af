"""The commands of the guide, run as a reader would: in order, in a folder with the sample data.

A block ```console holds commands behind `$ ` and what they print; a line `...` stands for any
lines. `yaml title="x.yaml"` blocks are files that the reader writes. A comment before a block says
more: `<!-- slow -->`: more than a second or two, or it needs what a slow one made;
`<!-- tested by tests/x.py::test_y -->`: run by that test, as it needs a server or a cluster.

`python -m tests.docs.console docs/dna.md` runs a page and writes what is printed into it, where it
differs; with `--quick` only what takes a second or two.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

GUIDE = ROOT / "docs"
SAMPLES = ("dna", "text", "eeg", "translate", "*.yaml")
_BLOCK = re.compile(
    r"(?:<!-- (?P<note>slow|tested by [^>]+?) -->\n+)?"
    r"```(?P<language>console|bash|yaml)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_MASKS = [
    (re.compile(r"[━─═]+|[┏┡└┗╭╰][^\n]*"), "-"),  # borders are as wide as the numbers between
    (re.compile(r"\b\d{4}-\d\d-\d\d\b|\b\d\d:\d\dZ"), "WHEN"),
    (re.compile(r"(-[0-9a-f]{12} │.*│) +\d+ +│$", re.MULTILINE), r"\1 SECONDS │"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "HASH"),
    (re.compile(r"\b[\d,]+ (steps/s|MB)"), r"N \1"),
    (re.compile(r"gradient [\d.]+(?: clipped to [\d.]+)?"), "gradient X"),
    (re.compile(r"[-+]?\b\d[\d,]*\.\d+%?"), "X"),  # scores and seconds differ between machines
    (re.compile(r"[ \t]+"), " "),
]
_PROGRESS = re.compile(
    r"^(?:[\w-]+: [\w ]+: .* \d+ of [\d,]+.*|starting Prefect.*)\n", re.MULTILINE
)
"""Printed every few seconds, so more or less often; and only without a server."""
_EPOCHS = re.compile(r"(^ +epoch 1:.*\n)(?: +epoch .*\n)+(?= +epoch)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A block of a page.

    Args:
        line: where it stands, from 1. language: console, bash or yaml. title: of a file.
        body: its text. note: what the comment before it says; "" without one. span: of the body.
    """

    line: int
    language: str
    title: str | None
    body: str
    note: str
    span: tuple[int, int]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            title=found["title"],
            body=found["body"],
            note=found["note"] or "",
            span=found.span("body"),
        )
        for found in _BLOCK.finditer(text)
    ]


def commands(body: str) -> Iterator[tuple[str, str]]:
    r"""Each command of a console block, and what is shown below it.

    >>> list(commands("$ echo a\\\n  b\nab\n$ true\n"))
    [('echo a\\\n  b', 'ab\n'), ('true', '')]
    """
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        size = next((n for n, line in enumerate(lines) if not line.endswith("\\\n")), 0) + 1
        yield "".join(lines[:size]).rstrip("\n"), "".join(lines[size:])


def folder_of_a_reader(place: Path, *, code: Path = ROOT) -> Path:
    """A folder with the sample data, and the command of some checkout on the way to it."""
    for pattern in SAMPLES:
        for found in (ROOT / "data").glob(pattern):
            copy = shutil.copytree if found.is_dir() else shutil.copyfile
            (place / "data").mkdir(exist_ok=True)
            copy(found, place / "data" / found.name)
    command = place / ".bin" / "seqprep"
    command.parent.mkdir()
    start = f'PYTHONPATH={code} exec {sys.executable} -c "from flows.cli import main; main()"'
    command.write_text(f'#!/bin/sh\n{start} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return place


def run(command: str, folder: Path) -> tuple[int, str]:
    """Exit status and all that a command prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment = kept | {
        "PATH": f"{folder / '.bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "88",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # on a busy machine
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return done.returncode, done.stdout.replace(str(folder), "/home/me")


def masked(text: str) -> str:
    """What stays the same from machine to machine."""
    text = _PROGRESS.sub("", text)
    for pattern, stand_in in _MASKS:
        text = pattern.sub(stand_in, text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip(" -"))


def matches(shown: str, printed: str) -> bool:
    r"""Whether a command printed what the page shows.

    >>> matches("a 0.5 s\n...\nc\n", "a 0.25 s\nb\nb\nc\n"), matches("a\n", "a\nb\n")
    (True, False)
    """
    parts = [masked(part) for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)]
    pattern = r"(?:.*\n)?".join(re.escape(f"{part}\n") if part else "" for part in parts)
    found = masked(printed)
    return re.fullmatch(pattern, f"{found}\n" if found else "", re.DOTALL) is not None


def _write(page: Path, folder: Path, *, quick: bool) -> None:
    text, moved = page.read_text(encoding="utf-8"), 0
    for block in blocks(page):
        if block.language == "yaml" and block.title:
            (folder / block.title).write_text(block.body, encoding="utf-8")
        if block.language != "console" or block.note not in ("", *(() if quick else ("slow",))):
            continue
        parts = []
        for command, shown in commands(block.body):
            printed = run(command, folder)[1]
            short = _EPOCHS.sub(r"\1...\n", _PROGRESS.sub("", printed))
            same = shown if matches(shown, printed) else short
            parts.append(f"$ {command}\n" + re.sub(r"[ \t]+$", "", same, flags=re.MULTILINE))
        start, end = (place + moved for place in block.span)
        text = text[:start] + "".join(parts) + text[end:]
        moved += len("".join(parts)) - len(block.body)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in set(sys.argv[1:]) - {"--quick"}:
        with tempfile.TemporaryDirectory() as place:
            _write(Path(name), folder_of_a_reader(Path(place)), quick="--quick" in sys.argv)
