"""The job of a training run: which examples, which options, and the folder of its result.

The folder is named by what determines the result, so the same work finds its own result again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from flows.pipeline_file import Pipeline, to_json
from flows.references import Json
from flows.training.warm import warm_from
from models.bundle import BundleError, check
from models.job import read_job
from models.job import to_json as as_job_json
from models.options.training import Train
from models.training import tracking
from models.training.encoder import digest_of
from seqprep import __version__
from seqprep.checks import as_written
from seqprep.errors import ConfigError, SeqprepError
from seqprep.fingerprint import fingerprint
from seqprep.prepare import Prepared, read_prepared
from seqprep.remote.files import obtain_examples, obtain_state
from seqprep.remote.runs import give_up_run, pull_run, push_job
from seqprep.snapshot import Snapshot, replace_bytes
from seqprep.table import CommitInfo, Table
from seqprep.upkeep.model_runs import FOLDER as MODELS

NOT_THE_RESULT = ("threads", "checkpoint_minutes", "processes")
"""Options of training that say where, how often and by how many, not what."""
NOT_THE_ROWS = ("memory", "drift", "near_duplicates")
"""Options of preparation that do not change its rows."""


def find_prepared(spec: Pipeline, *, store: Path) -> Prepared:
    """The version of a recipe's examples that `prepare` made, or used again, last.

    Of those with the options of `spec` it is the newest one made from what `sequences` holds now;
    where there is none, because `ingest` came after it, the newest.

    Raises:
        SeqprepError: if there is none, naming the first option that differs from the newest.
    """
    folder = store / spec.dataset
    table = Table(folder / f"examples-{spec.prepare.recipe}")
    sequences = Table(folder / "sequences")
    first: str | None = None
    fitting: list[int] = []
    history = table.history()
    now = sequences.info().fingerprint if history else None
    for version, _, info in reversed(history):
        difference = _difference(spec, info, sequences)
        first = first or difference
        if difference is None:
            fitting.append(version)
            if sequences.info(info.params["sequences_version"]).fingerprint == now:
                return read_prepared(table, version, recipe=spec.prepare.recipe)
    if fitting:
        return read_prepared(table, fitting[0], recipe=spec.prepare.recipe)
    if first is None:
        raise SeqprepError(
            f"{spec.dataset}: recipe {spec.prepare.recipe!r} has no examples yet; "
            "run `seqprep run`, or `ingest` and `prepare` first"
        )
    raise SeqprepError(
        f"{spec.dataset}: the examples of recipe {spec.prepare.recipe!r} were made with other "
        f"options: {first}; run `seqprep run`, or `ingest` and `prepare` first"
    )


def _difference(spec: Pipeline, info: CommitInfo, sequences: Table) -> str | None:
    """The first option by which a version differs from the file, for a person to read."""
    wanted = to_json(spec)
    source = source_difference(
        spec, sequences.info(info.params["sequences_version"]).params["source"]
    )
    if source is not None:
        return source
    made = {
        "split": info.params["split"],
        "prepare": {k: v for k, v in info.params["recipe"].items() if k not in NOT_THE_ROWS},
    }
    for part, values in made.items():
        for key, value in values.items():
            if wanted[part].get(key) != value:
                return (
                    f"{part}.{key} was {as_written(value)}, the file says "
                    f"{as_written(wanted[part].get(key))}"
                )
    return None


def source_difference(spec: Pipeline, made: Json) -> str | None:
    """The first option of the source by which what was made differs from the file."""
    wanted = to_json(spec)["source"]
    for key in wanted:
        if key != "path" and made.get(key) != wanted[key]:
            return (
                f"source.{key} was {as_written(made.get(key))}, the file says "
                f"{as_written(wanted[key])}"
            )
    return None


def check_source(spec: Pipeline, *, store: Path) -> None:
    """Refuse to prepare sequences that were read with other options than the file has now.

    Raises:
        ConfigError: naming the first option that differs.
    """
    table = Table(store / spec.dataset / "sequences")
    version = table.version()
    if version is None:
        return  # said elsewhere
    difference = source_difference(spec, table.info(version).params["source"])
    if difference is not None:
        raise ConfigError(
            f"{spec.dataset}: version {version} of the sequences was ingested with other options: "
            f"{difference}; run `seqprep ingest` with this file first"
        )


def write_job(
    spec: Pipeline,
    prepared: Json,
    *,
    store: Path,
    folder: str = MODELS,
    validation_only: bool = False,
) -> tuple[Path, bool]:
    """Write the job file of a training run.

    Args:
        spec: the pipeline.
        prepared: what `prepare` made with it.
        store: folder of the datasets.
        folder: of the dataset's trainings: its models, or those of a comparison.
        validation_only: see Job.

    Returns:
        The job file, and whether that very run is already finished and intact.
    """
    snapshot, train = Snapshot.read(Path(prepared["snapshot"])), _options(spec)
    out = run_folder(spec, snapshot, store=store, folder=folder, validation_only=validation_only)
    examples = Table(store / spec.dataset / f"examples-{spec.prepare.recipe}")
    fitted = examples.info(snapshot.facts.examples_version).state["fitted"]
    obtain_state(examples.state.path / fitted)
    job: Json = {
        "snapshot": _relative(Path(prepared["snapshot"]), out),
        "out": ".",
        "train": train,
        "fitted": _relative(examples.state.path / fitted, out),
        "pipeline": to_json(spec),
    }
    if validation_only:
        job["validation_only"] = True
    published = pull_run(out)
    if spec.train.warm_start:
        job["warm_from"] = as_job_json(warm_from(spec, prepared, out))
    finished = is_finished(out)
    replace_bytes(out / "job.json", json.dumps(job, indent=1).encode())
    if not finished:
        if published:
            give_up_run(out)
        obtain_examples(Path(prepared["snapshot"]))
        if folder == MODELS:  # a trial is nobody else's
            push_job(out)
    return out / "job.json", finished


def run_folder(
    spec: Pipeline,
    snapshot: Snapshot,
    *,
    store: Path,
    folder: str = MODELS,
    validation_only: bool = False,
) -> Path:
    """Where a training lies: named by all that its result follows from.

    Args:
        spec: the pipeline.
        snapshot: of its rows.
        store: folder of the datasets.
        folder: of the dataset's trainings: its models, or those of a comparison.
        validation_only: see Job.
    """
    what = {key: value for key, value in _options(spec).items() if key not in NOT_THE_RESULT}
    what["tracking"] = "none"  # a board is another view of the same run
    if spec.train.encoder_from is not None:  # its content counts, not where it lies
        what["encoder_from"] = digest_of(Path(spec.train.encoder_from))
    digest = fingerprint(snapshot.sha256, what, to_json(spec)["predict"], __version__)
    name = f"{spec.prepare.recipe}-{digest[:12]}{'-search' if validation_only else ''}"
    return (store / spec.dataset / folder / name).resolve()


def _options(spec: Pipeline) -> Json:
    """Options of a training, without those that decide whether there is one."""
    train = {key: value for key, value in to_json(spec)["train"].items() if key != "retrain"}
    train["if_newer"] = False  # that was decided before
    return train


def is_finished(folder: Path) -> bool:
    """Whether a run is done, and its model intact."""
    return (folder / "report.json").is_file() and _is_whole(folder / "bundle")


def _relative(path: Path, out: Path) -> str:
    """A path of the store as it stands in a job, so that the store may be moved."""
    return os.path.relpath(path.resolve(), out).replace(os.sep, "/")


def training_snapshot(bundle: Path, *, remedy: str) -> Path:
    """The snapshot that a bundle was trained on, from the job file beside it.

    Args:
        bundle: its folder.
        remedy: what a person can do where that is not known.

    Raises:
        ConfigError: if there is no job file, or no snapshot any more.
    """
    job = bundle.absolute().parent / "job.json"
    if not job.is_file():
        raise ConfigError(
            f"{bundle}: no job.json beside the bundle says what it was trained on; {remedy}"
        )
    path = Path(read_job(job).snapshot)
    obtain_examples(path)
    if not path.is_file():
        raise ConfigError(f"{path}, which {bundle} was trained on, is gone; {remedy}")
    return path


def board_is_missing(options: Train, folder: Path) -> bool:
    """Whether a finished run has still to draw its TensorBoard events; nothing is trained for it.

    Args:
        options: of the training.
        folder: of the run.
    """
    return options.tracking == "tensorboard" and not (folder / tracking.NAME).exists()


def _is_whole(bundle: Path) -> bool:
    try:
        check(bundle)
    except BundleError:
        return False
    return True
