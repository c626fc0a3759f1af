"""The report of a training run: a folder with plots and one Markdown page that shows them.

Everything is read from the files that the stages left, so a report can be written again at any
time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flows.references import Json
from flows.reporting import plots
from seqprep.schema import length_unit
from seqprep.snapshot import replace_bytes

SCORES = ("accuracy", "macro_f1", "auroc", "auprc", "mcc", "sensitivity", "specificity")
MAIN_SCORES = ("accuracy", "perplexity", "reconstruction_error", "token_accuracy", "rmse")
LOWER_IS_BETTER = ("rmse", "perplexity", "reconstruction_error")
OTHER_SCORES = (
    "perplexity",
    "bits_per_symbol",
    "reconstruction_error",
    "scaled_rmse",
    "token_accuracy",
    "exact_match",
    "mae",
    "rmse",
    "r2",
)


def write_report(folder: Path, *, prepared: Json | None) -> Path:
    """Write plots and page of a finished training run.

    Args:
        folder: of the run: report.json, metrics.jsonl and job.json are read there.
        prepared: what `prepare` said; without it the plots of lengths and padding are left out.

    Returns:
        The page, `report/report.md`.
    """
    report = json.loads((folder / "report.json").read_bytes())
    pipeline = json.loads((folder / "job.json").read_bytes())["pipeline"]
    epochs = read_epochs(folder / "metrics.jsonl")
    out = folder / "report"
    images = _plots(out, report, prepared, epochs, domain=pipeline["source"]["domain"])
    page = _page(report, pipeline, prepared, images)
    replace_bytes(out / "report.md", page.encode())
    return out / "report.md"


def read_events(path: Path) -> list[Json]:
    """The events of a training run, without a last line that is still being written."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def read_epochs(path: Path) -> list[Json]:
    """The `epoch` events of a training run, one an epoch: the last where a resume repeated one."""
    found = {e["epoch"]: e for e in read_events(path) if e["event"] == "epoch"}
    return [found[number] for number in sorted(found)]


def _plots(
    out: Path, report: Json, prepared: Json | None, epochs: list[Json], *, domain: str
) -> list[tuple[str, str]]:
    """Write the plots; (title, file name) of each."""
    images = []
    if prepared is not None:
        before, after = prepared["lengths_before"], prepared["lengths_after"]
        plots.lengths(out / "lengths.png", before=before, after=after, unit=length_unit(domain))
        images.append(("Lengths", "lengths.png"))
        shares = {
            "padded to the longest": prepared["padding_share_unbucketed"],
            "padded to the bucket": prepared["padding_share"],
            "as trained": report["train"]["padding_share"],
        }
        plots.padding(out / "padding.png", shares=shares)
        images.append(("Padding", "padding.png"))
    if epochs:
        best = report["train"].get("best_epoch")
        plots.learning_curves(out / "learning_curves.png", epochs=epochs, best=best)
        images.append(("Learning curves", "learning_curves.png"))
    matrix = report.get("confusion", {}).get("test")
    if matrix:
        plots.confusion(out / "confusion.png", matrix=matrix, labels=report["labels"])
        images.append(("Confusion matrix, test", "confusion.png"))
    return images


def _page(
    report: Json, pipeline: Json, prepared: Json | None, images: list[tuple[str, str]]
) -> str:
    parts = [
        f"# {pipeline['dataset']}, recipe {pipeline['prepare']['recipe']}",
        summary(report),
        "## Scores\n\n" + score_table(report),
    ]
    if report.get("per_class", {}).get("test"):
        parts.append("## Classes, test\n\n" + class_table(report["per_class"]["test"]))
    parts += [f"## {title}\n\n![{title}]({name})" for title, name in images]
    if prepared is not None:
        parts.append("## Data\n\n" + data_table(prepared))
    parts.append("## Training\n\n" + training_table(report))
    parts.append(
        "## Pipeline\n\n```json\n" + json.dumps(pipeline, indent=1, ensure_ascii=False) + "\n```"
    )
    return "\n\n".join(parts) + "\n"


def summary(report: Json) -> str:
    """The main test score beside the best cheap baseline, in a sentence or two."""
    test = report["metrics"].get("test", {})
    key = main_score(test)
    if key is None:
        return "No test score."
    text = f"Test {key.replace('_', ' ')} **{test[key]:.3f}** on {test['records']:,} records"
    if "macro_f1" in test:
        text += f", macro-F1 **{test['macro_f1']:.3f}**"
    if "majority" in test:
        text += (
            "; always answering the most frequent class of the training rows gives "
            f"{test['majority']:.3f}"
        )
    best = best_baseline(report)
    if best is None:
        return text + "."
    name, score = best
    better = test[key] < score if key in LOWER_IS_BETTER else test[key] > score
    verdict = "beats" if better else "does not beat"
    return f"{text}. The model {verdict} the best cheap baseline ({name}: {score:.3f})."


def main_score(metrics: Json) -> str | None:
    """The name of the one figure to show first."""
    return next((key for key in MAIN_SCORES if metrics.get(key) is not None), None)


