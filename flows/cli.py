"""The `seqprep` command.

Commands only read arguments, call one function and print; everything heavy is imported when a
command runs, so that `--help` answers at once. Exit status: 0 done, 2 wrong use or wrong input (one
clear message), 130 or 143 when stopped by a signal, 1 anything else.
"""

from __future__ import annotations

import json
import os
import signal
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
Prune = Annotated[
    bool,
    Parameter(
        help="Drop the rows of source files that are gone; without it they stay.", negative=""
    ),
]
Refit = Annotated[
    bool,
    Parameter(
        help="Fit vocabulary, labels and buckets anew, although data was only appended.",
        negative="",
    ),
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
    refit: Refit = False,
    prune: Prune = False,
    as_json: AsJson = False,
) -> None:
    """Ingest, prepare and train: from raw files to a scored model."""
    _prepare_for_flow(files, settings, folds=folds)
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
        )
        for file in files
    ]
    run_table(done)
    if as_json:
        _print_json(done[0] if len(done) == 1 else {"runs": done})


@app.command
def ingest(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    prune: Prune = False,
    as_json: AsJson = False,
) -> None:
    """Read source files into a version of the sequences table."""
    _prepare_for_flow((file,), settings)
    from flows.ingest import ingest as flow

    done = flow(file=str(file), store=str(store), settings=list(settings), prune=prune)
    _finish(done, as_json)


@app.command
def prepare(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    refit: Refit = False,
    as_json: AsJson = False,
) -> None:
    """Turn sequences into training examples, bucketed by length."""
    _prepare_for_flow((file,), settings)
    from flows.prepare import prepare as flow

    done = flow(file=str(file), store=str(store), settings=list(settings), refit=refit)
    _finish(done, as_json)


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
        inner = bundle / "bundle"
        hint = f"; did you mean {inner}?" if (inner / "manifest.json").is_file() else ""
        raise _usage(f"{bundle}: not a model bundle (it has no manifest.json){hint}")
    if out.is_dir() or (out.parent.exists() and not out.parent.is_dir()):
        raise _usage(
            f"--out {out}: must be the name of a new Parquet file, e.g. predictions.parquet"
        )
    _start_prefect()
    from flows.predict import predict as predict_flow

    done = predict_flow(str(bundle), [str(path) for path in inputs], str(out))
    print(f"{done['rows']:,} predictions ({done['errors']:,} errors) in {done['out']}")
    if as_json:
        _print_json(done)


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
    if as_json:
        _print_json(done)


@app.command
def schema() -> None:
    """Print the JSON Schema of the pipeline file."""
    from flows.pipeline_file import json_schema

    print(json.dumps(json_schema(), indent=1))


def _prepare_for_flow(
    files: tuple[Path, ...], settings: tuple[str, ...], *, folds: str | None = None
) -> None:
    """Refuse a wrong pipeline file before anything is started, then set Prefect up."""
    from flows.pipeline_file import base, check_folds, load
    from seqprep.errors import ConfigError

    for file in files:
        spec = load(file, overrides=settings)
        check_folds(spec, folds)
        path = spec.source.path
        if path is not None and not (base(file) / path).exists():
            raise ConfigError(
                f"{file}: source.path: there is no {base(file) / path}; "
                "set it in the file, or with --set source.path=FOLDER"
            )
    _start_prefect()


def _start_prefect() -> None:
    from flows import guard
    from flows.environment import quiet

    guard.start()
    if not os.environ.get("PREFECT_API_URL"):
        _say("starting Prefect ...")
    quiet(home=Path.cwd() / ".prefect")


def _finish(done: Any, as_json: bool) -> None:
    """Print the result of one stage: a short table, and JSON where it is asked for."""
    from flows.show import stage_table

    stage_table(done)
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
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app(arguments, exit_on_error=False, print_error=False)
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


def _interrupted(number: int, frame: object) -> None:
    """Let a running training write its checkpoint, say one line, and end at once.

    Not by an exception: Prefect's temporary server gets the same Ctrl-C, and a flow that goes on
    would wait for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "flows.train" in sys.modules:
        from flows.train import RUNNING, stop

        if RUNNING:
            _say("stopping; the training writes a checkpoint ...")
        for process in list(RUNNING):
            stop(process)
    _say("stopped; the same command goes on from here")
    os._exit(128 + number)


def _is_mendable(error: Exception) -> bool:
    from models.checks import JobError
    from seqprep.errors import SeqprepError

    return isinstance(error, CycloptsError | SeqprepError | JobError)


def _fail(error: Exception) -> None:
    if os.environ.get("SEQPREP_DEBUG"):
        traceback.print_exception(error)
    name = type(error).__name__
    _say(f"error: {name}: {error} (SEQPREP_DEBUG=1 shows where)")
    sys.exit(1)
