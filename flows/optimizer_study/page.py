"""The page of the study: findings, plots and tables, as Markdown and HTML, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.comparison.table import Cheap
from flows.optimizer_study.curves import SETTLED, SPIKE
from flows.optimizer_study.plan import Plan
from flows.optimizer_study.speed import EARLY, Pair
from flows.optimizer_study.table import Row
from flows.reporting import web_page
from flows.reporting.reports import markdown_table
from flows.study import kept_epoch
from seqprep.snapshot import replace_bytes

IMAGES = {
    "overlaid.png": "Training loss of all variants, first seed",
    "training.png": "The same, one panel an optimiser, all seeds",
    "held_out.png": "Validation loss against updates",
    "held_out_seconds.png": "Validation loss against seconds",
}
HEAD = (
    *("variant", "training loss", "validation loss", "test", "95 % interval"),
    *("segments", "million steps", "training, s", "seeds"),
)
SPIKE_HEAD = (
    *("variant", "largest jump", "at update", "largest late jump", "at update", "spikes"),
    "updates clipped",
)
SPEED_HEAD = (
    *("variant", "loss that both reach", "loss", "updates", "without", "steps", "without"),
    *("seconds", "without", "times as fast"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a page says.

    Args:
        dataset: its name. measure: of the test records. records: of test.
        findings: sentences. rows: of variants. pairs: with and without a schedule.
        cheap: baselines.
        failed: trainings that failed, with the reason.
        plan: what was trained. seeds: of each variant.
        took_s: seconds that it took; None where some of it was there before.
        select_by: which epoch of a training is kept, as in the pipeline file.
    """

    dataset: str
    measure: str
    records: int
    findings: Sequence[str]
    rows: Sequence[Row]
    pairs: Sequence[Pair]
    cheap: Sequence[Cheap]
    failed: Mapping[str, str]
    plan: Plan
    seeds: int
    took_s: float | None
    select_by: str

    @property
    def title(self) -> str:
        """Of the page."""
        return f"{self.dataset}: optimiser, clipping and schedule of segments"


Table = tuple[str, Sequence[str], list[list[str]]]


def write_pages(folder: Path, told: Told) -> None:
    """Write `optimizers.md` and `optimizers.html`; the plots lie beside them."""
    replace_bytes(folder / "optimizers.md", markdown(told).encode())
    replace_bytes(folder / "optimizers.html", _html(folder, told).encode())


def markdown(told: Told) -> str:
    """The page as Markdown."""
    parts = [f"# {told.title}", *told.findings]
    parts += [f"![{text}]({name})" for name, text in IMAGES.items()]
    parts += [f"## {title}\n\n{markdown_table(head, rows)}" for title, head, rows in tables(told)]
    parts.append("## How it was done\n\n" + "\n".join(f"- {line}" for line in _how(told)))
    return "\n\n".join(parts) + "\n"


def _html(folder: Path, told: Told) -> str:
    """The same as one file, its pictures inside."""
    parts = [web_page.verdict(text) for text in told.findings]
    parts += [web_page.picture(folder / file, text) for file, text in IMAGES.items()]
    for title, head, rows in tables(told):
        parts += [web_page.heading(title), web_page.table(head, rows, numbers=True)]
    parts += [web_page.heading("How it was done"), web_page.points(_how(told))]
    return web_page.document(told.title, parts)


def tables(told: Told) -> list[Table]:
    """Titles, heads and cells."""
    cheap = [[f"*{c.name}*", "", "", _of(c.test), *[""] * 5] for c in told.cheap]
    found: list[Table] = [
        (
            f"Losses at the end, and {told.measure} of {told.records:,} test records",
            HEAD,
            [*map(_cells, told.rows), *cheap],
        ),
        ("Spikes of the training loss", SPIKE_HEAD, [*map(_spike_cells, told.rows)]),
    ]
    if told.pairs:
        found.append(("With a schedule and without", SPEED_HEAD, [*map(_speed_cells, told.pairs)]))
    if told.failed:
        found.append(("Failed", ("training", "why"), [[k, v] for k, v in told.failed.items()]))
    return found


def _of(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _cells(row: Row) -> list[str]:
    return [
        row.variant,
        _of(row.final_loss),
        _of(row.validation_loss),
        _of(row.test),
        f"{row.low:.4f} to {row.high:.4f}",
        ", ".join(map(str, row.segments)) or "whole rows",
        f"{row.steps / 1e6:,.2f}",
        f"{row.train_seconds:,.0f}",
        f"{row.seeds}",
    ]


def _spike_cells(row: Row) -> list[str]:
    share = f"{row.clipped_share:.0%}" if row.clip != "none" else ""
    jumps = [f"{row.jump:.4f}", f"{row.at:,}", f"{row.late_jump:.4f}", f"{row.late_at:,}"]
    return [row.variant, *jumps, f"{row.spikes:.3g}", share]


def _speed_cells(pair: Pair) -> list[str]:
    return [
        pair.variant,
        pair.of,
        _of(pair.loss),
        f"{pair.updates:,.0f}",
        f"{pair.whole_updates:,.0f}",
        f"{pair.steps:,.0f}",
        f"{pair.whole_steps:,.0f}",
        f"{pair.seconds:,.1f}",
        f"{pair.whole_seconds:,.1f}",
        f"{pair.speed_up:.2g}",
    ]


def _how(told: Told) -> list[str]:
    plan = told.plan
    took = "some of it was there before" if told.took_s is None else f"took {told.took_s / 60:,.1f}"
    scaled = "Losses are squared errors in variances of the training targets: always answering "
    lines = [
        f"Every variant gets the same {plan.updates:,} updates with {told.seeds} seeds "
        f"({plan.trainings} trainings); learning rate, model and data are the file's. An update "
        "of whole rows reads more steps than one of short segments, and takes longer.",
        f"Curves of the training loss are means over the last {plan.window:,} updates, behind them "
        "the range of single ones; the first seed is bold, others are thin.",
        "A jump is the rise of the loss from an update to the next; it is late after the first "
        f"{SETTLED:.0%} of the updates, in which the loss falls by orders; a spike is over "
        f"{SPIKE:g} times the median of the {plan.window:,} updates before it. Some of both come "
        "from the data whatever the optimiser does: records differ in difficulty, and the first "
        "segments of an epoch have no state to go on from. Variants with and without clipping saw "
        "the same batches.",
        f"{kept_epoch(told.select_by)} It is scored once on the test records; its interval is a "
        "bootstrap over records, with Student's t for the seeds.",
        f"With a schedule and without: the lowest training loss that both have in the first "
        f"{EARLY:.0%} of their updates, and the lowest validation loss that both ever have; "
        "seconds are of learning alone, on one thread beside the other trainings.",
        f"Expected to take at most {plan.seconds / 60:,.1f} minutes, {took}.",
    ]
    if told.measure == "rmse":
        lines.insert(1, scaled + "their mean gives 1 on the training rows.")
    return lines