def best_baseline(report: Json) -> tuple[str, float] | None:
    """Name and test score of the best baseline, other than the majority where there is another."""
    key = main_score(report["metrics"].get("test", {}))
    found = {
        name: metrics[key]
        for name, metrics in report["baselines"].get("test", {}).items()
        if key is not None and metrics.get(key) is not None
    }
    if len(found) > 1:
        found.pop("majority", None)
    if not found:
        return None
    pick = min if key in LOWER_IS_BETTER else max
    name = pick(found, key=lambda name: found[name])
    return name.replace("_", " "), found[name]


def score_table(report: Json, splits: Sequence[str] = ("test", "validation")) -> str:
    """Model, majority and baselines on these splits, as Markdown."""
    names = [
        name
        for name in (*SCORES, *OTHER_SCORES)
        if any(name in metrics for metrics in report["metrics"].values())
    ]
    rows = []
    for split in splits:
        if split not in report["metrics"]:
            continue
        metrics = report["metrics"][split]
        where = f", {split}" if len(splits) > 1 else ""
        rows.append([f"**model{where}**", *(_number(metrics.get(n)) for n in names)])
        for name, values in report["baselines"].get(split, {}).items():
            cells = [_number(values.get(n)) for n in names]
            rows.append([f"{name.replace('_', ' ')}{where}", *cells])
    return markdown_table(["", *(name.replace("_", " ") for name in names)], rows)


def class_table(classes: Sequence[Json]) -> str:
    """Precision, recall and F1 of each class, as Markdown."""
    head = ["class", "precision", "recall", "F1", "records"]
    rows = [
        [
            str(item["label"]),
            *(_number(item[key]) for key in ("precision", "recall", "f1")),
            f"{item['support']:,}",
        ]
        for item in classes
    ]
    return markdown_table(head, rows)


def data_table(prepared: Json) -> str:
    """What preparation did, as Markdown."""
    rows = [
        [split, f"{prepared['records'].get(split, 0):,}", f"{prepared['rows'].get(split, 0):,}"]
        for split in ("train", "validation", "test")
    ]
    facts = [
        ["steps after all techniques, of those before", f"{prepared['kept_share']:.1%}"],
        ["steps removed by frequency", f"{prepared['removed_share']:.1%}"],
        ["duplicates left out", f"{prepared['duplicates']:,}"],
        ["conflicting labels left out", f"{prepared['conflicting']:,}"],
        ["unknown labels left out", f"{prepared['unknown_labels']:,}"],
        ["records above 250, 500 steps", _long(prepared)],
        ["emptied by the steps", f"{prepared['emptied']:,}"],
        ["padding in buckets", f"{prepared['padding_share']:.1%}"],
        ["bucket limits, steps", ", ".join(str(limit) for limit in prepared["buckets"])],
    ]
    near = prepared.get("near_duplicates")
    if near:
        told = f"{near['pairs']:,} pairs, {near['across_splits']:,} of them on two sides"
        facts.append(["nearly equal records", f"{told} ({Path(near['list']).name})"])
    for split, rate in (prepared.get("oov_rate") or {}).items():
        facts.append([f"unknown tokens, {split}", f"{rate:.2%}"])
    return (
        markdown_table(["split", "records", "rows"], rows)
        + "\n\n"
        + markdown_table(["", ""], facts)
    )


def _long(prepared: Json) -> str:
    shares = prepared["long_shares"]
    return ", ".join(
        " and ".join(f"{share:.0%}" for share in shares[when].values()) + f" {when}"
        for when in ("before", "after")
    )


def training_table(report: Json) -> str:
    """What training took, as Markdown."""
    model, train = report["model"], report["train"]
    rows = [
        ["parameters", f"{model['parameters']:,}"],
        ["runs on", f"{model['device']}, {model['threads']} threads, {model['precision']}"],
        ["recurrent layer", str(model["execution"])],
        ["epochs, updates", f"{train['epochs']:,}, {train['updates']:,}"],
        ["kept epoch", str(train.get("best_epoch"))],
        ["training time", f"{train['seconds']:,.1f} s"],
        ["real steps a second", f"{train['real_steps_per_s']:,.0f}"],
        ["padding as trained", f"{train['padding_share']:.1%}"],
    ]
    if train.get("begun_from"):
        rows.append(["warm start", train["begun_from"]["told"]])
    if "memory_bytes" in train:  # not in reports of older versions
        rows += [
            ["time a real step", f"{1e6 * train['seconds_per_step']:,.2f} microseconds"],
            ["memory that training took", f"{train['memory_bytes'] / 2**20:,.0f} MB"],
            ["memory a step of a batch", f"{train['memory_bytes_per_step'] / 2**10:,.1f} kB"],
        ]
    return markdown_table(["", ""], rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a `|` in a cell is escaped."""
    lines = [list(head), ["---"] * len(head), *(list(row) for row in rows)]
    cleaned = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cleaned)


def inline_images(page: Path) -> str:
    """The page with its pictures as data URIs, as a Prefect artifact shows them."""
    text = page.read_text(encoding="utf-8")
    for image in sorted(page.parent.glob("*.png")):
        text = text.replace(f"({image.name})", f"({data_uri(image)})")
    return text


def data_uri(image: Path) -> str:
    """A PNG as the address that carries it."""
    return f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()}"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
