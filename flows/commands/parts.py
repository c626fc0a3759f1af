"""What commands share: their arguments, the check of pipeline files, JSON on the last line.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flows.commands.ending import tell
from seqprep.errors import ConfigError
from seqprep.remote.address import is_remote, parse

Store = Annotated[
    Path, Parameter(name="--store", help="Folder of the datasets, or s3://BUCKET/PREFIX.")
]
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
Rehash = Annotated[
    bool,
    Parameter(help="Open also files whose size, times and inode are as before.", negative=""),
]
Refit = Annotated[
    bool,
    Parameter(
        help="Fit vocabulary, labels and buckets anew, although data was only appended.",
        negative="",
    ),
]
IfNewer = Annotated[
    bool,
    Parameter(
        help="Train only if the examples are newer than the newest model's, and train.retrain "
        "says that it pays.",
        negative="",
    ),
]
RunnerOption = Annotated[
    Literal["local", "dask"],
    Parameter(name="--runner", help="Where the work is done: here, or on a Dask cluster."),
]
Address = Annotated[
    str | None,
    Parameter(help="Of a Dask scheduler, tcp://HOST:PORT; else --runner dask starts one here."),
]
File = Annotated[Path, Parameter(help="A pipeline file (YAML).")]
Bundle = Annotated[str, Parameter(help="Folder of a model bundle, or DATASET@current of a store.")]
STORE = Path("store")
EVERY = 100
"""Steps between two predictions of a stream where a person names none."""
ANSWERS_S = 10.0
"""Seconds in which Prefect's server must answer."""
SETTLE_S = 5.0
"""A new file that nothing has touched for so many seconds is taken to be whole."""
InStore = Annotated[
    Path | None, Parameter(name="--store", help="Folder of the datasets that the path lies in.")
]


Dataset = Annotated[Path, Parameter(help="One dataset: STORE/DATASET.")]


def stored_at(path: Path | None, store: Path | None) -> Path:
    """The store or dataset that is meant: a path by itself, or inside `--store`.

    >>> str(stored_at(Path("a"), Path("s"))), str(stored_at(Path("s/a"), None))
    ('s/a', 's/a')
    """
    if path is None:
        return here(STORE if store is None else store)
    return here(path if store is None else store / path)


def store_name(store: Path) -> str:
    """A store as flows take it: `Path` makes one slash of the two in an address.

    Raises:
        ConfigError: if an address, or that of its server, is none.

    >>> store_name(Path("store")), store_name(Path("s3://bucket/a/"))
    ('store', 's3://bucket/a')
    """
    return str(parse(store)) if is_remote(store) else str(store)


def here(path: Path) -> Path:
    """The folder of a store, a dataset or a bundle: itself, or where it is mirrored from S3."""
    if not is_remote(path):
        return path
    from seqprep.stores import located

    return located(path)


def bundle_at(name: str, store: Path) -> Path:
    """The folder of a bundle that is named by itself, or as DATASET@current of a store.

    >>> str(bundle_at("store/reviews/models/words-1f/bundle", Path("store")))
    'store/reviews/models/words-1f/bundle'
    """
    if "@" not in name:  # a registry is slow to import
        return here(Path(name))
    from flows.registry.bundles import find_bundle

    return find_bundle(name, store=store)


def check_files(
    files: Sequence[Path],
    settings: tuple[str, ...],
    *,
    folds: str | None = None,
    tables: bool = False,
    if_newer: bool | None = None,
) -> None:
    """Refuse a wrong pipeline file, or one whose source is not there.

    Args:
        files: pipeline files.
        settings: `a.b=value` texts that change their values.
        folds: as `run` takes it.
        tables: whether tables of tokens and splits must be there, too.
        if_newer: as `run` and `train` take it; none: nothing is to be trained.

    Raises:
        ConfigError: saying which file and what to do.
    """
    from flows.pipeline_file import base, check_folds, load

    for file in files:
        spec = load(file, overrides=settings)
        check_folds(spec, folds)
        if if_newer is not None:
            from flows.training.due import is_asked

            is_asked(spec, if_newer, folds=folds)
        path = spec.source.path
        if path is not None and not (base(file) / path).exists():
            raise ConfigError(
                f"{file}: source.path: there is no {base(file) / path}; "
                "set it in the file, or with --set source.path=FOLDER"
            )
        if tables:
            from flows.references import check_tables

            check_tables(spec, base=base(file))


