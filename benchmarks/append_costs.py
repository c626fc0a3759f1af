"""What an append costs, in its parts: a constant, what grows with the store, what is new.

Appending a few short records was measured with a store and with one of a tenth of its files:

    few(tenth) = constant + known(tenth) * each,    few(whole) = constant + known(whole) * each

where known counts files for ingest and records for prepare. So an append is the constant, what is
known times `each`, and the one percent itself. The aim is on the last two together: what grows is
no constant start-up.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.common import facts_line

AIM = 0.03
"""Of the cost of everything, for what is known and what is new."""
FIGURES = ("full_whole", "few_tenth", "few_whole", "append_whole")


def medians(repeats: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """For each case the median of its seconds over the repeats, and what follows from them."""
    cases = [
        {**runs[0], **{name: statistics.median(run[name] for run in runs) for name in FIGURES}}
        for runs in zip(*repeats, strict=True)
    ]
    return [{**case, **parts(case)} for case in cases]


def parts(case: Mapping[str, Any]) -> dict[str, float]:
    """An append as constant, known and new, in seconds, and their shares of `full`.

    >>> seconds = {"full_whole": 10.0, "few_tenth": 0.3, "few_whole": 1.2, "append_whole": 1.3}
    >>> found = parts({"known": 1000, "known_tenth": 100, **seconds})
    >>> {name: round(value, 3) for name, value in found.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'each_us': 1000.0, 'constant_s': 0.2, 'known_s': 1.0, 'new_s': 0.1, 'raw_share': 0.13,
     'new_share': 0.01, 'share': 0.11}
    """
    each = (case["few_whole"] - case["few_tenth"]) / (case["known"] - case["known_tenth"])
    known = each * case["known"]
    constant = case["few_whole"] - known
    new = case["append_whole"] - case["few_whole"]
    return {
        "each_us": 1e6 * each,
        "constant_s": constant,
        "known_s": known,
        "new_s": new,
        "raw_share": case["append_whole"] / case["full_whole"],
        "new_share": new / case["full_whole"],
        "share": (known + new) / case["full_whole"],
    }


def markdown(body: dict[str, Any]) -> str:
    """The table of results."""
    lines = [
        "## Appending one percent",
        "",
        "CPU seconds. `full`: 99 % of the files, all new. `append`: one percent more, of which "
        "`constant` is there at any size, `known` grows with what the store holds (files for "
        "ingest, records for prepare; `each` of them so many microseconds), and `new` is the one "
        "percent itself. They are told apart by appending a few records, at most a tenth of the "
        "percent, to this store and to one of a tenth of its files. Shares are of `full`: of all "
        f"of `append`, of `new`, and of `known` and `new` together, whose aim is {AIM:.0%}: what "
        "grows with the store is no constant. Where there are few files, `each` is noise. "
        "`shards` are the files that the few records and the one percent add: a file costs its "
        "milliseconds however little is in it, so `new` holds those that the few did not reach.",
        "",
        f"Input {body['size_mb']:g} MB each, {body['processes']} processes, median of "
        f"{body['repeats']}; {facts_line(body['environment'])}",
        "",
        "| input | stage | files | records | full | append | constant | known | each, µs | new "
        "| shards | append, share | new, share | known and new, share | aim |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in body["cases"]:
        names = ("full_whole", "append_whole", "constant_s", "known_s")
        figures = " | ".join(f"{case[name]:.2f}" for name in names)
        shares = " | ".join(f"{case[name]:.1%}" for name in ("raw_share", "new_share", "share"))
        lines.append(
            f"| {case['input']} | {case['stage']} | {case['files']:,} | {case['records']:,} "
            f"| {figures} | {case['each_us']:.1f} | {case['new_s']:.2f} "
            f"| {case['shards']['few']}, {case['shards']['append']} | {shares} "
            f"| {'met' if case['share'] <= AIM else 'missed'} |"
        )
    return "\n".join(lines) + "\n"
