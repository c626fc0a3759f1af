"""The page of a comparison: recommendation, table and plots, as Markdown and HTML, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.comparison.budget import LEAST_UPDATES, MOST_EPOCHS, SEARCH_SHARE, UNITS, Plan
from flows.comparison.course import SEARCHED
from flows.comparison.left import Left
from flows.comparison.scores import TOLD
from flows.comparison.table import (
    EXPLAINED,
    HEAD,
    Cheap,
    Row,
    cells,
    cheap_cells,
    is_unlearnt,
    least_of,
)
from flows.reporting import web_page
from flows.reporting.reports import markdown_table
from flows.study import kept_epoch
from seqprep.snapshot import replace_bytes

DROPPED = "Dropped after the search (a quarter of the updates, one seed)"
IMAGES = {"pareto.png": "Score against training time", "seeds.png": "The seeds behind each score"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a page says.

    Args:
        dataset: its name. measure: what is compared. records: of validation.
        verdict: the recommendation. rows: of strategies. cheap: of baselines.
        left: strategies that do not stand in the table, with the reason.
        plan: what was trained. took_s: seconds that it took; None where it was found again.
        select_by: which epoch of a training is kept, as in the pipeline file.
        winner: path of the pipeline file; None where no way is recommended.
    """

    dataset: str
    measure: str
    records: int
    verdict: str
    rows: Sequence[Row]
    cheap: Sequence[Cheap]
    left: Left
    plan: Plan
    took_s: float | None
    select_by: str
    winner: Path | None


def write_pages(folder: Path, told: Told) -> None:
    """Write `compare.md` and `compare.html`; the plots lie beside them."""
    text = markdown(told)
    replace_bytes(folder / "compare.md", text.encode())
    replace_bytes(folder / "compare.html", _html(folder, told).encode())


def markdown(told: Told) -> str:
    """The page as Markdown."""
    parts = [f"# {told.dataset}: which way of handling long sequences works", told.verdict]
    parts += [_opening(told), *(f"![{text}]({name})" for name, text in IMAGES.items())]
    for title, head, table in _tables(told):
        parts.append(f"## {title}\n\n{markdown_table(head, table)}")
        if head == HEAD:
            parts.append("\n".join(f"- {line}" for line in _columns(told)))
        if title == DROPPED and (text := _unlearnt(told)):
            parts.append(text)
    parts.append("## How it was done\n\n" + "\n".join(f"- {line}" for line in _how(told)))
    parts.append(_file(told))
    return "\n\n".join(parts) + "\n"


def _opening(told: Told) -> str:
    """What was done, for somebody who did not ask for it."""
    tried, full = len(told.rows), sum(row.in_full for row in told.rows)
    where = "down" if told.measure == "rmse" else "up"
    return (
        f"{tried} ways of coping with the length of these records were tried with the same split, "
        f"model sizes and budget; {full} of them were trained in full. Further {where} in the "
        "first plot is better and further left is quicker; in the second, dots of one line that "
        "lie far apart mean that its score is luck of the seed."
    )


def _unlearnt(told: Told) -> str | None:
    """Which of the ways that were dropped had learnt nothing by then: more time may change it."""
    least = least_of(told.cheap)
    rest = [row for row in told.rows if not row.in_full]
    if least is None or not rest:
        return None
    worse = [row for row in rest if is_unlearnt(row.score, least, measure=told.measure)]
    if not worse:
        return None
    return (
        f"{len(worse)} of these {len(rest)} ways were no better than {least.name} when the search "
        "ended: their updates are dear, and they may learn where --minutes allows more of them."
    )


def _file(told: Told) -> str:
    if told.winner is None:
        return "No way is recommended, so there is no pipeline file of it."
    return f"The pipeline file of the recommended way, ready to run: `{told.winner}`"


def _columns(told: Told) -> list[str]:
    return [line.format(measure=TOLD[told.measure]) for line in EXPLAINED]


