"""What a warm start begins from: chosen once, when a run is first begun, and kept beside its job.

The current model changes while a run is killed and goes on, and becomes this very run when it is
done. A choice that is kept lets the run go on, and be found again, whatever became current since.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from flows.pipeline_file import Pipeline
from flows.references import Json
from flows.registry.bundles import current_bundle
from models.job import WarmFrom, from_json, read_job, to_json
from models.options.checks import JobError
from models.training.lock import exclusive
from seqprep.errors import ConfigError, CorruptError, SeqprepError
from seqprep.snapshot import replace_bytes
from seqprep.table import Table

NAME = "warm_from.json"


def warm_from(spec: Pipeline, prepared: Json, out: Path) -> WarmFrom:
    """What a run begins from, chosen now if it was not before.

    Args:
        spec: the pipeline.
        prepared: what `prepare` made.
        out: folder of the run, in that of the dataset's models.

    Raises:
        CorruptError: if the choice that was kept cannot be read.
    """
    path = out / NAME
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        with exclusive(out):  # of two runs at once both begin from the same model
            if not path.is_file():
                chosen = _choose(spec, prepared, out=out)
                replace_bytes(path, json.dumps(to_json(chosen), indent=1).encode())
    try:
        return from_json(WarmFrom, json.loads(path.read_bytes()), key="warm_from")
    except (ValueError, JobError) as error:
        raise CorruptError(f"{path}: {error}; delete {out} to train from the start") from error


def refuse_warm(spec: Pipeline, what: str) -> None:
    """Refuse a warm start where trainings are compared.

    Args:
        spec: the pipeline.
        what: compares them.

    Raises:
        ConfigError: saying what to add.
    """
    if spec.train.warm_start:
        raise ConfigError(
            f"train.warm_start: true, but {what} compares trainings, which must begin alike; add "
            "`--set train.warm_start=false`"
        )


def _choose(spec: Pipeline, prepared: Json, *, out: Path) -> WarmFrom:
    """The dataset's current model, or why it is none to begin from."""
    folder = out.parent.parent
    try:
        found = current_bundle(folder)
    except SeqprepError as error:  # a nightly run goes on without it
        return WarmFrom(why=str(error))
    if found is None:
        return WarmFrom(why=f"{spec.dataset} has no current model yet")
    event, bundle = found
    if event.recipe != spec.prepare.recipe:
        return WarmFrom(
            run=event.run,
            why=f"the current model {event.run} is of recipe {event.recipe}, not "
            f"{spec.prepare.recipe}",
        )
    table = Table(folder / f"examples-{event.recipe}")
    then, now = (
        table.info(version).params["options"]
        for version in (event.examples_version, prepared["version"])
    )
    if then != now:  # its training rows may validate or test now
        return WarmFrom(
            run=event.run,
            why=f"{event.run} was trained on version {event.examples_version} of the examples, "
            "which was made with other options",
        )
    return WarmFrom(
        run=event.run,
        bundle=os.path.relpath(bundle.resolve(), out.resolve()).replace(os.sep, "/"),
        sha256=event.bundle,
        versions=(event.examples_version, *_begun_before(bundle)),
    )


def _begun_before(bundle: Path) -> tuple[int, ...]:
    """Versions of examples that a model has seen through those that it began from."""
    try:
        before = read_job(bundle.parent / "job.json").warm_from
    except JobError:
        return ()
    return () if before is None else before.versions
