"""The page of a length study: the named length, plots and table, as Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.length_study.budget import Plan
from flows.length_study.exponent import Exponent
from flows.length_study.looked_back import LookedBack
from flows.length_study.table import Row, cells, head
from flows.reporting import web_page
from flows.reporting.reports import markdown_table
from flows.study import kept_epoch
from seqprep.snapshot import replace_bytes

IMAGES = {
    "score.png": "Score at each length",
    "lag.png": "How far back the model looks",
    "costs.png": "Time and memory at each length",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a page says.

    Args:
        dataset: its name. measure: the score. unit: what a step is.
        verdict: the named length and its doubt. rows: of the lengths.
        baseline: the cheap estimator beside them.
        exponent: of time in length. back: the gradient by lag.
        failed: lengths whose training failed, with the reason.
        left_out: steps of the file that set a length themselves.
        meaning: what a cut is. plan: what was trained.
        took_s: seconds that it took; None where some of it was found again.
        select_by: which epoch of a training is kept, as in the pipeline file.
    """

    dataset: str
    measure: str
    unit: str
    verdict: str
    rows: Sequence[Row]
    baseline: str | None
    exponent: Exponent | None
    back: LookedBack
    failed: dict[str, str]
    left_out: Sequence[str]
    meaning: str
    plan: Plan
    took_s: float | None
    select_by: str


def write_pages(folder: Path, told: Told) -> None:
    """Write `lengths.md` and `lengths.html`; the plots lie beside them."""
    replace_bytes(folder / "lengths.md", _markdown(told).encode())
    replace_bytes(folder / "lengths.html", _html(folder, told).encode())


def _title(told: Told) -> str:
    return f"{told.dataset}: how long must records be?"


def _markdown(told: Told) -> str:
    top = head(told.measure, told.baseline)
    parts = [f"# {_title(told)}", told.verdict]
    parts += [f"![{text}]({name})" for name, text in IMAGES.items()]
    parts.append(f"## Each length\n\n{markdown_table(top, [cells(row) for row in told.rows])}")
    for title, lines in _lists(told):
        parts.append(f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def _html(folder: Path, told: Told) -> str:
    """The same as one file, its pictures inside."""
    top = head(told.measure, told.baseline)
    parts = [web_page.verdict(told.verdict)]
    parts += [web_page.picture(folder / name, text) for name, text in IMAGES.items()]
    parts.append(web_page.heading("Each length"))
    parts.append(web_page.table(top, [cells(row) for row in told.rows], numbers=True))
    for title, lines in _lists(told):
        parts += [web_page.heading(title), web_page.points(lines)]
    return web_page.document(_title(told), parts)


def _lists(told: Told) -> list[tuple[str, list[str]]]:
    found = [("How to read it", _reading(told)), ("How it was done", _how(told))]
    if told.failed:
        lines = [f"{name}: {why}" for name, why in told.failed.items()]
        found.append(("Failed, or not begun", lines))
    return found


def _reading(told: Told) -> list[str]:
    lines = [
        f"{told.meaning} A step is {told.unit}, as the recipe of the file makes it.",
        "Where the score stops rising, more steps tell nothing new to this model. Where it falls "
        "again, the steps hold no less, but are harder to learn from in as many updates.",
        _of_time(told.exponent),
        f"The gradient is that of {told.back.records:,} validation records: where it is high, the "
        f"model's answer hangs on those steps. {_reach(told.back)}",
    ]
    if told.rows[-1].chance is not None:
        lines.append(
            f"Chance is the {told.measure} of an answer that looks at no record: "
            f"{told.rows[-1].chance:.3f}. The baseline is fitted on the same cut records."
        )
    return lines


def _reach(back: LookedBack) -> str:
    steps = back.reach.get(0.9)
    return f"Nine tenths of it lie in the last {steps:,} steps." if steps else ""


def _of_time(exponent: Exponent | None) -> str:
    return "Time: " + of_time(exponent) + "."


def of_time(exponent: Exponent | None) -> str:
    """How time grows with length, in words."""
    if exponent is None:
        return "too few lengths with updates of equal rows to say how it grows"
    error = exponent.standard_error
    shown = f"{exponent.value:.2f}" + (
        f" (standard error {error:.2f})" if error is not None else " (of two lengths)"
    )
    fixed = f"{exponent.fixed:.2g} s at any length, and beyond that " if exponent.fixed else ""
    return (
        f"an update takes {fixed}time as the steps of its rows to the power {shown}; 1 is linear, "
        "as an LSTM is, 2 would be quadratic"
    )


def _how(told: Told) -> list[str]:
    plan, updates = told.plan, sorted(set(told.plan.updates.values()))
    each = f"{updates[0]:,}" if len(updates) == 1 else f"{updates[0]:,} to {updates[-1]:,}"
    lines = [
        f"Every training reads the training records {plan.passes:,.3g} times, in {each} updates of "
        f"{plan.rows:,} rows, with the file's own model and learning rate. "
        + kept_epoch(told.select_by),
        f"Each length was to have {plan.seeds} seed{'s'[: plan.seeds != 1]}. The length is chosen "
        "on validation records alone; intervals are a bootstrap over records, with Student's t "
        "for the seeds. Test scores stand beside.",
        "Memory is what the process grew by from its first update on. Seconds of an update are "
        "those of the quickest seed; what else the machine does can only add to them.",
        f"Expected to take {plan.seconds / 60:,.1f} minutes"
        + (f", took {told.took_s / 60:,.1f}." if told.took_s else "; some of it was there before."),
    ]
    if told.left_out:
        names = ", ".join(told.left_out)
        lines.insert(0, f"Left out of the file, since the study sets the length itself: {names}.")
    return lines
