"""The text of a flow run's pages about models: how one learned, how good it is, and an overview.

Markdown in plain words, made of plain numbers. One page says one thing. Pure functions; `artifacts`
draws the plots and publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.references import Json
from flows.reporting.data_pages import SHOWN, table
from flows.reporting.reports import (
    best_baseline,
    class_table,
    main_score,
    markdown_table,
    score_table,
    summary,
    training_table,
)

RULE = (
    "A new model becomes current by itself where the 95 % interval of how much better it is lies "
    "above 0; test rows are not looked at."
)


def learning_page(title: str, report: Json, *, pictures: Sequence[str], links: str) -> str:
    """How a model learned.

    Args:
        title: dataset and recipe.
        report: of the training run.
        pictures: Markdown of the learning curves; none where there were no epochs.
        links: to what belongs to it.
    """
    return "\n\n".join([f"# {title}: how it learned", links, *pictures, training_table(report)])


def standing_page(title: str, *, why: str, links: str, beside: str) -> str:
    """Why nothing was trained.

    Args:
        title: dataset and recipe.
        why: what was decided, and from which figures.
        links: to what belongs to it.
        beside: Markdown with the models of the dataset.
    """
    told = f"{why[:1].upper()}{why[1:]}. {links}"
    return f"# {title}: why nothing was trained\n\n{told}\n\n## The models\n\n{beside}"


def told_of_learning(report: Json, *, reused: bool) -> str:
    """The training, in one line."""
    if reused:
        return "Nothing has changed: the model that was trained before is used again"
    train = report["train"]
    best = train.get("best_epoch")
    kept = "" if best is None else f", epoch {best} kept"
    return f"{train['epochs']:,} epochs in {train['seconds']:,.1f} s{kept}"


def scores_page(
    title: str,
    report: Json,
    *,
    pictures: Sequence[str],
    links: str,
    beside: str,
    left: Json,
) -> str:
    """How good a model is, beside baselines and the current model.

    Args:
        title: dataset and recipe.
        report: of the training run.
        pictures: Markdown of the confusion matrix.
        links: to what belongs to it.
        beside: Markdown that compares it with the other models of the dataset.
        left: what the training said: where bundle and report lie.
    """
    parts = [f"# {title}: how good it is", summary(report), links]
    for split in ("test", "validation"):
        if split in report["metrics"]:
            parts.append(f"## {split.capitalize()} scores\n\n{score_table(report, (split,))}")
    if beside:
        parts.append("## Beside the other models\n\n" + beside)
    parts += [f"## Confusion matrix, test\n\n{picture}" for picture in pictures]
    if report.get("per_class", {}).get("test"):
        parts.append("## Classes, test\n\n" + class_table(report["per_class"]["test"]))
    return "\n\n".join([*parts, "## Where it lies\n\n" + table(_places(left))])


def _places(left: Json) -> list[list[str]]:
    return [["bundle", f"`{left['bundle']}`"], ["report", f"`{left['report']}`"]]


def told_of_scores(report: Json, *, is_current: bool) -> str:
    """The main test score, the best baseline and what became of the model, in one line."""
    test = report["metrics"].get("test", {})
    key, best = main_score(test), best_baseline(report)
    score = "No test score" if key is None else f"Test {key.replace('_', ' ')} {test[key]:.3f}"
    beside = "" if best is None else f", best cheap baseline ({best[0]}) {best[1]:.3f}"
    return f"{score}{beside}; {'the current' if is_current else 'not the current'} model"


def models_table(known: Json, *, run: str) -> str:
    """The newest models of a dataset with their main scores, and what the last comparison said.

    Args:
        known: what the registry says.
        run: the model that the page is of.
    """
    newest = known["models"][::-1][:SHOWN]
    scored = next((one for one in newest if one["run"] == run), newest[0])
    key = main_score(scored["validation"]) or main_score(scored["test"]) or "accuracy"
    rows = []
    for one in newest:
        marks = [mark for mark, is_it in _marks(one["run"], known, run) if is_it]
        cells = [_number(one[split].get(key)) for split in ("validation", "test")]
        version = f"version {one['examples_version']}"
        rows.append([f"`{one['run']}`", version, *cells, ", ".join(marks)])
    name = key.replace("_", " ")
    text = markdown_table(["model", "examples", f"validation {name}", f"test {name}", ""], rows)
    reasons = [one["why"] for one in known["events"] if one["run"] == run and one["why"]]
    why = f"{reasons[-1][0].upper()}{reasons[-1][1:]}. {RULE}" if reasons else RULE
    return f"{why}\n\n{text}"


def _marks(name: str, known: Json, run: str) -> list[tuple[str, bool]]:
    return [("**current**", name == known["current"]), ("this one", name == run)]


def told_of_run(done: Json) -> str:
    """A run of the whole pipeline, in one line."""
    is_current = Path(done["bundle"]).parent.name == done["current"]
    return (
        f"{told_of_scores(done, is_current=is_current)}; of {done['sequences']['rows']:,} records, "
        f"{done['examples']['rows']:,} examples"
    )


def overview_page(done: Json, rows: Sequence[Sequence[str]]) -> str:
    """One page for a run of the whole pipeline, with a line for each page that it made.

    Args:
        done: what the `pipeline` flow said.
        rows: (link, what it says) of each page.
    """
    seconds = ", ".join(f"{stage} {value:,.1f}" for stage, value in done["seconds"].items())
    facts = [
        ["current model of the dataset", f"`{done['current']}`" if done["current"] else "none"],
        *_places(done),
        ["seconds by stage", seconds],
    ]
    folds = done.get("folds")
    told = f"{len(folds)} folds; scores are of all their test records together. " if folds else ""
    return "\n\n".join(
        [
            f"# {done['dataset']}: from files to a model",
            told + summary(done),
            markdown_table(["page", "what it says"], rows),
            "## What is where\n\n" + table(facts),
        ]
    )


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
