"""Commands that predict: named files into one file, or the new files of a folder as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.commands.parts import (
    SETTLE_S,
    STORE,
    AsJson,
    Bundle,
    Store,
    bundle_at,
    print_json,
    start_prefect,
    stream_every,
)
from flows.commands.predict_paths import check_bundle, check_inbox, check_prediction
from flows.reporting.counted import counted


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
    start_prefect()
    from flows.predict import predict as predict_flow

    done = predict_flow(
        str(folder), [str(path) for path in inputs], str(out), every=steps, attention=attention
    )
    errors = counted(done["errors"], "error")
    print(f"{done['rows']:,} predictions ({errors}) in {done['out']}")
    if as_json:
        print_json(done)


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
    start_prefect()
    from flows.predict_new import predict_new as flow

    done = flow(str(found), str(folder), str(out), again=again, settle_s=settle)
    if as_json:
        print_json(done)


COMMANDS: tuple[Callable[..., None], ...] = (predict, predict_new)
"""In the order of the help text."""
