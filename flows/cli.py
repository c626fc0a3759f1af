"""The `seqprep` command.

Commands only read arguments, call one function and print; everything heavy is imported when a
command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from flows.commands import data as cli_data
from flows.commands import models as cli_models
from flows.commands import store as cli_store
from flows.commands.ending import ending, tell
from flows.commands.parts import (
    SETTLE_S,
    STORE,
    Address,
    AsJson,
    Bundle,
    File,
    IfNewer,
    InStore,
    Prune,
    Refit,
    Rehash,
    RunnerOption,
    Settings,
    Store,
    bundle_at,
    check_files,
    print_json,
    standing_model,
    stored_at,
    stream_every,
)
from flows.commands.predict_paths import check_bundle, check_inbox, check_prediction
from flows.runner import check_runner
from seqprep import __version__

app = App(
    name="seqprep",
    version=__version__,
    help="Prepare sequences far longer than an LSTM handles well, and train on them.",
)


@app.command
def run(
    files: Annotated[tuple[Path, ...], Parameter(help="Pipeline files (YAML).", negative="")],
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    folds: Annotated[str | None, Parameter(help="`all`: train and test every fold.")] = None,
    refit: Refit = False,
    prune: Prune = False,
    if_newer: IfNewer = False,
    runner: RunnerOption = "local",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Ingest, prepare and train: from raw files to a scored model."""
    check_runner(runner, address)
    _prepare_for_flow(files, settings, folds=folds, tables=True, if_newer=if_newer)
    from flows.pipeline import pipeline
    from flows.show import run_table

    done = [
        pipeline(
            file=str(file),
            store=str(store),
            settings=list(settings),
            folds=folds,
            refit=refit,
            prune=prune,
            if_newer=if_newer,
            runner=runner,
            address=address,
        )
        for file in files
    ]
    run_table(done)
    if as_json:
        print_json(done[0] if len(done) == 1 else {"runs": done})


