"""`sequences` to `examples`: split, tokens, steps, scale, buckets, one commit (CONTRACT 12).

Work whose fingerprint is already committed is reused. Content is read once; between the passes it
lies on disk, so memory does not grow with the data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from seqprep.arrow_memory import memory_for
from seqprep.checks import check_name
from seqprep.errors import ConfigError, CorruptError, SeqprepError
from seqprep.parallel import Progress, Runner, default_workers
from seqprep.preparation.applied import apply_fitted
from seqprep.preparation.chain import Chain
from seqprep.preparation.form import source_form
from seqprep.preparation.frozen import (
    find_byte_pairs,
    find_done,
    find_frozen,
    identify,
    refuse_moved,
)
from seqprep.preparation.job import Job
from seqprep.preparation.prepared import Prepared
from seqprep.preparation.published import snapshot_path, write_snapshot
from seqprep.preparation.split_table import compare_tables
from seqprep.preparation.target_text import target_steps
from seqprep.preparation.transform import Transform
from seqprep.preparation.version import cannot_publish, cannot_write, make_version
from seqprep.preparation.work import Work
from seqprep.recipe import Prepare, Split, resolve_tokens
from seqprep.schema import STEP_TASKS, Task
from seqprep.snapshot import Snapshot
from seqprep.source import Domain
from seqprep.table import Table
from seqprep.token_table import TokenTable
from seqprep.transforms import build_steps, check_chain
from seqprep.transforms.token_rule import TokenRule
from seqprep.upkeep.in_use import using

__all__ = ["Prepared", "apply_fitted", "prepare", "write_snapshot"]


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
    runner: Runner | None = None,
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
        runner: takes the passes over content elsewhere, see `preparation.spread`; the result is
            the same.

    Raises:
        ConfigError: if the options cannot work, before anything is read or written.
        CorruptError: if a stored file is not what was committed.
        SeqprepError: if the disk is full or may not be written, naming path and need.
    """
    began = time.monotonic()
    check_name(dataset, key="dataset")
    steps = build_steps(recipe)
    check_chain(steps, domain=domain, task=task, tokens=recipe.tokens)
    target_steps(recipe, task=task)
    folder = (store if runner is None else store.absolute()) / dataset
    sequences = Table(folder / "sequences")
    job = plan_job(
        sequences,
        version,
        steps,
        domain=domain,
        task=task,
        split=split,
        recipe=recipe,
        tables=read_tables(steps, base=base),
    )
    examples = Table(folder / f"examples-{recipe.recipe}")
    history = examples.history()
    identity = identify(job, compare_tables(job, examples, history, base=base))
    done = find_done(examples, history, identity, refit=refit)
    if done is not None:
        return read_prepared(examples, done, recipe=recipe.recipe, began=began)
    frozen = None
    if not refit:
        refuse_moved(job, history, identity)
        frozen = find_frozen(examples, history, identity, job)
        if frozen is None:
            job = replace(job, byte_pairs=find_byte_pairs(examples, history, identity))
    work = Work(
        job=job,
        examples=examples,
        identity=identity,
        frozen=frozen,
        base=base,
        threads=default_workers() if workers is None else max(workers, 1),
        progress=progress,
        name=dataset,
        runner=runner,
    )
    try:
        with using(folder), memory_for(domain):
            made = make_version(work)
    except OSError as error:
        raise SeqprepError(cannot_write(work, error)) from error
    path = _publish(examples, made, recipe=recipe.recipe)
    return _prepared(examples, made, path, reused=False, began=began)


def plan_job(
    table: Table,
    version: int | None,
    steps: Sequence[Transform],
    *,
    domain: Domain,
    task: Task,
    split: Split,
    recipe: Prepare,
    tables: Mapping[str, TokenTable],
) -> Job:
    """What is to be prepared, checked against what the sequences are.

    Args:
        table: of sequences.
        version: of it; default the newest.
        steps: of the recipe, checked.
        domain: as in the pipeline file.
        task: as in the pipeline file.
        split: as in the pipeline file.
        recipe: as in the pipeline file.
        tables: of tokens, that the steps name.

    Raises:
        SeqprepError: if there are no sequences yet.
        ConfigError: if they were ingested otherwise, or the steps cannot serve them.
    """
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
    if split.by == "time" and task not in STEP_TASKS:
        raise ConfigError(
            "split by time cuts recordings and needs a label or value for each step (task: "
            f"label_steps or regress_steps), got task: {task}; use by: hash"
        )
    tokens = resolve_tokens(domain, recipe.tokens)
    channels, rate_hz = tuple(params.get("channels") or ()), params.get("rate_hz")
    form = source_form(tokens.unit, channels=channels, rate_hz=rate_hz)
    return Job(
        table=table,
        version=version,
        domain=domain,
        task=task,
        split=split,
        recipe=recipe,
        tokens=tokens,
        chain=Chain.of(steps, seed=recipe.seed, form=form),
        channels=channels,
        rate_hz=rate_hz,
        target_names=tuple(params.get("target_names") or ()),
        step_classes=tuple(params.get("target_classes") or ()),
        tables=tables,
    )


def read_tables(steps: Sequence[Transform], *, base: Path) -> dict[str, TokenTable]:
    """The tables of tokens that steps name, by the path as it is written.

    Args:
        steps: of a recipe.
        base: folder that their paths are relative to.

    Raises:
        ConfigError: if one is missing, or no such table.
    """
    rules = [step for step in steps if isinstance(step, TokenRule) and step.table is not None]
    return {
        str(rule.table): TokenTable.read(base / str(rule.table), key=_option_of(rule))
        for rule in rules
    }


def _option_of(rule: TokenRule) -> str:
    """The option that names a rule's table, as it stands in the file."""
    key = next(key for key, value in rule.options().items() if value == rule.table)
    return f"{rule.name}.{key}"


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
        path = _publish(examples, version, recipe=recipe)
    return _prepared(examples, version, path, reused=True, began=began)


def _publish(examples: Table, version: int, *, recipe: str) -> Path:
    """Write the snapshot of a version that is committed; its path.

    Raises:
        SeqprepError: if the disk is full or may not be written. The version stands.
    """
    try:
        return write_snapshot(examples, version, recipe=recipe)
    except OSError as error:
        raise SeqprepError(cannot_publish(examples, version, error, recipe=recipe)) from error


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
