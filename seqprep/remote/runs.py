"""The folder of a training in a mirror: found again on every machine, published once.

The manifest of the bundle claims the place: it is put where there is none, before any other file,
and the list of the folder's hashes comes last. So two machines that train the very same model at
once never mix their files: the second takes over what the first has published. A plain folder is
left alone.
"""

from __future__ import annotations

import time
from pathlib import Path

from seqprep.remote.mirror import Mirror, mirror_of
from seqprep.remote.sync import drop, pull_files, push_files
from seqprep.table import ConflictError

CLAIM = "bundle/manifest.json"
LAST = "files.json"
"""Stored when all other files are."""
JOB = "job.json"
OURS_AFTER_S = 3600
"""A claim this old without the rest was left by a run that died."""


def pull_run(run: Path) -> bool:
    """Bring a published training here; False where there is none, or where this is no mirror."""
    mirror = mirror_of(run)
    if mirror is None or run / LAST not in mirror.listed(run):
        return False
    pull_files(mirror, run)
    return True


def give_up_run(run: Path) -> None:
    """Let a published training that is damaged be published anew."""
    mirror = mirror_of(run)
    if mirror is not None:
        drop(mirror, [run / LAST, run / CLAIM])


def push_job(run: Path) -> None:
    """Tell others which examples are being trained on, so that `gc` leaves them."""
    mirror = mirror_of(run)
    if mirror is not None:
        push_files(mirror, [run / JOB])


def push_run(run: Path, names: list[str]) -> None:
    """Publish a finished training, or take over the same one of another machine.

    Args:
        run: its folder.
        names: of its files beside the bundle.

    Raises:
        ConflictError: if another machine is publishing it in this moment.
    """
    mirror = mirror_of(run)
    if mirror is None:
        return
    if not _claimed(mirror, run):
        if not pull_run(run):
            raise ConflictError(
                f"{mirror.address}/{mirror.name(run)}: another machine is publishing the same "
                "training; run again"
            )
        return
    bundle = sorted((run / "bundle").iterdir())
    push_files(mirror, [*bundle, *(run / name for name in names), run / LAST])


def _claimed(mirror: Mirror, run: Path) -> bool:
    """Whether the place belongs to this very bundle."""
    name, data = mirror.name(run / CLAIM), (run / CLAIM).read_bytes()
    if mirror.bucket.put_if_absent(name, data) is not None:
        return True
    listed = mirror.listed(run)
    claim = listed.get(run / CLAIM)
    with mirror.aside() as copy:
        if mirror.bucket.get(name, copy) and copy.read_bytes() == data:
            return True
    left = claim is None or claim.modified_s < time.time() - OURS_AFTER_S
    return left and run / LAST not in listed
