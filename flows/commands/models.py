"""Commands that look at a trained model.

They start no server; `flows.cli` adds them to `seqprep`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.commands.parts import (
    STORE,
    AsJson,
    Dataset,
    File,
    InStore,
    Settings,
    Store,
    at_least_one,
    check_files,
    guarded,
    here,
    print_json,
    stored_at,
)
from flows.commands.predict_paths import check_bundle
from seqprep.out_paths import check_file_path
from seqprep.schema import Split


def lag(
    bundle: Annotated[Path, Parameter(help="Folder of a model bundle.")],
    /,
    *,
    split: Annotated[Split, Parameter(help="Rows to draw from.")] = "validation",
    records: Annotated[int, Parameter(help="Rows to draw.")] = 100,
    seed: Annotated[int, Parameter(help="Of the draw.")] = 0,
    data: Annotated[
        Path | None, Parameter(help="Snapshot to draw from; else that of the training.")
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="A .json file, .csv and .png beside it; else by the bundle.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how far back a model looks: its gradient by the distance from a record's end."""
    at_least_one(records, "--records")
    if out is not None:
        check_file_path(out, suffixes=(".json",))
    bundle = here(bundle)
    check_bundle(bundle)
    guarded()
    from flows.explore.lag import lag as measure

    done = measure(str(bundle), data=data, split=split, records=records, seed=seed, out=out)
    if as_json:
        print_json(done)


def codes(
    bundle: Annotated[Path, Parameter(help="Folder of an autoencoder's bundle.")],
    /,
    *,
    dataset: Annotated[str, Parameter(help="Name of the new dataset.")],
    source_dataset: Annotated[
        str | None, Parameter(help="Whose records are encoded; else those of the training.")
    ] = None,
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Store an autoencoder's codes of a dataset as a new dataset, ready to prepare and train on."""
    bundle = here(bundle)
    check_bundle(bundle)
    guarded()
    from flows.codes import make_codes

    done = make_codes(str(bundle), dataset=dataset, store=store, source_dataset=source_dataset)
    if as_json:
        print_json(done)


def job(
    file: File,
    /,
    *,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Write the job file of a training and print its path, to train by torchrun on several nodes.

    The newest examples with these options are trained on. `seqprep train` with the same options
    then finds the model, and writes its report.
    """
    check_files((file,), settings)
    from flows.pipeline_file import load
    from flows.training.job import find_prepared, write_job
    from seqprep.stores import store_folder

    spec = load(file, overrides=settings)
    store = store_folder(store, dataset=spec.dataset)
    path, is_trained = write_job(spec, asdict(find_prepared(spec, store=store)), store=store)
    print(path)
    if as_json:
        print_json({"dataset": spec.dataset, "job": str(path), "trained": is_trained})


def models(path: Dataset, /, *, store: InStore = None, as_json: AsJson = False) -> None:
    """List the models of a dataset with their scores, and which one is current."""
    from flows.registry.current import models as listed

    _print(listed(stored_at(path, store)), as_json)


def promote(
    path: Dataset,
    run: Annotated[str, Parameter(help="Name of the model's folder, as `models` lists it.")],
    /,
    *,
    store: InStore = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the current one of its dataset, which `predict DATASET@current` takes."""
    from flows.registry.current import promote as make_current

    _print(make_current(stored_at(path, store), run), as_json)


def rollback(path: Dataset, /, *, store: InStore = None, as_json: AsJson = False) -> None:
    """Make the model current again that was so before the present one."""
    from flows.registry.current import roll_back

    _print(roll_back(stored_at(path, store)), as_json)


def _print(listed: dict[str, Any], as_json: bool) -> None:
    """Show a dataset's models, as JSON or for a person."""
    from flows.show_print import print_models

    if as_json:
        print_json(listed)
    else:
        print_models(listed)


COMMANDS: tuple[Callable[..., None], ...] = (lag, codes, job, models, promote, rollback)
"""In the order of the help text."""
