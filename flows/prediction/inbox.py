"""The new files of a folder, each predicted once: groups of files, one commit each.

What is done is told by the rows that are stored; see `seqprep.inbox`. A run that is killed leaves
the groups that it committed, and the next one does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from flows.prediction.answers import Predictor, error_rows, predictions_schema
from models.answers.beside import MOST_SHOWN
from seqprep.errors import Rejection
from seqprep.fingerprint import fingerprint
from seqprep.inbox.done import KEYS, is_due
from seqprep.inbox.look import look
from seqprep.inbox.origin import Origin
from seqprep.inbox.predictions import Predictions, Published, part_name
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.hashes import NAME as HASHES
from seqprep.ingestion.hashes import is_as_hashed
from seqprep.ingestion.source_chunks import group_files
from seqprep.new_files import read_files
from seqprep.staging import StagedFile, StagedWriter, collect_stale
from seqprep.upkeep.in_use import using

Progress = Callable[[str, int, int], None]


@dataclass(kw_only=True, slots=True)
class Predicted:
    """What a run did.

    Args:
        files, rows, errors: that were added. replaced: files of these that had rows before.
        known: files that were done before, by the digest of the model that predicted them.
        elsewhere: files that another run predicted meanwhile.
        waiting: files that are left for the next look, and why.
        version: of the table; None where there is none yet.
    """

    files: int = 0
    rows: int = 0
    errors: int = 0
    replaced: int = 0
    known: dict[str, int] = field(default_factory=dict)
    elsewhere: int = 0
    waiting: dict[str, str] = field(default_factory=dict)
    version: int | None = None

    def take(self, published: Published | None, *, files: int) -> None:
        """Count what became of a group of files."""
        if published is None:
            self.elsewhere += files
            return
        self.files += published.files
        self.rows += published.rows
        self.errors += published.errors
        self.replaced += published.replaced
        self.elsewhere += files - published.files
        self.version = published.version


def _silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


def predict_inbox(
    predictor: Predictor,
    folder: Path,
    out: Path,
    *,
    settle_s: float,
    again: bool = False,
    progress: Progress = _silent,
) -> Predicted:
    """Predict the files of a folder that have no predictions yet.

    Args:
        predictor: to predict with.
        folder: to look into.
        out: the folder of the predictions.
        settle_s: seconds that nothing must have touched a file.
        again: also files that another model predicted; its rows are replaced.
        progress: called as (what, done, total).

    Raises:
        SeqprepError: if `out` holds predictions of another kind or of another folder, or something
            lies in the folder that must not.
    """
    stored = Predictions(out)
    origin = _origin(predictor, folder)
    version = stored.table.version()
    stored.check(origin, version)
    with using(out):
        collect_stale(stored.table.path)
        found = look(predictor.spec.source, folder, cache=out / HASHES, settle_s=settle_s)
        before = stored.done(version)
        due = [
            file
            for file in found.files
            if is_due(before.get(file.path), file.sha256, predictor.digest, again=again)
        ]
        done = Predicted(version=version, waiting=found.waiting)
        known = {file.path for file in found.files} - {file.path for file in due}
        done.known = dict(Counter(before[path].bundle for path in sorted(known)))
        handled = 0
        for group in group_files(due):
            progress("files", handled, len(due))
            published, changed = _predict_group(
                predictor, group, stored, origin, again=again, progress=progress
            )
            done.take(published, files=len(group) - len(changed))
            done.waiting |= dict.fromkeys(changed, "changed while it was read")
            handled += len(group)
        progress("files", handled, len(due))
    return done


def _origin(predictor: Predictor, folder: Path) -> Origin:
    facts = predictor.model.facts
    schema = predictions_schema(predictor.model)
    for key in KEYS:
        schema = schema.append(key)
    symbols = predictor.symbols()
    about = predictor.about()
    del about["bundle"]  # a table may hold rows of several
    return Origin(
        schema=schema.with_metadata(about),
        kind={
            "domain": facts.domain,
            "task": facts.task,
            "labels": list(facts.labels),
            "columns": [f"{field.name} {_type_name(field.type)}" for field in schema],
            # Where there are more, no row has `probabilities` of them.
            "symbols": fingerprint(symbols)[:12] if 0 < len(symbols) <= MOST_SHOWN else "",
        },
        folder=folder.resolve(),
        bundle=predictor.digest,
        bundle_path=str(predictor.folder.resolve()),
    )


def _type_name(type_: pa.DataType) -> str:
    """Of a column, whatever Arrow calls the elements of its lists.

    >>> _type_name(pa.list_(pa.float32()))
    'list of float'
    """
    return f"list of {type_.value_type}" if pa.types.is_list(type_) else str(type_)


def _predict_group(
    predictor: Predictor,
    group: Sequence[SourceFile],
    stored: Predictions,
    origin: Origin,
    *,
    again: bool,
    progress: Progress,
) -> tuple[Published | None, set[str]]:
    """Predict some files and commit their rows; also which of them changed while they were read."""
    changed: set[str] = set()
    while left := [file for file in group if file.path not in changed]:
        part = _write(predictor, left, stored, origin, progress=progress)
        now = {file.path for file in left if not is_as_hashed(file)}
        if not now:
            return stored.publish(part, origin, again=again), changed
        changed |= now
        (stored.table.path / part.path).unlink()
    return None, changed


def _write(
    predictor: Predictor,
    files: Sequence[SourceFile],
    stored: Predictions,
    origin: Origin,
    *,
    progress: Progress,
) -> StagedFile:
    """Stage the rows of some files, at least one of each."""
    sha256 = {file.path: file.sha256 for file in files}
    plain = predictions_schema(predictor.model)
    records = read_files(predictor.spec.source, files, facts=predictor.facts)
    seen: set[str] = set()
    with StagedWriter(stored.table.path, part_name(), origin.schema) as writer:
        for rows, _ in predictor.answers(records, plain):
            seen.update(rows["source"].unique().to_pylist())
            writer.write(_keyed(rows, sha256, predictor.digest))
            progress("records", writer.rows, writer.rows)
        empty = [
            Rejection(source=path, record=None, line=None, reason="empty", detail="holds no record")
            for path in sha256.keys() - seen
        ]
        writer.write(_keyed(error_rows(empty, plain), sha256, predictor.digest))
    return writer.staged


def _keyed(rows: pa.Table, sha256: Mapping[str, str], digest: str) -> pa.Table:
    """Rows with the digests of their file and of the model."""
    hashes = [sha256[path] for path in rows["source"].to_pylist()]
    rows = rows.append_column(KEYS[0], pa.array(hashes, pa.string()))
    return rows.append_column(KEYS[1], pa.array([digest] * len(rows), pa.string()))
