"""Pieces of a study's page as HTML: one file that a person opens in a browser, pictures inside.

The texts are our own, with Markdown's bold, italics and code in them; everything is escaped.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
body{color:#1c2430}
table{border-collapse:collapse;margin:.6rem 0 1.6rem;font-size:13px;display:block;overflow-x:auto}
th,td{padding:.3rem .7rem;border-bottom:1px solid #e4e6ea;text-align:left;vertical-align:top}
td+td{font-variant-numeric:tabular-nums}.numbers td{white-space:nowrap}
th{background:#f4f6f9}img{max-width:100%}.verdict{background:#eef5fb;padding:.8rem 1rem}
"""


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page: its title above the parts, which are HTML already."""
    shown = html.escape(title)
    head = f"<meta charset=utf-8><title>{shown}</title><style>{_STYLE}</style>"
    return f"<!doctype html>{head}\n<h1>{shown}</h1>\n" + "\n".join(parts) + "\n"


def verdict(text: str) -> str:
    """What the page says first, set off."""
    return f'<p class="verdict">{inline(text)}</p>'


def heading(text: str) -> str:
    """The title of a section."""
    return f"<h2>{inline(text)}</h2>"


def paragraph(text: str) -> str:
    """Some sentences."""
    return f"<p>{inline(text)}</p>"


def points(lines: Iterable[str]) -> str:
    """A list, a point a line."""
    return "<ul>" + "".join(f"<li>{inline(line)}</li>" for line in lines) + "</ul>"


def picture(path: Path, text: str) -> str:
    """A PNG inside the page, with what it shows for those who cannot see it."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool) -> str:
    """A table.

    Args:
        head: names of the columns.
        rows: their cells.
        numbers: whether cells are short, so that none may wrap.
    """
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    kind = ' class="numbers"' if numbers else ""
    return f"<table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def inline(text: str) -> str:
    """Markdown's bold, italics and code of our own lines as HTML.

    >>> inline("**a** < `b`")
    '<b>a</b> &lt; <code>b</code>'
    """
    shown = html.escape(text)
    for mark, tag in (("**", "b"), ("*", "i"), ("`", "code")):
        pieces = shown.split(mark)
        if len(pieces) % 2:
            shown = "".join(
                piece if n % 2 == 0 else f"<{tag}>{piece}</{tag}>" for n, piece in enumerate(pieces)
            )
    return shown
