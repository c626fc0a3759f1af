"""What `show` prints of the predictions of a folder's files: how many, and of which models."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from flows.references import Json
from flows.reporting.counted import counted
from seqprep.inbox.done import NAME
from seqprep.table import Table


def describe_predictions(path: Path) -> Json:
    """What the newest commit says of all rows.

    Args:
        path: the folder of the predictions.
    """
    table = Table(path / NAME)
    info = table.info()
    counts, params = info.counts, info.params
    return {
        "predictions": str(table.path),
        "version": table.version(),
        "folder": params["folder"],
        **{name: counts[name] for name in ("files", "rows", "errors")},
        "added": counts["added"],
        "kind": params["kind"],
        "models": [
            {"digest": digest, "bundle": params["bundles"].get(digest), "files": files}
            for digest, files in counts["models"].items()
        ],
    }


def print_predictions(described: Json) -> None:
    """Print what `describe_predictions` found, for a person."""
    console = Console(highlight=False)

    def line(title: str, text: str) -> None:
        console.print(f"  {title:9} {text}", markup=False, soft_wrap=True)

    console.rule(f"[bold]{described['predictions']}", align="left")
    counts = [f"{described[name]:,} {name}" for name in ("files", "rows", "errors")]
    line(f"version {described['version']}", ", ".join(counts))
    line("made from", described["folder"])
    for model in described["models"]:
        files = counted(model["files"], "file")
        line("model", f"{model['digest'][:12]} predicted {files}: {model['bundle']}")
