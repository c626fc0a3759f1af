"""The `seqprep` command.

Commands only read arguments, call one function and print; everything heavy is imported when a
command runs, so that `--help` answers at once. Exit status: 0 done, 2 wrong use or wrong input (one
clear message), 1 anything else.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from seqprep import __version__

app = App(
    name="seqprep",
    version=__version__,
    help="Prepare sequences far longer than an LSTM handles well, and train on them.",
)

Store = Annotated[Path, Parameter(name="--store", help="Folder of the datasets.")]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="KEY=VALUE changes a key of the pipeline file, e.g. train.epochs=3.",
        negative="",
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", help="Print one JSON object as the last line.", negative="")
]
File = Annotated[Path, Parameter(help="A pipeline file (YAML).")]
STORE = Path("store")


@app.command
def run(
    files: Annotated[tuple[Path, ...], Parameter(help="Pipeline files (YAML).", negative="")],
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    folds: Annotated[str | None, Parameter(help="`all`: train and test every fold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest, prepare and train: from raw files to a scored model."""
    _prepare_for_flow(files, settings)
    from flows.pipeline import pipeline
    from flows.show import run_table

    done = [
        pipeline(file=str(file), store=str(store), settings=list(settings), folds=folds)
        for file in files
    ]
    run_table(done)
    if as_json:
        _print_json(done[0] if len(done) == 1 else {"runs": done})


@app.command
def ingest(
    file: File, /, *, store: Store = STORE, settings: Settings = (), as_json: AsJson = False
) -> None:
    """Read source files into a version of the sequences table."""
    _prepare_for_flow((file,), settings)
    from flows.ingest import ingest as flow

    _finish(flow(file=str(file), store=str(store), settings=list(settings)), as_json)


@app.command
def prepare(
    file: File, /, *, store: Store = STORE, settings: Settings = (), as_json: AsJson = False
) -> None:
    """Turn sequences into training examples, bucketed by length."""
    _prepare_for_flow((file,), settings)
    from flows.prepare import prepare as flow

    _finish(flow(file=str(file), store=str(store), settings=list(settings)), as_json)


@app.command
def train(
    file: File, /, *, store: Store = STORE, settings: Settings = (), as_json: AsJson = False
) -> None:
    """Train a model on the newest examples."""
    _prepare_for_flow((file,), settings)
    from flows.train import train as flow

    _finish(flow(file=str(file), store=str(store), settings=list(settings)), as_json)


@app.command
def predict(
    bundle: Annotated[Path, Parameter(help="Folder of a model bundle.")],
    inputs: Annotated[tuple[Path, ...], Parameter(help="Raw files or folders.", negative="")],
    /,
    *,
    out: Annotated[Path, Parameter(help="The Parquet file to write.")],
    as_json: AsJson = False,
) -> None:
    """Predict new raw files, with exactly the preprocessing of the training."""
    if not (bundle / "manifest.json").is_file():
        raise _usage(f"{bundle}: not a model bundle (it has no manifest.json)")
    _start_prefect()
    from flows.predict import predict as predict_flow

    done = predict_flow(str(bundle), [str(path) for path in inputs], str(out))
    print(f"{done['rows']:,} predictions ({done['errors']:,} errors) in {done['out']}")
    _finish(done, as_json)


@app.command
def show(
    path: Annotated[Path, Parameter(help="A store, or one dataset of it.")] = STORE,
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Show datasets, their versions and what made them."""
    from flows.show import describe, print_description

    described = describe(path)
    if as_json:
        _print_json(described)
    else:
        print_description(described)


@app.command
def verify(
    path: Annotated[Path, Parameter(help="A store, a dataset or a model bundle.")] = STORE,
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a store or a bundle against its hash."""
    from flows.show import verify_path

    done = verify_path(path)
    print(f"{done['files']:,} files are what was committed")
    _finish(done, as_json)


@app.command
def schema() -> None:
    """Print the JSON Schema of the pipeline file."""
    from flows.pipeline_file import json_schema

    print(json.dumps(json_schema(), indent=1))


def _prepare_for_flow(files: tuple[Path, ...], settings: tuple[str, ...]) -> None:
    """Refuse a wrong pipeline file before anything is started, then set Prefect up."""
    from flows.pipeline_file import base, load
    from seqprep.errors import ConfigError

    for file in files:
        path = load(file, overrides=settings).source.path
        if path is not None and not (base(file) / path).exists():
            raise ConfigError(
                f"{file}: source.path: there is no {base(file) / path}; "
                "set it in the file, or with --set source.path=FOLDER"
            )
    _start_prefect()


def _start_prefect() -> None:
    from flows.environment import quiet

    if not os.environ.get("PREFECT_API_URL"):
        _say("starting Prefect ...")
    quiet(home=Path.cwd() / ".prefect")


def _finish(done: Any, as_json: bool) -> None:
    if as_json:
        _print_json(done)


def _usage(text: str) -> Exception:
    from seqprep.errors import SeqprepError

    return SeqprepError(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, allow_nan=False, default=str))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except (CycloptsError, ValueError) as error:
        if not _is_mendable(error):
            _fail(error)
        _say(f"error: {error}")
        sys.exit(2)
    except Exception as error:
        _fail(error)


def _is_mendable(error: Exception) -> bool:
    from models.config import JobError
    from seqprep.errors import SeqprepError

    return isinstance(error, CycloptsError | SeqprepError | JobError)


def _fail(error: Exception) -> None:
    if os.environ.get("SEQPREP_DEBUG"):
        traceback.print_exception(error)
    name = type(error).__name__
    _say(f"error: {name}: {error} (SEQPREP_DEBUG=1 shows where)")
    sys.exit(1)
