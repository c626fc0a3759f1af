"""The `predict-new` flow: new raw files in a folder -> rows in a Delta table, once each."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from prefect import flow, task

from flows.commands.parts import SETTLE_S
from flows.commands.predict_paths import check_bundle, check_inbox
from flows.faults import RETRIED
from flows.notify import TOLD
from flows.prediction.answers import Predictor
from flows.prediction.inbox import predict_inbox
from flows.prediction.told import told_of_new_files
from flows.progress import say, stage
from flows.references import Json
from flows.registry.bundles import find_bundle
from flows.reporting.artifacts import predict_new_artifact
from flows.turns import turn
from seqprep.errors import SeqprepError


@task(name="predict new files", **RETRIED)
def predict_new_files(
    bundle: str, folder: str, *, out: str, again: bool = False, settle_s: float = SETTLE_S
) -> Json:
    """Predict the files of a folder that have no predictions yet; a commit for some at a time."""
    started_s = time.monotonic()
    check_bundle(Path(bundle))
    check_inbox(Path(folder), Path(out))
    predictor = Predictor.read(Path(bundle))
    dataset = predictor.spec.dataset
    with (
        turn("predictions", dataset=dataset, store=out),
        stage(f"{dataset}: predict new files of {folder}") as progress,
    ):
        try:
            done = predict_inbox(
                predictor,
                Path(folder),
                Path(out),
                settle_s=settle_s,
                again=again,
                progress=progress,
            )
        except (ConnectionError, TimeoutError, BlockingIOError):
            raise
        except OSError as error:
            raise SeqprepError(
                f"{out}: predicting failed: {error}; free space there, or allow writing, and run "
                "again: what was committed stays"
            ) from error
    found = {
        "dataset": dataset,
        "folder": folder,
        "out": out,
        "bundle": bundle,
        "digest": predictor.digest,
        **asdict(done),
        "seconds": time.monotonic() - started_s,
    }
    for line in told_of_new_files(found):
        say(line)
    return found


@flow(name="predict-new", flow_run_name="predict-new-{folder}", **TOLD)
def predict_new(
    bundle: str,
    folder: str,
    out: str,
    again: bool = False,
    settle_s: float = SETTLE_S,
    store: str = "store",
) -> Json:
    """Predict new raw files as they come: each once, also where a run was killed.

    Args:
        bundle: folder of a bundle, or DATASET@current.
        folder: where the files arrive, in the form that the model was trained on.
        out: folder of the predictions; the table `predictions` in it is Delta.
        again: also files that another model predicted; its rows are replaced.
        settle_s: seconds that nothing must have touched a file; until then it is left alone.
        store: folder of the datasets, where DATASET@current is meant.

    Returns:
        How many files were predicted, were done before, or are left for the next look.
    """
    found = str(find_bundle(bundle, store=Path(store)))
    done = predict_new_files(found, folder, out=out, again=again, settle_s=settle_s)
    predict_new_artifact(done)
    return done
