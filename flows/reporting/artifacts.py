"""What a flow run shows on its Prefect page: the same tables and plots as the report on disk."""

from __future__ import annotations

import re
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.references import Json
from flows.reporting import drift
from flows.reporting.reports import data_table, inline_images, markdown_table
from seqprep.options.drift import Drift


def _key(*parts: str) -> str:
    """An artifact key: lower-case letters, digits and dashes only."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def ingest_artifact(done: Json) -> None:
    """Show what came in, and what was rejected and why."""
    rows = [
        ["version", str(done["version"])],
        ["rows", f"{done['rows']:,}"],
        ["rejected", f"{done['rejected']:,}"],
        ["files", f"{done['files']:,}"],
        ["reused", "yes" if done["reused"] else "no"],
    ]
    parts = [f"# {done['dataset']}: sequences", markdown_table(["", ""], rows)]
    for title, counts in (
        ("Labels", done["labels"]),
        ("Rejected", done["rejections"]),
        ("Odd, and kept", done["oddities"]),
    ):
        if counts:
            table = markdown_table(["", "count"], [[k, f"{v:,}"] for k, v in counts.items()])
            parts.append(f"## {title}\n\n{table}")
    create_markdown_artifact("\n\n".join(parts), key=_key(done["dataset"], "sequences"))


def prepare_artifact(done: Json, limits: Drift) -> None:
    """Show the splits, lengths and padding of prepared examples, and drift beside its limits."""
    text = f"# {done['dataset']}: examples, recipe {done['recipe']}\n\n" + data_table(done)
    if done["drift"]:
        text += "\n\n## Drift\n\n" + drift.table(done, limits)
    create_markdown_artifact(text, key=_key(done["dataset"], done["recipe"], "examples"))


def train_artifact(done: Json) -> None:
    """Show the report of a training run, plots included."""
    page = Path(done["report"])
    key = _key("model", page.parent.parent.name)
    create_markdown_artifact(inline_images(page), key=key)


def predict_artifact(done: Json) -> None:
    """Show where predictions lie and how many records could not be used."""
    rows = [
        ["predictions", f"{done['rows']:,}"],
        ["errors", f"{done['errors']:,}"],
        ["file", done["out"]],
        ["bundle", done["bundle"]],
    ]
    text = f"# {done['dataset']}: predictions\n\n" + markdown_table(["", ""], rows)
    create_markdown_artifact(text, key=_key(done["dataset"], "predictions"))
