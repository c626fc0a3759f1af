"""What `gc`, `remove` and `verify` do on a store, and what they print."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from flows.references import Json
from flows.reporting.counted import counted
from flows.show import datasets
from flows.training.run_files import check_run
from models.bundle import MEMBERS, check
from seqprep.errors import CorruptError, SeqprepError
from seqprep.remote.whole import check_stored
from seqprep.upkeep.collect import collect
from seqprep.upkeep.leftovers import predictions_of
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import Verified, verify_dataset

SHOWN = 8
"""Problems, files or versions that one line names."""


def verify_path(path: Path) -> Json:
    """Check every file of a bundle, a dataset or a store against its hash.

    Raises:
        CorruptError: naming the files that are missing or altered.
    """
    if (path / "manifest.json").is_file():
        check(path)
        return {"path": str(path), "files": len(MEMBERS) + 1, "unsealed": 0}
    if (path / "bundle" / "manifest.json").is_file():
        raise SeqprepError(f"{path}: did you mean {path / 'bundle'}?")
    done = Verified()
    for folder in _folders(path):
        stored = list(check_stored(folder))
        one = verify_dataset(folder)
        one.problems += [told for told in stored if told is not None]
        for run in sorted((folder / "models").glob("[!.]*")):
            one.take(check_run(run))
        done.files += one.files
        done.unsealed += one.unsealed
        done.problems += one.problems
    if done.problems:
        raise CorruptError(_told(done.problems))
    return {"path": str(path), "files": done.files, "unsealed": done.unsealed}


def _told(problems: list[str]) -> str:
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n  ".join([*problems[:SHOWN], *more])


def collect_path(path: Path, *, keep: int, apply: bool) -> list[Json]:
    """Give up old versions of a dataset, or of every dataset of a store."""
    return [asdict(collect(folder, keep=keep, apply=apply)) for folder in _folders(path)]


def _folders(path: Path) -> list[Path]:
    """The datasets of a store, one dataset, or the predictions of a folder's files."""
    return [path] if predictions_of(path) else datasets(path)


def print_collected(done: list[Json]) -> None:
    """Say what a collection did or would do."""
    console = Console(highlight=False)
    for one in done:
        console.rule(f"[bold]{one['dataset']}", align="left")
        if one["in_use"]:
            console.print(f"  skipped     {one['in_use']}", markup=False, soft_wrap=True)
            continue
        verb = "given up" if one["applied"] else "would go"
        for table, versions in one["versions"].items():
            console.print(f"  {verb:11} {table} {_versions(versions)}", markup=False)
        for table, versions in one["kept"].items():
            told = f"{table} {_versions(versions)}"
            if young := one["young"].get(table):
                told += f" ({_versions(young)} only since less than a day old)"
            console.print(f"  stays       {told}", markup=False, soft_wrap=True)
        for kind, count in one["files"].items():
            files = counted(count, "file")
            console.print(f"  {verb:11} {files}: {kind}", markup=False)
        console.print(f"  {verb:11} {one['size_bytes']:,} bytes in all", markup=False)
    if not all(one["applied"] or one["in_use"] for one in done):
        console.print("nothing was changed; --apply does it")


def _versions(versions: tuple[int, ...] | list[int]) -> str:
    shown = ", ".join(str(version) for version in versions[:SHOWN])
    more = f" and {len(versions) - SHOWN} more" if len(versions) > SHOWN else ""
    return f"version{'' if len(versions) == 1 else 's'} {shown}{more}" if versions else "no version"


def remove_records(
    path: Path,
    *,
    ids: tuple[str, ...],
    groups: tuple[str, ...],
    erase: bool,
    models: bool,
    apply: bool,
) -> Json:
    """Withdraw records from a dataset; see `seqprep.upkeep.removal`."""
    return asdict(remove(path, ids=ids, groups=groups, erase=erase, models=models, apply=apply))


def print_removed(done: Json) -> None:
    """Say what a removal did or would do, in the dataset and in those made from its records."""
    console = Console(highlight=False)
    every = [done, *done["derived"]]
    for one in every:
        _print_one(console, one, of=None if one is done else done["dataset"])
    if not done["applied"]:
        how = "--apply does it" + (" and cannot be undone" if done["erase"] else "")
        console.print(f"nothing was changed; {how}")
    elif any(one["models"] for one in every):
        console.print("run prepare and train again for models without these records")


def _print_one(console: Console, done: Json, *, of: str | None) -> None:
    """What a removal did or would do in one dataset; `of`: whose records it was made from."""

    def line(title: str, text: str) -> None:
        console.print(f"  {title:11} {text}", markup=False, soft_wrap=True)

    console.rule(f"[bold]{done['dataset']}", align="left")
    if of is not None:
        line("made from", f"records of {of}")
    would_be = "" if done["applied"] else "would be "
    copies = f", {done['copies']:,} of them copies of one that was named" if done["copies"] else ""
    records = counted(done["records"], "record")
    line("removed" if done["applied"] else "would go", records + copies)
    held = {"sequences": done["sequences_versions"]}
    held |= {f"examples-{name}": given for name, given in done["examples_versions"].items()}
    for table, versions in held.items():
        if versions:
            fate = f"{would_be}erased" if done["erase"] else "kept, with the records"
            line("older", f"{table} {_versions(versions)}: {fate}")
    for model in done["models"]:
        seen = ", ".join(f"{count:,} in {split}" for split, count in model["records"].items())
        what = model["bundle"] or f"{model['name']}, unfinished"
        deleted = f"; {would_be}deleted" if model["name"] in done["models_deleted"] else ""
        line("trained", f"{what}: {seen}{' (running)' if model['live'] else ''}{deleted}")
    if done["erase"]:
        line(
            "erased" if done["applied"] else "would go",
            f"{done['files']:,} files, {done['size_bytes']:,} bytes",
        )
