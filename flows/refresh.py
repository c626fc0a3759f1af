"""The `refresh` flow: looks for new files, and makes a new version of the examples of them.

For a schedule or a call. It does not train: where a version is new, it says so by an event (see
`new_version`), and a trigger of prefect.yaml starts a training if one is due. Where nothing is new
it ends after a look at the names of files.
"""

from __future__ import annotations

from prefect import flow

from flows.ingest import ingest_files
from flows.new_version import announce
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.references import Json, check_tables, resolve
from flows.reporting.artifacts import ingest_artifact, prepare_artifact
from flows.run_names import run_name
from flows.runner import RunnerName, scheduler_of


@flow(name="refresh", flow_run_name=run_name, **TOLD)
def refresh(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    prune: bool = False,
    runner: RunnerName = "local",
    address: str | None = None,
) -> Json:
    """Look for new files, ingest and prepare them; a training is left to who listens.

    Args:
        file: path of a pipeline file; or give `pipeline`.
        pipeline: the content of a pipeline file.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        prune: drop the rows of source files that are gone; without it they stay.
        runner: where ingest and prepare work: `local`, or `dask` on a cluster.
        address: of a Dask scheduler; without one `dask` starts a cluster of this machine.

    Returns:
        What was prepared, as `seqprep.prepare.Prepared`.
    """
    spec, base = resolve(file, pipeline, settings)
    check_tables(spec, base=base)
    body, place = to_json(spec), str(base)
    with scheduler_of(runner, address) as scheduler:
        ingested = ingest_files(body, base=place, store=store, prune=prune, scheduler=scheduler)
        ingest_artifact(ingested)
        done = prepare_rows(body, base=place, store=store, scheduler=scheduler)
    prepare_artifact(done, spec.prepare.drift)
    announce(done, file=file, store=store, settings=settings)
    return done
