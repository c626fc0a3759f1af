"""`sequences` to `examples`: split, tokens, steps, scale, buckets, one commit (CONTRACT 12).

Work whose fingerprint is already committed is reused. Content is read once; between the passes it
lies on disk, so memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from seqprep.buckets import best_limits, bin_lengths
from seqprep.checks import check_name, parse_bytes
from seqprep.errors import ConfigError, CorruptError, SeqprepError
from seqprep.fingerprint import as_json, fingerprint
from seqprep.fitted import Fitted
from seqprep.parallel import Progress, default_workers
from seqprep.preparation.applied import apply_fitted
from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Transform
from seqprep.preparation.first_pass import Encoding, Job, first_pass
from seqprep.preparation.prepared import Prepared, report
from seqprep.preparation.published import known_facts, snapshot_path, write_snapshot
from seqprep.preparation.roster import Roster, read_roster
from seqprep.preparation.scaling import Scaler
from seqprep.preparation.second_pass import Finisher, second_pass, slot_schema
from seqprep.preparation.shards import Slots, write_shards
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.totals import Totals
from seqprep.recipe import Prepare, Split, resolve_tokens
from seqprep.schema import Task
from seqprep.snapshot import Snapshot
from seqprep.source import Domain
from seqprep.splits import TRAIN
from seqprep.staging import collect_stale
from seqprep.table import CommitInfo, Table
from seqprep.transforms import build_steps, check_chain, name_of
from seqprep.transforms.summarize import Summarize
from seqprep.vocabulary import build_vocabulary

__all__ = ["Prepared", "apply_fitted", "prepare", "write_snapshot"]
MAX_SLOTS = 500
"""Files that may be open at a time. Past it slots grow beyond their eighth of the memory."""
VERSION = 1
"""Part of every fingerprint: raised when the same options give other rows."""


def prepare(
    *,
    dataset: str,
    store: Path,
    domain: Domain,
    task: Task,
    split: Split,
    recipe: Prepare,
    workers: int | None = None,
    progress: Progress | None = None,
    base: Path = Path("."),
    version: int | None = None,
) -> Prepared:
    """Make a version of the recipe's `examples` from a version of `sequences`.

    Args:
        dataset: its name in the store.
        store: folder of the datasets.
        domain: as in the pipeline file.
        task: as in the pipeline file.
        split: as in the pipeline file.
        recipe: as in the pipeline file.
        workers: threads; the result is the same for any number.
        progress: called as (what, done, total).
        base: folder that `split.table` is relative to.
        version: of `sequences`; default the newest.

    Raises:
        ConfigError: if the options cannot work, before anything is read or written.
        CorruptError: if a stored file is not what was committed.
    """
    began = time.monotonic()
    check_name(dataset, key="dataset")
    steps = build_steps(recipe)
    check_chain(steps, domain=domain, task=task, tokens=recipe.tokens)
    folder = store / dataset
    sequences = Table(folder / "sequences")
    job = _job(sequences, version, domain=domain, task=task, split=split, recipe=recipe)
    examples = Table(folder / f"examples-{recipe.recipe}")
    mark = _fingerprint(job, steps, base=base)
    found = [number for number, _, info in examples.history() if info.fingerprint == mark]
    if found:
        return read_prepared(examples, found[-1], recipe=recipe.recipe, began=began)
    made = _make(job, examples, mark, base=base, workers=workers, progress=progress, name=dataset)
    path = write_snapshot(examples, made, recipe=recipe.recipe)
    return _prepared(examples, made, path, reused=False, began=began)


def _job(
    table: Table, version: int | None, *, domain: Domain, task: Task, split: Split, recipe: Prepare
) -> Job:
    version = table.version() if version is None else version
    if version is None:
        raise SeqprepError(f"{table.path}: there are no sequences yet; ingest the source first")
    params = table.info(version).params
    steps = build_steps(recipe)
    tokens = resolve_tokens(domain, recipe.tokens)
    return Job(
        table=table,
        version=version,
        domain=domain,
        task=task,
        split=split,
        recipe=recipe,
        tokens=tokens,
        chain=Chain.of(steps, seed=recipe.seed),
        channels=tuple(params.get("channels") or ()),
        rate_hz=params.get("rate_hz"),
        target_names=tuple(params.get("target_names") or ()),
        step_classes=tuple(params.get("target_classes") or ()),
        needs_records=any(isinstance(step, Summarize) and step.needs_records for step in steps),
    )


def _fingerprint(job: Job, steps: Sequence[Transform], *, base: Path) -> str:
    info = job.table.info(job.version)
    listed = None
    if job.split.table is not None and (base / job.split.table).is_file():
        listed = hashlib.sha256((base / job.split.table).read_bytes()).hexdigest()
    versions = [(name_of(step), step.version) for step in steps]
    content = [info.fingerprint, info.state.get("manifest")]
    return fingerprint(
        VERSION, content, job.domain, job.task, job.split, listed, job.recipe, versions
    )


def _make(
    job: Job,
    examples: Table,
    mark: str,
    *,
    base: Path,
    workers: int | None,
    progress: Progress | None,
    name: str,
) -> int:
    threads = default_workers() if workers is None else max(workers, 1)
    newest = examples.version()
    roster = read_roster(
        job.table, job.version, split=job.split, recipe=job.recipe, task=job.task, base=base
    )
    with SpillFolder(examples.path.parent) as folder:
        encoding = first_pass(job, roster, folder, workers=threads, progress=progress)
        fitted = _fit(job, roster, encoding)
        finisher = Finisher.of(
            job.chain,
            fitted,
            task=job.task,
            scale=job.recipe.scale,
            max_vocab=job.tokens.max_vocab,
        )
        count = _slots(job, encoding)
        with Slots(folder, count, slot_schema(finisher.schema)) as slots:
            totals = second_pass(
                job, roster, encoding, finisher, folder, slots, workers=threads, progress=progress
            )
        fitted = replace(fitted, limits=_limits(job, totals))
        collect_stale(examples.path)
        files = write_shards(
            slots,
            examples.path,
            finisher.schema,
            limits=fitted.limits,
            shard_bytes=parse_bytes(job.recipe.shard_bytes, key="shard_bytes"),
            workers=threads,
            progress=progress,
        )
    info = CommitInfo(
        kind="examples",
        fingerprint=mark,
        counts=report(job, roster, encoding, totals, finisher, limits=fitted.limits, dataset=name),
        params={
            "facts": known_facts(job, fitted, finisher, name=name),
            "recipe": as_json(job.recipe),
            "split": as_json(job.split),
            "sequences_version": job.version,
        },
        state={"fitted": examples.state.put(fitted.to_bytes(), "json")},
    )
    return examples.commit(
        schema=finisher.schema,
        files=files,
        remove="all",
        info=info,
        partition_by=("split", "bucket"),
        base=newest,
    )


def _fit(job: Job, roster: Roster, encoding: Encoding) -> Fitted:
    """Everything that is learnt from training rows, but for the buckets."""
    vocabulary: tuple[str, ...] = ()
    if encoding.frequency is not None:
        steps = build_steps(job.recipe)
        built = build_vocabulary(encoding.frequency, steps, max_vocab=job.tokens.max_vocab)
        vocabulary = tuple(built.tokens.to_pylist())
    targets: tuple[str, ...] = ()
    if encoding.target_frequency is not None:
        limit = job.recipe.target_tokens.max_vocab
        targets = tuple(encoding.target_frequency.tokens[:limit].to_pylist())
    scaled = job.recipe.scale == "channel" and encoding.moments is not None
    labels = roster.names
    if job.task == "label_steps":
        labels = _step_names(job, encoding)
    return Fitted(
        frequency=encoding.frequency,
        vocabulary=vocabulary,
        target_vocabulary=targets,
        labels=labels,
        step_codes=encoding.step_labels,
        channels=job.channels,
        target_names=job.target_names,
        rate_hz=job.rate_hz,
        scaler=Scaler.of(encoding.moments) if scaled and encoding.moments else None,
    )


def _step_names(job: Job, encoding: Encoding) -> tuple[str, ...]:
    names, codes = job.step_classes, encoding.step_labels
    if len(codes) < 2:
        raise ConfigError(
            f"there is nothing to tell apart: the training steps have {len(codes)} label(s); "
            "check source.target and the split"
        )
    return tuple(str(names[code]) if code < len(names) else str(code) for code in codes)


def _slots(job: Job, encoding: Encoding) -> int:
    """How many slots keep one of them, with its copies while it is sorted, within the memory."""
    memory = parse_bytes(job.recipe.memory, key="prepare.memory")
    late_views = any(step.views for _, step in job.chain.late)
    growth = 1 + job.chain.views if late_views else 1
    return min(MAX_SLOTS, max(1, -(-encoding.size_bytes * growth // (memory // 8))))


def _limits(job: Job, totals: Totals) -> tuple[int, ...]:
    if not isinstance(job.recipe.buckets, int):
        return tuple(job.recipe.buckets)
    edges, rows = bin_lengths(totals.units[totals.splits == TRAIN].astype(np.int64))
    return best_limits(edges, rows, count=job.recipe.buckets)


def read_prepared(
    examples: Table, version: int, *, recipe: str, began: float | None = None
) -> Prepared:
    """A committed version as it is; its snapshot is written again where it is gone.

    Args:
        examples: the recipe's table.
        version: of it.
        recipe: its name.
        began: monotonic seconds when the work began; default now.
    """
    began = time.monotonic() if began is None else began
    path = snapshot_path(examples, version, recipe=recipe)
    try:
        Snapshot.read(path)
    except CorruptError:
        path = write_snapshot(examples, version, recipe=recipe)
    return _prepared(examples, version, path, reused=True, began=began)


def _prepared(
    examples: Table, version: int, snapshot: Path, *, reused: bool, began: float
) -> Prepared:
    counts = examples.info(version).counts
    return Prepared(
        **{**counts, "buckets": tuple(counts["buckets"])},
        version=version,
        snapshot=str(snapshot),
        reused=reused,
        seconds=time.monotonic() - began,
    )
