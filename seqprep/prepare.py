"""`sequences` to `examples`: split, tokens, steps, scale, buckets, one commit (CONTRACT 12).

Work whose fingerprint is already committed is reused. Content is read once; between the passes it
lies on disk, so memory does not grow with the data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from seqprep.checks import check_name, parse_bytes
from seqprep.errors import ConfigError, CorruptError, SeqprepError
from seqprep.fingerprint import as_json, fingerprint
from seqprep.fitted import Fitted
from seqprep.parallel import Progress, default_workers
from seqprep.preparation.applied import apply_fitted
from seqprep.preparation.chain import Chain
from seqprep.preparation.first_pass import Encoding, Job, first_pass
from seqprep.preparation.fitting import bucket_limits, fit
from seqprep.preparation.frozen import (
    Frozen,
    Identity,
    find_done,
    find_frozen,
    identify,
    refuse_moved,
)
from seqprep.preparation.prepared import Prepared, drift, report
from seqprep.preparation.published import known_facts, snapshot_path, write_snapshot
from seqprep.preparation.roster import Roster, read_roster
from seqprep.preparation.second_pass import Finisher, second_pass, slot_schema
from seqprep.preparation.shards import Slots, write_shards
from seqprep.preparation.spill import SpillFolder, release_memory
from seqprep.preparation.totals import Totals
from seqprep.recipe import Prepare, Split, resolve_tokens
from seqprep.schema import Task
from seqprep.snapshot import Snapshot
from seqprep.source import Domain
from seqprep.staging import StagedFile, collect_stale
from seqprep.table import CommitInfo, Table
from seqprep.transforms import build_steps, check_chain
from seqprep.transforms.summarize import Summarize

__all__ = ["Prepared", "apply_fitted", "prepare", "write_snapshot"]
MAX_SLOTS = 500
"""Files that may be open at a time. Past it slots grow beyond their eighth of the memory."""


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
    refit: bool = False,
) -> Prepared:
    """Make a version of the recipe's `examples` from a version of `sequences`.

    While only data is appended, everything that was fitted stays: vocabulary, labels, scaler,
    bucket limits (see `preparation.frozen`). Records of a class that training did not know are left
    out and counted, longer rows go to the bucket without limit, and `Prepared.refit_advised` says
    when that has gone too far. Other options of the recipe fit anew and replace its examples; other
    options of the split, or of the source's label or group, are refused without `refit`.

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
        refit: fit anew on this version, and allow options that move records between splits.

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
    chain = Chain.of(steps, seed=recipe.seed)
    job = _job(sequences, version, chain, domain=domain, task=task, split=split, recipe=recipe)
    examples = Table(folder / f"examples-{recipe.recipe}")
    identity = identify(job, base=base)
    history = examples.history()
    done = find_done(examples, history, identity, refit=refit)
    if done is not None:
        return read_prepared(examples, done, recipe=recipe.recipe, began=began)
    frozen = None
    if not refit:
        refuse_moved(job, history, identity)
        frozen = find_frozen(examples, history, identity, job)
    work = _Work(
        job=job,
        examples=examples,
        identity=identity,
        frozen=frozen,
        base=base,
        threads=default_workers() if workers is None else max(workers, 1),
        progress=progress,
        name=dataset,
    )
    try:
        made = _make(work)
    except OSError as error:
        raise SeqprepError(_cannot_write(work, error)) from error
    path = write_snapshot(examples, made, recipe=recipe.recipe)
    return _prepared(examples, made, path, reused=False, began=began)


