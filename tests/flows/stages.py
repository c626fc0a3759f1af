"""The stages of a pipeline as plain functions, for tests that need no flow."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from flows.pipeline_file import Pipeline
from flows.registry.current import enter
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from seqprep.ingest import ingest
from seqprep.prepare import Prepared, prepare


def ingest_and_prepare(
    spec: Pipeline, store: Path, *, prune: bool = False, refit: bool = False
) -> Prepared:
    """Ingest and prepare with the options of `spec`."""
    ingest(spec.source, dataset=spec.dataset, store=store, prune=prune)
    return prepare(
        dataset=spec.dataset,
        store=store,
        domain=spec.source.domain,
        task=spec.source.task,
        split=spec.split,
        recipe=spec.prepare,
        refit=refit,
    )


def trained(spec: Pipeline, store: Path) -> Path:
    """Ingest, prepare, train and enter the model, as the flows do; its folder."""
    prepared = asdict(ingest_and_prepare(spec, store))
    job, _ = write_job(spec, prepared, store=store)
    report = json.loads(train(read_job(job)).read_bytes())
    enter(spec, job.parent, report, prepared=prepared)
    return job.parent