def _tables(told: Told) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Titles, heads and cells of the tables that have rows."""
    finals = [row for row in told.rows if row.in_full]
    rest = [row for row in told.rows if not row.in_full]
    found: list[tuple[str, Sequence[str], list[list[str]]]] = [
        (
            f"Trained in full, up to {told.plan.seeds} seeds; cheap baselines in italics",
            HEAD,
            [*map(cells, finals), *map(cheap_cells, told.cheap)],
        )
    ]
    if rest:
        head = ["strategy", f"validation {TOLD[told.measure]}", "95 % interval", "what it does"]
        table = [
            [r.strategy, f"{r.score:.3f}", f"{r.low:.3f} to {r.high:.3f}", r.told] for r in rest
        ]
        found.append((DROPPED, head, table))
    what = [[row.strategy, row.told, row.setting] for row in finals]
    found.append(("What they do", ["strategy", "what it does", "found by the search"], what))
    for title, reasons in _reasons(told.left):
        if reasons:
            found.append((title, ["which", "why"], [[k, v] for k, v in reasons.items()]))
    return found


def _reasons(left: Left) -> Sequence[tuple[str, Mapping[str, str]]]:
    return (
        ("Do not fit here", left.refused),
        ("Trainings that failed, or were stopped early", left.failed),
        ("Not begun, or not with all seeds: the time was too short", left.late),
    )


def _how(told: Told) -> list[str]:
    plan = told.plan
    lines = [
        f"Each full training gets the same {UNITS[plan.equal]}: {plan.amount:,.4g}, by the pace of "
        f"its first updates, and at most {MOST_EPOCHS} passes over the rows; the column training "
        f"has the seconds that it took. {kept_epoch(told.select_by)}" + _floored(plan),
        f"Every strategy was tried with {plan.settings} learning rates ({_rates(plan)} times the "
        f"file's) at {SEARCH_SHARE:.0%} of it and one seed; the best {plan.finalists}, `full` and "
        f"the file's own way were trained in full with {plan.seeds} seeds. Of equal scores the "
        "quicker way goes on.",
        f"The choice is made on {told.records:,} validation records. Intervals are a bootstrap "
        "over records, with Student's t for the seeds; those of baselines are Wilson's. Test "
        "scores were not looked at before.",
        "The best of many scores is lucky, too: the same validation rows chose its "
        f"{'' if told.select_by == 'last' else 'epoch, its '}learning rate and the way itself. "
        "Expect of new records what the test score says.",
        f"Expected to take {plan.seconds / 60:,.1f} minutes"
        + (f", took {told.took_s / 60:,.1f}." if told.took_s else "; some of it was there before."),
    ]
    return lines


def _rates(plan: Plan) -> str:
    return " and ".join(f"{factor:g}" for factor in SEARCHED[: plan.settings])


def _floored(plan: Plan) -> str:
    """Which ways got more than the others, for fewer updates than a few teach nothing."""
    if not plan.floored:
        return ""
    named = ", ".join(f"{name} ({seconds:,.0f} s)" for name, seconds in plan.floored.items())
    return f" More than that have {named}: {LEAST_UPDATES} updates is the least."


def _html(folder: Path, told: Told) -> str:
    """The same as one file, its pictures inside."""
    title = f"{told.dataset}: which way of handling long sequences works"
    parts = [web_page.verdict(told.verdict), web_page.paragraph(_opening(told))]
    parts += [web_page.picture(folder / file, text) for file, text in IMAGES.items()]
    for name, head, table in _tables(told):
        parts += [web_page.heading(name), web_page.table(head, table, numbers=head == HEAD)]
        if head == HEAD:
            parts.append(web_page.points(_columns(told)))
        if name == DROPPED and (text := _unlearnt(told)):
            parts.append(web_page.paragraph(text))
    parts += [web_page.heading("How it was done"), web_page.points(_how(told))]
    parts.append(web_page.paragraph(_file(told)))
    return web_page.document(title, parts)