def _job(
    table: Table,
    version: int | None,
    chain: Chain,
    *,
    domain: Domain,
    task: Task,
    split: Split,
    recipe: Prepare,
) -> Job:
    version = table.version() if version is None else version
    if version is None:
        raise SeqprepError(f"{table.path}: there are no sequences yet; ingest the source first")
    params = table.info(version).params
    for key, asked in (("domain", domain), ("task", task)):
        if params.get(key, asked) != asked:
            raise ConfigError(
                f"{table.path}: version {version} was ingested with {key}: {params[key]}, but "
                f"{key}: {asked} is asked for; ingest again with source.{key}: {asked}, or name "
                "another dataset"
            )
    if split.by == "time" and task not in ("label_steps", "regress_steps"):
        raise ConfigError(
            "split by time cuts recordings and needs a label or value for each step (task: "
            f"label_steps or regress_steps), got task: {task}; use by: hash"
        )
    tokens = resolve_tokens(domain, recipe.tokens)
    return Job(
        table=table,
        version=version,
        domain=domain,
        task=task,
        split=split,
        recipe=recipe,
        tokens=tokens,
        chain=chain,
        channels=tuple(params.get("channels") or ()),
        rate_hz=params.get("rate_hz"),
        target_names=tuple(params.get("target_names") or ()),
        step_classes=tuple(params.get("target_classes") or ()),
        needs_records=any(
            isinstance(step, Summarize) and step.needs_records for step in chain.steps
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """One preparation.

    Args:
        job: what is prepared. examples: where it goes. identity: of both. name: of the dataset.
        frozen: state that is kept; None: fit anew.
        base: folder of `split.table`. threads: to use. progress: see `parallel.Progress`.
    """

    job: Job
    examples: Table
    identity: Identity
    frozen: Frozen | None
    base: Path
    threads: int
    progress: Progress | None
    name: str


def _make(work: _Work) -> int:
    """Run both passes and commit; the version."""
    job, frozen = work.job, work.frozen
    newest = work.examples.version()
    kept = None if frozen is None else frozen.fitted
    roster = read_roster(
        job.table,
        job.version,
        split=job.split,
        recipe=job.recipe,
        task=job.task,
        base=work.base,
        known=None if kept is None else kept.labels,
    )
    with SpillFolder(work.examples.path.parent) as folder:
        encoding = first_pass(
            job, roster, folder, known=kept, workers=work.threads, progress=work.progress
        )
        fitted = fit(job, roster, encoding) if kept is None else kept
        finisher = Finisher.of(
            job.chain,
            fitted,
            task=job.task,
            scale=job.recipe.scale,
            max_vocab=job.tokens.max_vocab,
        )
        files, totals, fitted = _write(work, folder, roster, encoding, finisher)
    made = report(job, roster, encoding, totals, finisher, limits=fitted.limits, dataset=work.name)
    info = CommitInfo(
        kind="examples",
        fingerprint=fingerprint(work.identity.rows, frozen and frozen.name),
        counts={**made, **drift(job, roster, encoding, totals, finisher, frozen=frozen)},
        params={
            "facts": known_facts(job, fitted, finisher, name=work.name),
            "recipe": as_json(job.recipe),
            "split": as_json(job.split),
            "split_table": work.identity.table,
            "options": work.identity.options,
            "rows": work.identity.rows,
            "frozen_from": frozen and frozen.version,
            "sequences_version": job.version,
        },
        state={"fitted": work.examples.state.put(fitted.to_bytes(), "json")},
    )
    return work.examples.commit(
        schema=finisher.schema,
        files=files,
        remove="all",
        info=info,
        partition_by=("split", "bucket"),
        base=newest,
    )


def _cannot_write(work: _Work, error: OSError) -> str:
    table, version = work.job.table, work.job.version
    stored = sum(file.size_bytes for file in table.files(version)) / 2**20
    copies = 2 + work.job.chain.views
    return (
        f"{work.examples.path}: prepare failed: {error}; about {copies} times the unpacked content "
        f"of {table.path} ({stored:.0f} MB packed) are needed there while it runs: free space, "
        "allow writing, or choose another store. Nothing was changed"
    )


def _write(
    work: _Work, folder: SpillFolder, roster: Roster, encoding: Encoding, finisher: Finisher
) -> tuple[list[StagedFile], Totals, Fitted]:
    """The second pass and the shards; their files, the numbers, and the state with its limits."""
    job, fitted = work.job, finisher.fitted
    with Slots(folder, _slots(job, encoding), slot_schema(finisher.schema)) as slots:
        totals = second_pass(
            job,
            roster,
            encoding,
            finisher,
            folder,
            slots,
            workers=work.threads,
            progress=work.progress,
        )
    release_memory()
    if work.frozen is None:
        fitted = replace(fitted, limits=bucket_limits(job, totals))
    collect_stale(work.examples.path)
    files = write_shards(
        slots,
        work.examples.path,
        finisher.schema,
        limits=fitted.limits,
        shard_bytes=parse_bytes(job.recipe.shard_bytes, key="shard_bytes"),
        workers=work.threads,
        progress=work.progress,
    )
    return files, totals, fitted


def _slots(job: Job, encoding: Encoding) -> int:
    """How many slots keep one of them, with its copies while it is sorted, within the memory."""
    memory = parse_bytes(job.recipe.memory, key="prepare.memory")
    late_views = any(step.views for _, step in job.chain.late)
    growth = 1 + job.chain.views if late_views else 1
    return min(MAX_SLOTS, max(1, -(-encoding.size_bytes * growth // (memory // 8))))


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