def standing_model(
    file: Path, settings: tuple[str, ...], *, store: Path, if_newer: bool
) -> dict[str, Any] | None:
    """What `train` tells where a training depends on newer examples and none is due; else None.

    Args:
        file: a pipeline file.
        settings: `a.b=value` texts that change its values.
        store: folder of the datasets.
        if_newer: as `train` takes it.
    """
    from flows.pipeline_file import load
    from flows.training.due import find_standing, is_asked
    from seqprep.stores import store_folder

    spec = load(file, overrides=settings)
    if not is_asked(spec, if_newer):
        return None
    return find_standing(spec, store=store_folder(store, dataset=spec.dataset))


def guarded() -> None:
    """End trainings with this process; keep Prefect's settings, which no server reads, here."""
    from flows.commands import guard
    from flows.environment import quiet

    guard.start()
    quiet(home=Path.cwd() / ".prefect")


def start_prefect() -> None:
    """Set Prefect up for a flow of this command: quiet, in this folder, ended with it.

    Raises:
        ConfigError: if PREFECT_API_URL names a server that does not answer.
    """
    from flows import empty_database
    from flows.commands import guard
    from flows.environment import quiet

    url = os.environ.get("PREFECT_API_URL")
    if url:
        check_server(url)
    guard.start()
    quiet(home=Path.cwd() / ".prefect")
    if not url:
        home = Path(os.environ["PREFECT_HOME"])
        tell(starting(home))
        empty_database.place(home)


def starting(home: Path) -> str:
    """What is said while Prefect's temporary server starts.

    Args:
        home: of Prefect, which makes its database there at the first start if none is kept.
    """
    from flows import empty_database

    if empty_database.is_made(home):
        return "starting Prefect ..."
    return "starting Prefect; the first time in this folder it makes its database ..."


def check_server(url: str) -> None:
    """Refuse a server that nobody reaches, before anything is imported that would wait for it.

    Args:
        url: of its API.

    Raises:
        ConfigError: saying what to start, or to unset.
    """
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=ANSWERS_S):
            pass
    except urllib.error.HTTPError:
        return  # something answers, and Prefect says what it wants
    except (OSError, ValueError, HTTPException) as error:
        why = getattr(error, "reason", error)
        if isinstance(why, ssl.SSLError):
            return  # Prefect has settings of its own for this
        raise ConfigError(
            f"PREFECT_API_URL is {url}, where no server answers ({why}); start it, as by "
            "`./run up`, or unset PREFECT_API_URL: then the command starts Prefect by itself"
        ) from error


def at_least_one(value: int, name: str) -> None:
    """Refuse a count below 1.

    Raises:
        ConfigError: naming the option.
    """
    if value < 1:
        raise ConfigError(f"{name} must be >= 1, got {value}")


def stream_every(stream: bool, every: int | None) -> int | None:
    """Steps between two predictions of a stream; None without one.

    >>> stream_every(True, None), stream_every(True, 7), stream_every(False, None)
    (100, 7, None)

    Raises:
        ConfigError: if steps are named without a stream, or fewer than one.
    """
    if not stream:
        if every is not None:
            raise ConfigError(f"--every {every} has no meaning without --stream")
        return None
    every = EVERY if every is None else every
    at_least_one(every, "--every")
    return every


def names(text: str) -> tuple[str, ...]:
    """What a person named with commas between.

    >>> names("sgd, adam"), names("")
    (('sgd', 'adam'), ())
    """
    return tuple(filter(None, text.replace(" ", "").split(",")))


def print_json(value: Any) -> None:
    """One JSON object on a line of its own."""
    print(json.dumps(value, allow_nan=False, default=str))
