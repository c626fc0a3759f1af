"""The `seqprep` command.

Commands only read arguments, call one function and print; everything heavy is imported when a
command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import data as cli_data
from flows.commands import models as cli_models
from flows.commands import predict as cli_predict
from flows.commands import store as cli_store
from flows.commands import studies as cli_studies
from flows.commands.ending import ending, tell
from flows.commands.parts import (
    STORE,
    Address,
    AsJson,
    File,
    IfNewer,
    Prune,
    Refit,
    Rehash,
    RunnerOption,
    Settings,
    Store,
    check_files,
    print_json,
    standing_model,
    start_prefect,
    store_name,
)
from flows.runner import check_runner
from seqprep import __version__
from seqprep.errors import ConfigError

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
    from flows.show_print import run_table

    done = [
        pipeline(
            file=str(file),
            store=store_name(store),
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
        store=store_name(store),
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
        store=store_name(store),
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
    start_prefect()
    from flows.train import train as flow

    done = flow(file=str(file), store=store_name(store), settings=list(settings), if_newer=if_newer)
    _finish(done, as_json)


@app.command
def schema() -> None:
    """Print the JSON Schema of the pipeline file."""
    from flows.pipeline_file import json_schema

    print(json.dumps(json_schema(), indent=1))


for _command in (
    *cli_studies.COMMANDS,
    *cli_predict.COMMANDS,
    *cli_data.COMMANDS,
    *cli_models.COMMANDS,
    *cli_store.COMMANDS,
):
    app.command(_command)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    endpoint: Annotated[
        str | None, Parameter(help="Server of a --store s3://...; else AWS_ENDPOINT_URL.")
    ] = None,
) -> None:
    """Read what holds for every command, then run the one that is meant."""
    if endpoint is not None:
        if not any("s3:/" in token for token in tokens):
            raise ConfigError(
                "--endpoint is the server of a store on S3, and none is named; add "
                "--store s3://BUCKET/PREFIX, or leave it out"
            )
        os.environ["AWS_ENDPOINT_URL_S3"] = endpoint
    app(tokens, exit_on_error=False, print_error=False)


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
    start_prefect()


def _finish(done: Any, as_json: bool) -> None:
    """Print the result of one stage: a short table, and JSON where it is asked for."""
    from flows.show_print import stage_table

    stage_table(done)
    if as_json:
        print_json(done)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    with ending():
        app.meta(arguments, exit_on_error=False, print_error=False)
