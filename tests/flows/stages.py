"""The stages of a pipeline as plain functions, for tests that need no flow."""

from __future__ import annotations

from pathlib import Path

from flows.pipeline_file import Pipeline
from seqprep.ingest import ingest
from seqprep.prepare import Prepared, prepare


def ingest_and_prepare(spec: Pipeline, store: Path, *, prune: bool = False) -> Prepared:
    """Ingest and prepare with the options of `spec`."""
    ingest(spec.source, dataset=spec.dataset, store=store, prune=prune)
    return prepare(
        dataset=spec.dataset,
        store=store,
        domain=spec.source.domain,
        task=spec.source.task,
        split=spec.split,
        recipe=spec.prepare,
    )
