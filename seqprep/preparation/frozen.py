"""Fitted state that stays as it is while data is appended (CONTRACT 9).

A version of `examples` keeps the state of the newest version that was made with the same options:
vocabulary, labels, scaler, bucket limits. Yesterday's model then reads today's rows. Only
`refit=True` fits anew on the same options; other options of the recipe or the reader fit anew by
themselves. Options that would move old rows between splits, or give them other labels, are refused
without `refit`: what was trained on before could be tested on now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqprep.checks import as_written
from seqprep.errors import ConfigError, CorruptError
from seqprep.fingerprint import as_json, fingerprint
from seqprep.fitted import Fitted
from seqprep.preparation.job import Job
from seqprep.preparation.roster import find_held_out
from seqprep.preparation.split_table import SplitTable, table_base
from seqprep.table import CommitInfo, Table
from seqprep.transforms import name_of
from seqprep.upkeep.gone import gone_reason

VERSION = 2
"""Part of every fingerprint: raised when the same options give other rows."""
NOT_FITTED = ("memory", "shard_bytes", "drift", "near_duplicates")
"""Options of a recipe that no fitted state depends on."""
NOT_STORED = ("memory", "drift", "near_duplicates")
"""Those of them that no file depends on, either."""
FOLLOWS_DATA = ("label", "group")
"""Options of a source that decide which rows stand together and what they are called."""

History = Sequence[tuple[int, int, CommitInfo]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What decides a version of `examples`, as fingerprints.

    Args:
        options: of everything that fitted state depends on beside the data.
        rows: of `options`, the rest of the recipe, and the data.
        table: the file that `split.table` names.
        byte_pairs: of the training rows and what cuts them; None for other units.
    """

    options: str
    rows: str
    table: SplitTable
    byte_pairs: str | None


def identify(job: Job, table: SplitTable) -> Identity:
    """Fingerprints of a preparation before it runs."""
    info = job.table.info(job.version)
    recipe = as_json(job.recipe)
    popped = {key: recipe.pop(key) for key in NOT_FITTED}
    rest = {key: value for key, value in popped.items() if key not in NOT_STORED}
    options = fingerprint(
        VERSION,
        job.domain,
        job.task,
        job.split,
        table.base,
        recipe,
        [(name_of(step), step.version) for step in job.chain.steps],
        sorted((path, found.sha256) for path, found in job.tables.items()),
        info.params.get("options"),
        job.channels,
        job.target_names,
    )
    content = [info.fingerprint, info.state.get("manifest")]
    if table.sha256 != table.base:
        content.append(table.sha256)
    byte_pairs = None
    if job.tokens.unit == "bpe":
        cut = (job.tokens.vocab, job.tokens.lowercase)
        byte_pairs = fingerprint(VERSION, job.domain, job.split, table.sha256, cut, content)
    rows = fingerprint(options, rest, content)
    return Identity(options=options, rows=rows, table=table, byte_pairs=byte_pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """State that is kept.

    Args:
        version: of the examples table, which it comes from.
        fitted: the state. name: of its file.
    """

    version: int
    fitted: Fitted
    name: str


def find_done(table: Table, history: History, identity: Identity, *, refit: bool) -> int | None:
    """The newest version that holds these very rows; with `refit`, only one fitted on them.

    A version that lacks a file does not count, so that running again makes it anew.
    """
    for version, _, info in reversed(history):
        fits = not refit or info.params.get("frozen_from") is None
        same = fits and info.params.get("rows") == identity.rows
        if same and table.is_whole(version):
            return version
    return None


def find_frozen(table: Table, history: History, identity: Identity, job: Job) -> Frozen | None:
    """State of the newest version that was made with the same options from older or equal data.

    Raises:
        CorruptError: if that state is not what was committed.
    """
    held_out = find_held_out(job.table, job.version, split=job.split)
    for version, _, info in reversed(history):
        if info.params.get("options") != identity.options:
            continue
        if info.params["sequences_version"] > job.version:
            continue  # fitted on rows that are not part of this version
        if info.counts.get("held_out") != held_out:
            continue  # new groups shifted the fold: that state has seen what is tested now
        if gone_reason(table.path, version) is not None:
            continue  # its state was deleted with it
        name = info.state["fitted"]
        fitted = Fitted.from_bytes(table.state.get(name))
        if job.task == "label_steps" and not _same_codes(fitted, job.step_classes):
            raise CorruptError(
                f"{job.table.path}: the codes of step labels are no longer those of examples "
                f"version {version} ({', '.join(fitted.labels)}); run again with --refit"
            )
        return Frozen(version=version, fitted=fitted, name=name)
    return None


def find_byte_pairs(table: Table, history: History, identity: Identity) -> str | None:
    """Byte pairs that a version fitted on these very training rows, under other options.

    They cost a pass of their own, and no step of the recipe changes them.

    Raises:
        CorruptError: if that version's state is not what was committed.
    """
    if identity.byte_pairs is None:
        return None
    for version, _, info in reversed(history):
        fitted_then = info.params.get("frozen_from") is None
        same = fitted_then and info.params.get("byte_pairs") == identity.byte_pairs
        if same and gone_reason(table.path, version) is None:
            return Fitted.from_bytes(table.state.get(info.state["fitted"])).byte_pairs
    return None


def _same_codes(fitted: Fitted, classes: Sequence[str]) -> bool:
    return all(
        label == (str(classes[code]) if code < len(classes) else str(code))
        for code, label in zip(fitted.step_codes, fitted.labels, strict=True)
    )


def refuse_moved(job: Job, history: History, identity: Identity) -> None:
    """Refuse options under which rows of the newest version would change split, label or group.

    `split.fold` of `by: folds` may change: its models are compared, never succeeded. So may every
    option of the recipe.

    Raises:
        ConfigError: naming the first option that changed.
    """
    if not history:
        return
    _, _, newest = history[-1]
    before, now = newest.params.get("split", {}), as_json(job.split)
    if job.split.by == "folds":
        now.pop("fold")
    changed = _changed("split", before, now)
    if changed is None and identity.table.base != table_base(newest):
        changed = f"the content of split.table ({job.split.table}) changed"
        changed += f" ({identity.table.moved})" if identity.table.moved else ""
    if changed is None:
        then, today = _sources(job, newest)
        changed = _changed("source", _followed(job, then), _followed(job, today))
        kept = "table_base" in then.params  # not in versions of before
        if changed is None and kept and _table_base(then) != _table_base(today):
            changed = "lines of the table of source.label or source.group changed"
    if changed is not None:
        raise ConfigError(
            f"{changed}: records of the examples of recipe {job.recipe.recipe!r} would move to "
            "another split, label or group, so that what was trained on could be tested on; run "
            "again with --refit (prepare(refit=True)) to fit anew, or name another prepare.recipe"
        )


def _changed(part: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    for key, value in before.items():
        if key in now and now[key] != value:
            return f"{part}.{key} was {as_written(value)} and is {as_written(now[key])} now"
    return None


def _sources(job: Job, newest: CommitInfo) -> tuple[CommitInfo, CommitInfo]:
    made = newest.params["sequences_version"]
    return job.table.info(made), job.table.info(job.version)


def _table_base(info: CommitInfo) -> list[str]:
    return list(info.params.get("table_base", ()))


def _followed(job: Job, info: CommitInfo) -> dict[str, Any]:
    source = info.params.get("source", {})
    return {key: source[key] for key in FOLLOWS_DATA if key in source}
