"""The report on nearly equal records that a recipe asks for: a list beside the data, and numbers.

What was found of the same sequences, split and options is taken from the file again.
"""

from __future__ import annotations

import json
from pathlib import Path

from flows.pipeline_file import Pipeline
from flows.progress import say, stage
from flows.references import Json
from seqprep.duplicate_report import Repeats, all_pairs, find_repeats, summary
from seqprep.fingerprint import fingerprint
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.parallel import default_workers
from seqprep.snapshot import file_sha256, replace_bytes
from seqprep.table import Table
from seqprep.table_files import write_table

EXAMPLES = 20


def near_report(spec: Pipeline, version: int, *, store: Path, base: Path) -> Json | None:
    """Numbers of the near pairs, and the path of their list; None where nobody asks for it.

    Args:
        spec: the pipeline.
        version: of the sequences.
        store: folder of the datasets.
        base: folder that `split.table` is relative to.
    """
    options = spec.prepare.near_duplicates
    if options.action == "off":
        return None
    folder = store / spec.dataset
    table = Table(folder / "sequences")
    info, listed = table.info(version), spec.split.table
    digest = None if listed is None else file_sha256(base / listed)
    key = fingerprint(info.fingerprint, info.state["manifest"], spec.split, digest, options)
    path = folder / f"near-duplicates-{spec.prepare.recipe}.json"
    body = _known(path, key)
    if body is None:
        found = search(
            spec, version, store=store, base=base, options=options, what="near-duplicates"
        )
        write_table(all_pairs(found), path.with_suffix(".parquet"))
        body = {"key": key, **summary(found, examples=EXAMPLES)}
        replace_bytes(path, json.dumps(body, indent=1).encode())
    near = {name: count for name, count in body["near"].items() if name != "examples"}
    say(
        f"{spec.dataset}: {near['pairs']:,} nearly equal pairs, {near['across_splits']:,} of them "
        f"on two sides of the split: {path.with_suffix('.parquet')}"
    )
    return {**near, "list": str(path.with_suffix(".parquet"))}


def search(
    spec: Pipeline,
    version: int,
    *,
    store: Path,
    base: Path,
    options: NearDuplicates,
    what: str,
) -> Repeats:
    """Records of a version of the sequences that stand there twice, exactly or nearly.

    Args:
        spec: the pipeline.
        version: of the sequences.
        store: folder of the datasets.
        base: folder that `split.table` is relative to.
        options: what counts as nearly equal.
        what: is looked for, as progress shows it.
    """
    with stage(f"{spec.dataset}: {what}") as progress:
        return find_repeats(
            Table(store / spec.dataset / "sequences"),
            version,
            domain=spec.source.domain,
            split=spec.split,
            base=base,
            options=options,
            workers=default_workers(),
            progress=progress,
        )


def _known(path: Path, key: str) -> Json | None:
    """What the file says, if it is of the same work and its list is there."""
    try:
        body: Json = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return body if body.get("key") == key and path.with_suffix(".parquet").is_file() else None
