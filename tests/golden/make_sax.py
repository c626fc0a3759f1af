"""Write `sax.json`: block means and symbols of small series as another implementation gives them.

Run `pip install pyts` in an environment of its own, then `python make_sax.py` here. The file says
which version gave it. The series are drawn here, so that nothing but their values is kept.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = (24, 30, 18)
"""Multiples of every block: pyts lets blocks overlap where they do not fit."""
BLOCKS = ((3, 4), (1, 8), (6, 5))
"""Steps a block and letters."""
SEGMENTS = (5, 7)


def main() -> None:
    """Draw the series, ask pyts, write the file."""
    rng = np.random.default_rng(11)
    rows = [np.round(np.cumsum(rng.normal(0, 1, steps)), 2).tolist() for steps in LENGTHS]
    cases = [case for number in range(len(rows)) for case in answers(number, rows[number])]
    body = {"made_by": f"pyts {version('pyts')}", "rows": rows, "cases": cases}
    text = json.dumps(body).replace('{"row"', '\n{"row"')
    Path(__file__).with_name("sax.json").write_text(text + "\n")


def answers(number: int, row: list[float]) -> list[dict[str, Any]]:
    """What pyts makes of one series."""
    # Imported where it is used: the tests read this folder without it.
    from pyts.approximation import (
        PiecewiseAggregateApproximation,
        SymbolicAggregateApproximation,
    )
    from pyts.preprocessing import StandardScaler

    series = np.array([row])
    cases: list[dict[str, Any]] = []
    for block, alphabet in BLOCKS:
        paa = PiecewiseAggregateApproximation(window_size=block)
        sax = SymbolicAggregateApproximation(n_bins=alphabet, strategy="normal", alphabet="ordinal")
        symbols = sax.transform(paa.transform(StandardScaler().transform(series)))[0]
        means = np.round(paa.transform(series)[0], 9)
        case = {"row": number, "block": block, "alphabet": alphabet}
        cases.append({**case, "means": means.tolist(), "symbols": symbols.tolist()})
    for segments in SEGMENTS:
        paa = PiecewiseAggregateApproximation(
            window_size=None, output_size=segments, overlapping=False
        )
        means = np.round(paa.transform(series)[0], 9)
        cases.append({"row": number, "segments": segments, "means": means.tolist()})
    return cases


if __name__ == "__main__":
    main()
