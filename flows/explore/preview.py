"""`seqprep preview`: what a recipe would do, before anything of it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from flows.explore import frequency_plots
from flows.explore.preview_print import print_preview
from flows.explore.side_by_side import side_by_side
from flows.pipeline_file import Pipeline
from flows.progress import stage
from flows.references import Json, resolve
from flows.training.job import source_difference
from seqprep.errors import ConfigError
from seqprep.length_counts import LengthCounts, quantiles
from seqprep.out_paths import check_folder_path
from seqprep.parallel import default_workers
from seqprep.preparation.opened import opened
from seqprep.preparation.totals import named
from seqprep.prepare import plan_job, read_tables
from seqprep.preview import Preview, by_label, make_preview, some_tokens
from seqprep.source_sample import read_sample
from seqprep.splits import LEFT_OUT
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.transforms import build_steps

SAMPLE_BYTES = 32 * 2**20
"""Of a source that was not ingested yet."""
ENDS = 10
"""Tokens that are named at each end."""


def preview(file: str, *, store: str, settings: list[str], records: int, out: Path | None) -> Json:
    """Run a recipe over the sequences, or over a sample of the source, and write nothing of it.

    Args:
        file: path of a pipeline file.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        records: how many to show side by side.
        out: folder for the plot; default the dataset's.

    Returns:
        What was read, the steps, the tokens that go, lengths, and the records before and after.

    Raises:
        ConfigError: as `prepare` would; or if `out` is no folder.
    """
    if out is not None:
        check_folder_path(out)
    spec, base = resolve(file, None, settings)
    folder = store_folder(store, dataset=spec.dataset) / spec.dataset
    with tempfile.TemporaryDirectory(prefix="seqprep-preview-") as name:
        with stage(f"{spec.dataset}: preview {spec.prepare.recipe}") as progress:
            table, told = _sequences(spec, folder, base=base, scratch=Path(name))
            steps = build_steps(spec.prepare)
            job = plan_job(
                table,
                None,
                steps,
                domain=spec.source.domain,
                task=spec.source.task,
                split=spec.split,
                recipe=spec.prepare,
                tables=read_tables(steps, base=base),
            )
            with (
                _sample_named(told),
                opened(job, base=base, workers=default_workers()) as (
                    job,
                    roster,
                ),
            ):
                found = make_preview(
                    job,
                    roster,
                    folder=Path(name),
                    records=records,
                    train_seed=spec.train.seed,
                    workers=default_workers(),
                    progress=progress,
                )
        shown = side_by_side(job, found, seed=spec.train.seed)
    if found.chunks < found.all_chunks:
        told["read"] += f", of which {found.chunks} of {found.all_chunks} chunks were previewed"
    plot = (out or folder) / f"preview-{spec.prepare.recipe}.png"
    frequency_plots.lengths(plot, before=found.before, after=found.after)
    done = {
        "dataset": spec.dataset,
        "recipe": spec.prepare.recipe,
        **told,
        **described(found),
        "side_by_side": shown,
        "plot": str(plot),
    }
    print_preview(done)
    return done


def _sequences(
    spec: Pipeline, folder: Path, *, base: Path, scratch: Path
) -> tuple[Table, dict[str, Any]]:
    """The newest sequences, if they were made with the file's source; else a sample of it."""
    stored = Table(folder / "sequences")
    version = stored.version()
    why = "nothing ingested"
    if version is not None:
        info = stored.info(version)
        difference = source_difference(spec, info.params["source"])
        if difference is None:
            read = f"sequences version {version}, {info.counts['rows']:,} records"
            return stored, {"read": read, "whole": True}
        why = f"not yet ingested so: {difference}"
    sample = read_sample(spec.source, base=base, folder=scratch, max_bytes=SAMPLE_BYTES)
    read = f"{sample.rows:,} records of {sample.files:,} source files, {why}"
    if not sample.whole:
        read += f" (a sample: there are {sample.all_files:,} files, and records were left unread)"
    return sample.table, {"read": read, "whole": sample.whole}


@contextmanager
def _sample_named(told: Json) -> Iterator[None]:
    """Say of what is refused that it may be the sample's fault."""
    try:
        yield
    except ConfigError as error:
        if told["whole"]:
            raise
        raise ConfigError(
            f"{error} (of {told['read']}; `seqprep ingest FILE` first, and all is previewed)"
        ) from error


def described(found: Preview) -> Json:
    """The numbers of a preview, as plain JSON."""
    roster, totals = found.roster, found.totals
    steps, unknown = named(totals.steps), named(totals.unknown)
    frequency = found.encoding.frequency
    lengths = LengthCounts.of(found.before, np.zeros(len(found.before), np.int8))
    return {
        "records": int((roster.splits != LEFT_OUT).sum()),
        "rows": named(totals.rows),
        "labels": by_label(roster),
        "left_out": {
            "duplicates": sum(roster.duplicates.values()),
            "conflicting": sum(roster.conflicting.values()),
            "unknown_labels": sum(roster.unknown.values()),
        },
        "steps": [
            {
                "name": effect.name,
                "options": effect.options,
                "drawn": effect.drawn,
                "rows": [effect.rows_before, effect.rows_after],
                "steps": [effect.steps_before, effect.steps_after],
                "removed_share": effect.removed_share,
                "window": {"steps": effect.window, "short_rows": effect.short_rows}
                if effect.window
                else None,
            }
            for effect in found.effects
        ],
        "cuts": [
            {
                "step": cut.name,
                "distinct": int(cut.removed.sum()),
                "unknown": int(cut.unknown.sum()),
                **some_tokens(frequency.tokens, cut.removed, frequency.counts, most=ENDS),
            }
            for cut in found.cuts
            if frequency is not None
        ],
        "vocabulary": len(found.fitted.vocabulary) if frequency is not None else None,
        "lengths": {"before": quantiles(lengths), "after": quantiles(totals.lengths)},
        "oov_rate": {s: unknown[s] / max(steps[s], 1) for s in steps} if frequency else {},
        "emptied": found.emptied,
    }
