"""The `prepare` flow: a version of `sequences` -> a version of `examples` and its snapshot."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import flow, task

from flows.explore.near import near_report
from flows.faults import RETRIED
from flows.new_version import announce
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, build, to_json
from flows.progress import say, stage
from flows.references import Json, resolve
from flows.reporting import drift
from flows.reporting.artifacts import prepare_artifact
from flows.run_names import run_name
from flows.runner import RunnerName, runner_at, scheduler_of
from flows.training.job import check_source
from flows.turns import turn
from seqprep.prepare import Prepared
from seqprep.prepare import prepare as prepare_examples
from seqprep.stores import push_derived, store_folder

SHOWN = 5
"""Classes that one line names."""


@task(name="prepare examples", **RETRIED)
def prepare_rows(
    pipeline: Json,
    *,
    base: str,
    store: str,
    refit: bool = False,
    scheduler: str | None = None,
) -> Json:
    """Split, shorten, encode and bucket the newest sequences; one commit."""
    spec = build(pipeline)
    with (
        turn("tables", dataset=spec.dataset, store=store),
        stage(f"{spec.dataset}: prepare {spec.prepare.recipe}") as progress,
        runner_at(scheduler, store=store_folder(store), sees=None) as runner,
    ):
        root = store_folder(store, dataset=spec.dataset)
        check_source(spec, store=root)
        done = prepare_examples(
            dataset=spec.dataset,
            store=root,
            domain=spec.source.domain,
            task=spec.source.task,
            split=spec.split,
            recipe=spec.prepare,
            base=Path(base),
            progress=progress,
            refit=refit,
            runner=runner,
        )
    how = "unchanged, reused" if done.reused else "committed"
    say(
        f"{spec.dataset}: examples version {done.version} {how}: {sum(done.rows.values()):,} rows, "
        f"padding {done.padding_share:.1%} of bucketed steps"
    )
    for text in [] if done.reused else remarks(done):
        say(f"{spec.dataset}: {text}")
    plot = None
    if done.drift and not done.reused:
        plot = drift.write(root, asdict(done), spec.prepare.drift)
    if done.refit_advised is not None:
        say(f"{spec.dataset}: a refit is advised (--refit): {done.refit_advised}")
    if plot is not None:
        say(f"{spec.dataset}: {changed(done)}; {plot}")
    near = near_report(spec, done.sequences_version, store=root, base=Path(base))
    push_derived(root / spec.dataset)
    return {**asdict(done), "drift_plot": plot and str(plot), "near_duplicates": near}


def changed(done: Prepared) -> str:
    """What an append did: rows added and removed, or all made again."""
    if done.added == sum(done.records.values()):
        return (
            f"all {done.added:,} records were made again with the state of version "
            f"{done.frozen_from}"
        )
    return f"{done.added:,} records were added, {done.removed:,} removed"


def remarks(done: Prepared) -> list[str]:
    """What a person should look at before a model is trained: empty records, classes not tested."""
    found = []
    if done.emptied:
        found.append(
            f"{done.emptied:,} of {sum(done.records.values()):,} records were left without a step "
            "by the recipe and hold one unknown step instead; `seqprep preview` shows which step "
            "takes how much"
        )
    for split in ("validation", "test"):
        counts = done.labels.get(split, {})
        lacking = [name for name, count in counts.items() if not count]
        if lacking and any(counts.values()) and done.held_out is None:
            more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
            found.append(f"{split} has no record of class {', '.join(lacking[:SHOWN])}{more}")
    return found


@flow(name="prepare", flow_run_name=run_name, **TOLD)
def prepare(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    refit: bool = False,
    runner: RunnerName = "local",
    address: str | None = None,
) -> Json:
    """Turn cleaned sequences into training examples.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets, or s3://BUCKET/PREFIX.
        settings: `a.b=value` texts that change the file's values.
        refit: fit vocabulary, labels and buckets anew, although data was only appended.
        runner: where rows are made: `local`, or `dask` on a cluster, with the same result.
        address: of a Dask scheduler; without one `dask` starts a cluster of this machine.

    Returns:
        What was prepared, as `seqprep.prepare.Prepared`.
    """
    spec, base = resolve(file, pipeline, settings)
    with scheduler_of(runner, address) as scheduler:
        done = prepare_rows(
            to_json(spec), base=str(base), store=store, refit=refit, scheduler=scheduler
        )
    prepare_artifact(done, spec.prepare.drift)
    announce(done, file=file, store=store, settings=settings)
    return done
