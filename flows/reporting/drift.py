"""How far appended data has moved from what was fitted: a table and a plot for people."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

from flows.references import Json
from flows.reporting.plots import BLUE, DPI, GREY, LEGEND, ORANGE, save
from flows.reporting.reports import markdown_table
from seqprep.options.drift import Drift
from seqprep.preparation.drift import beyond_chance

ROWS = 20
"""Measures of channels that the table shows: a spectrum has hundreds."""
Measure = tuple[str, float, float, str]


def measures(found: Json, limits: Drift) -> list[Measure]:
    """(what, value, limit, how it is written) of each measure that the data has.

    The limit of a distance is at least what chance may give, as where a refit is advised.

    Args:
        found: one of `Prepared.drift`.
        limits: of the recipe.
    """
    tokens = beyond_chance(found, "token_divergence", limits.tokens)
    lengths = beyond_chance(found, "length_distance", limits.lengths)
    rows = [
        ("tokens never seen", found.get("unseen_share"), limits.unseen, "{:.1%}"),
        ("rows over every bucket", found.get("over_limit_share"), limits.over_limit, "{:.1%}"),
        ("mix of tokens, bits", found.get("token_divergence"), tokens, "{:.3f}"),
        ("lengths, KS distance", found.get("length_distance"), lengths, "{:.3f}"),
    ]
    for name, numbers in found.get("amplitude", {}).items():
        ratio = max(numbers["ratio"], 1 / max(numbers["ratio"], 1e-12))
        rows.append((f"{name}: mean, deviations", numbers["shift"], limits.shift, "{:.2f}"))
        rows.append((f"{name}: spread, factor", ratio, limits.spread, "{:.2f}"))
    return [(what, value, limit, text) for what, value, limit, text in rows if value is not None]


def _largest(found: list[Measure]) -> list[Measure]:
    """The ROWS largest multiples of their limits at most, in the order in which they stood."""
    order = sorted(range(len(found)), key=lambda n: -found[n][1] / max(found[n][2], 1e-12))
    return [found[place] for place in sorted(order[:ROWS])]


def table(done: Json, limits: Drift) -> str:
    """The measures beside their limits, and whether a refit is advised, as Markdown."""
    since = {row[0]: row for row in measures(done["drift"]["since_fit"], limits)}
    rows = []
    found = measures(done["drift"]["now"], limits)
    first = len(found) - 2 * len(done["drift"]["now"].get("amplitude", {}))
    shown = found[:first] + _largest(found[first:])
    for what, value, limit, text in shown:
        _, later, wide, _ = since.get(what, (what, 0.0, limit, text))
        told = sorted({text.format(one) for one in (limit, wide)}, reverse=True)
        over = value > limit or later > wide
        then = text.format(later) if what in since else ""
        rows.append([what, text.format(value), then, ", ".join(told), "over" if over else ""])
    advised = done["refit_advised"]
    verdict = "The state still fits." if advised is None else f"**A refit is advised:** {advised}."
    if len(shown) < len(found):
        count = sum(value > limit for _, value, limit, _ in found)
        rows.append([f"{count:,} of {len(found):,} measures are over", "", "", "", ""])
    counts = [f"{done['drift'][when]['records']:,}" for when in ("now", "since_fit")]
    head = ["training records that joined", "now", "since the fit", "limit", ""]
    return f"{verdict}\n\n{markdown_table(head, [['records', *counts, '', ''], *rows])}"


def plot(path: Path, done: Json, limits: Drift, *, most: int = 12) -> None:
    """Each measure as a multiple of its limit, and the lengths at the fit and since.

    Args:
        path: of the PNG.
        done: what `prepare` said.
        limits: of the recipe.
        most: measures to show, the largest multiples first.
    """
    joined = done["drift"]["now"]
    found = measures(joined, limits)
    ratios = sorted(((value / max(limit, 1e-12), what) for what, value, limit, _ in found))[-most:]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.6, 1.4 + 0.34 * max(len(ratios), 6)), dpi=DPI, layout="constrained"
    )
    names, values = [what for _, what in ratios], [ratio for ratio, _ in ratios]
    colours = [ORANGE if value > 1 else BLUE for value in values]
    bars = left.barh(names, values, color=colours, height=0.6)
    left.bar_label(bars, labels=[f"{value:.2f}" for value in values], padding=4, fontsize=8)
    left.axvline(1, color=GREY, linewidth=1, linestyle="--")
    left.set_xlim(0, max(1.2, *values) * 1.15)
    left.set_xlabel("multiple of the limit")
    shares = joined.get("length_shares")
    if shares is not None:
        edges = shares["edges"]
        right.stairs(shares["fitted"], edges, color=GREY, fill=True, alpha=0.5, label="at the fit")
        right.stairs(shares["joined"], edges, color=BLUE, linewidth=1.5, label="joined now")
        right.set_xlabel("steps of a record")
        right.set_ylabel("share of records")
        figure.legend(*right.get_legend_handles_labels(), **LEGEND)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def write(store: Path, done: Json, limits: Drift) -> Path | None:
    """Write the plot beside the dataset; None where nothing joined.

    Args:
        store: folder of the datasets.
        done: what `prepare` said.
        limits: of the recipe.
    """
    if not done["drift"]["now"]["records"]:
        return None
    path = store / done["dataset"] / "plots" / f"drift-{done['recipe']}-v{done['version']}.png"
    plot(path, done, limits)
    return path