@app.command
def ingest(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    prune: Prune = False,
    rehash: Rehash = False,
    runner: RunnerOption = "local",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Read source files into a version of the sequences table."""
    check_runner(runner, address)
    _prepare_for_flow((file,), settings)
    from flows.ingest import ingest as flow

    done = flow(
        file=str(file),
        store=str(store),
        settings=list(settings),
        prune=prune,
        rehash=rehash,
        runner=runner,
        address=address,
    )
    _finish(done, as_json)


@app.command
def prepare(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    refit: Refit = False,
    runner: RunnerOption = "local",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Turn sequences into training examples, bucketed by length."""
    check_runner(runner, address)
    _prepare_for_flow((file,), settings, tables=True)
    from flows.prepare import prepare as flow

    done = flow(
        file=str(file),
        store=str(store),
        settings=list(settings),
        refit=refit,
        runner=runner,
        address=address,
    )
    _finish(done, as_json)


@app.command
def train(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    if_newer: IfNewer = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on the newest examples."""
    check_files((file,), settings, if_newer=if_newer)
    standing = standing_model(file, settings, store=store, if_newer=if_newer)
    if standing is not None:
        tell(f"{standing['dataset']}: {standing['why']}")
        _finish(standing, as_json)
        return
    _start_prefect()
    from flows.train import train as flow

    done = flow(file=str(file), store=str(store), settings=list(settings), if_newer=if_newer)
    _finish(done, as_json)


@app.command
def predict(
    bundle: Bundle,
    inputs: Annotated[tuple[Path, ...], Parameter(help="Raw files or folders.", negative="")],
    /,
    *,
    out: Annotated[Path, Parameter(help="The Parquet file to write.")],
    store: Store = STORE,
    stream: Annotated[
        bool, Parameter(help="Also while a record is read; one direction only.", negative="")
    ] = False,
    every: Annotated[
        int | None, Parameter(help="With --stream: steps between two predictions (100).")
    ] = None,
    attention: Annotated[
        bool,
        Parameter(help="Also attention weights, and a plot of the first records'.", negative=""),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict new raw files, with exactly the preprocessing of the training."""
    steps = stream_every(stream, every)
    folder = bundle_at(bundle, store)
    check_prediction(folder, inputs, out)
    _start_prefect()
    from flows.predict import predict as predict_flow

    done = predict_flow(
        str(folder), [str(path) for path in inputs], str(out), every=steps, attention=attention
    )
    errors = f"{done['errors']:,} error{'' if done['errors'] == 1 else 's'}"
    print(f"{done['rows']:,} predictions ({errors}) in {done['out']}")
    if as_json:
        print_json(done)


@app.command
def compare(
    file: File,
    /,
    *,
    strategies: Annotated[
        str, Parameter(help="Names with commas between, joined by + where several are one.")
    ] = "",
    minutes: Annotated[float, Parameter(help="That all of it may take.")] = 30.0,
    equal: Annotated[
        Literal["seconds", "steps", "updates"], Parameter(help="What all get the same of.")
    ] = "seconds",
    seeds: Annotated[int, Parameter(help="Of each that is trained in full.")] = 3,
    everything: Annotated[
        bool,
        Parameter(name="--all", help="Train all in full, not the best of a search.", negative=""),
    ] = False,
    workers: Annotated[int | None, Parameter(help="Trainings at once; else one a core.")] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Find out which way of handling long sequences works on this data."""
    _prepare_for_flow((file,), settings, tables=True)
    from flows.compare import compare as flow
    from flows.comparison.asked import Asked
    from flows.comparison.print import print_comparison
    from seqprep.parallel import default_workers

    asked = Asked(
        strategies=tuple(filter(None, strategies.replace(" ", "").split(","))),
        minutes=minutes,
        equal=equal,
        seeds=seeds,
        everything=everything,
        workers=workers or default_workers(),
    )
    done = flow(file=str(file), store=str(store), settings=list(settings), asked=asked)
    print_comparison(done)
    if as_json:
        print_json(done)


@app.command
def predict_new(
    bundle: Bundle,
    folder: Annotated[Path, Parameter(help="Where new raw files arrive.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder of the predictions, a Delta table.")],
    store: Store = STORE,
    again: Annotated[
        bool, Parameter(help="Also files that another model predicted.", negative="")
    ] = False,
    settle: Annotated[
        float, Parameter(help="Seconds that nothing must have touched a file.")
    ] = SETTLE_S,
    as_json: AsJson = False,
) -> None:
    """Predict the files of a folder that have no predictions yet, each once."""
    found = bundle_at(bundle, store)
    check_bundle(found)
    check_inbox(folder, out)
    _start_prefect()
    from flows.predict_new import predict_new as flow

    done = flow(str(found), str(folder), str(out), again=again, settle_s=settle)
    if as_json:
        print_json(done)


@app.command
def show(
    path: Annotated[
        Path | None, Parameter(help="A store, or one dataset of it; else `store`.")
    ] = None,
    /,
    *,
    store: InStore = None,
    as_json: AsJson = False,
) -> None:
    """Show datasets, their versions and what made them."""
    from flows.show import describe, print_description

    described = describe(stored_at(path, store))
    if as_json:
        print_json(described)
    else:
        print_description(described)


@app.command
def schema() -> None:
    """Print the JSON Schema of the pipeline file."""
    from flows.pipeline_file import json_schema

    print(json.dumps(json_schema(), indent=1))


for _command in (*cli_data.COMMANDS, *cli_models.COMMANDS, *cli_store.COMMANDS):
    app.command(_command)


def _prepare_for_flow(
    files: tuple[Path, ...],
    settings: tuple[str, ...],
    *,
    folds: str | None = None,
    tables: bool = False,
    if_newer: bool | None = None,
) -> None:
    """Refuse a wrong pipeline file before anything is started, then set Prefect up."""
    check_files(files, settings, folds=folds, tables=tables, if_newer=if_newer)
    _start_prefect()


def _start_prefect() -> None:
    from flows.commands import guard
    from flows.environment import quiet

    guard.start()
    if not os.environ.get("PREFECT_API_URL"):
        tell("starting Prefect ...")
    quiet(home=Path.cwd() / ".prefect")


def _finish(done: Any, as_json: bool) -> None:
    """Print the result of one stage: a short table, and JSON where it is asked for."""
    from flows.show import stage_table

    stage_table(done)
    if as_json:
        print_json(done)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    with ending():
        app(arguments, exit_on_error=False, print_error=False)
