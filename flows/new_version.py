"""Tell Prefect's server that a dataset has new examples, so that others can act on it.

The event `seqprep.dataset.new-version` is sent by a flow whose preparation committed a version; one
that found everything done sends none, and neither does a command on its own temporary server, where
nobody listens. prefect.yaml has a trigger that starts a training on it. Not for deciding what is to
be done: an event may be lost or come twice, `training.due` reads the tables.
"""

from __future__ import annotations

import logging
from pathlib import Path

from prefect.events import emit_event
from prefect.settings import get_current_settings

from flows.references import Json

EVENT = "seqprep.dataset.new-version"
RESOURCE = "seqprep.dataset"
logger = logging.getLogger(__name__)


def announce(
    done: Json,
    *,
    file: str | None,
    store: str,
    settings: list[str] | None = None,
    trains: bool = False,
) -> None:
    """Send the event where a version was committed; whatever goes wrong is logged, not raised.

    Args:
        done: what `prepare` made.
        file: path of the pipeline file, where the flow was called with one.
        store: folder of the datasets.
        settings: that changed the file's values.
        trains: whether the flow itself goes on to train. The label `seqprep.training` says
            `follows` then, `asked` where it is left to others, and `none` where they cannot train,
            for there is no file.
    """
    if done["reused"] or get_current_settings().api.url is None:
        return
    try:
        emit_event(
            event=EVENT,
            resource={
                "prefect.resource.id": f"{RESOURCE}.{done['dataset']}",
                "prefect.resource.name": done["dataset"],
                "seqprep.recipe": done["recipe"],
                "seqprep.training": "follows" if trains else "asked" if file else "none",
            },
            payload=payload(done, file=file, store=store, settings=settings),
        )
    except Exception:
        logger.warning("the new version of %s was not announced", done["dataset"], exc_info=True)


def payload(done: Json, *, file: str | None, store: str, settings: list[str] | None) -> Json:
    """What the event carries: small, and enough to train on the version.

    Args:
        done: what `prepare` made.
        file: path of the pipeline file, or None.
        store: folder of the datasets.
        settings: that changed the file's values.
    """
    since = done["drift"].get("since_fit", {})
    return {
        "dataset": done["dataset"],
        "recipe": done["recipe"],
        "examples_version": done["version"],
        "sequences_version": done["sequences_version"],
        "rows": done["rows"],
        "records_added": done["added"],
        "records_removed": done["removed"],
        "drift": {key: value for key, value in since.items() if isinstance(value, int | float)},
        "refit_advised": done["refit_advised"],
        "file": file and str(Path(file).resolve()),
        "store": store if "://" in store else str(Path(store).resolve()),
        "settings": list(settings or ()),
    }
