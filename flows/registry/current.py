"""The registry of a dataset's models as commands and flows use it: enter, promote, roll back, find.

The first model of a dataset becomes current by itself; a later one where it is better on the same
validation rows (see `challenger`), or when a person says so. Models of folds are entered only: each
is one of several parts of one score.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from flows.pipeline_file import Pipeline
from flows.progress import say
from flows.references import Json
from flows.registry.bundles import bundle_of, dataset_at
from flows.registry.challenger import Verdict, challenge
from models.manifest import MANIFEST, bundle_digest
from seqprep.errors import SeqprepError
from seqprep.registry import Event, Events, Registry, now_ms, standing


def enter(spec: Pipeline, run: Path, report: Json, *, prepared: Json) -> str | None:
    """Enter a trained model, and make it current where it is the first, or better than that.

    Args:
        spec: the pipeline.
        run: the model's folder.
        report: what report.json says.
        prepared: what `prepare` made.

    Returns:
        The folder's name of the dataset's current model.
    """
    folder = run.parent.parent
    registry = Registry(folder)
    trained = _trained(spec, run, report, prepared)
    before = registry.events()
    if not _is_known(before, trained):
        verdict = None if spec.split.by == "folds" else _verdict(spec, run, trained, before)
        why = verdict.told if isinstance(verdict, Verdict) else verdict or ""
        registry.add_at_once(partial(_entered, replace(trained, why=why), verdict))
        if verdict is not None:
            say(f"{spec.dataset}: {why}")
            _say_current(registry.current_run(), run)
    if spec.split.by != "folds" and not _had_one(before):
        why = "the first model of the dataset"
        first = replace(trained, event="promoted", why=why, at_ms=now_ms())
        registry.add(lambda before: None if _had_one(before) else first)
    return registry.current_run()


def _verdict(spec: Pipeline, run: Path, trained: Event, before: Events) -> Verdict | str | None:
    """What a comparison with the current model says; None where there is no other one."""
    found = standing(before)
    if not found or found[-1].run == run.name:
        return None
    try:
        bundle = bundle_of(run.parent.parent, found[-1])
        return challenge(spec, run, trained, found[-1], bundle)
    except SeqprepError as error:  # the new model is trained, whatever became of the other
        return f"not compared with {found[-1].run}: {error}"


def _entered(new: Event, verdict: Verdict | str | None, before: Events) -> Events:
    """That a model was trained and, where it is better, takes the place of that very other one.

    Both are one commit: a run that dies between two would leave a better model that nobody uses,
    for its successor finds it entered.
    """
    if _is_known(before, new):
        return ()
    found = standing(before)
    if not isinstance(verdict, Verdict) or not verdict.is_better or not found:
        return (new,)
    if found[-1].run != verdict.against:
        return (new,)
    return (new, replace(new, event="promoted", at_ms=now_ms()))


def _say_current(current: str | None, run: Path) -> None:
    folder = run.parent.parent
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    if current == run.name:
        say(f"  {run.name} is current from now on; `seqprep rollback {folder}` takes it back")
    else:
        say(f"  {current} stays current; `seqprep promote {folder} {run.name}` replaces it")


def _trained(spec: Pipeline, run: Path, report: Json, prepared: Json) -> Event:
    scores = report["metrics"]
    return Event(
        at_ms=now_ms(),
        event="trained",
        run=run.name,
        recipe=spec.prepare.recipe,
        bundle=bundle_digest(run / "bundle"),
        snapshot=report["identity"]["snapshot"],
        sequences_version=prepared["sequences_version"],
        examples_version=prepared["version"],
        validation=json.dumps(scores.get("validation", {})),
        test=json.dumps(scores.get("test", {})),
        by="policy",
        why="",
    )


def _is_known(before: Events, trained: Event) -> bool:
    """Whether this very bundle was entered already: the run was used again."""
    known = {one.run: one.bundle for one in before if one.event == "trained"}
    return known.get(trained.run) == trained.bundle


def _had_one(before: Events) -> bool:
    """Whether a model was ever current: what a person rolled back does not come again by itself."""
    return any(one.event == "promoted" for one in before)


def promote(folder: Path, run: str) -> Json:
    """Make a registered model current.

    Args:
        folder: of the dataset.
        run: the name of the model's folder.

    Raises:
        SeqprepError: if it is not registered, its bundle is not there any more or was altered, or
            it is current already.
    """
    registry = Registry(dataset_at(folder))
    known = registry.trained(run)
    bundle_of(folder, known)
    wanted = replace(known, event="promoted", by="person", why="", at_ms=now_ms())

    def unless_current(before: Events) -> Event:
        found = standing(before)
        if found and (found[-1].run, found[-1].bundle) == (wanted.run, wanted.bundle):
            raise SeqprepError(f"{folder.name}: {run} is current already")
        return wanted

    registry.add(unless_current)
    return models(folder)


def roll_back(folder: Path) -> Json:
    """Make the model current that was so before the present one.

    Args:
        folder: of the dataset.

    Raises:
        SeqprepError: if there is none, or its bundle is not there any more.
    """
    registry = Registry(dataset_at(folder))

    def previous(before: Events) -> Event:
        found = standing(before)
        if len(found) < 2:
            raise SeqprepError(
                f"{folder.name}: no model was current before "
                f"{found[-1].run if found else 'today'}; `seqprep promote` chooses one"
            )
        bundle_of(folder, found[-2])
        return replace(found[-1], event="rolled_back", by="person", why="", at_ms=now_ms())

    registry.add(previous)
    return models(folder)


def models(folder: Path) -> Json:
    """What the registry says of a dataset's models, the newest last, and what happened to them."""
    registry = Registry(dataset_at(folder))
    events = registry.events()
    found = standing(events)
    current = found[-1].run if found else None
    trained = {one.run: one for one in events if one.event == "trained"}
    return {
        "dataset": folder.name,
        "current": current,
        "models": [
            {
                "run": one.run,
                "recipe": one.recipe,
                "trained_ms": one.at_ms,
                "sequences_version": one.sequences_version,
                "examples_version": one.examples_version,
                "validation": json.loads(one.validation),
                "test": json.loads(one.test),
                "bundle": str(folder / "models" / one.run / "bundle"),
                "there": (folder / "models" / one.run / "bundle" / MANIFEST).is_file(),
            }
            for one in trained.values()
        ],
        "events": [asdict(one) for one in events],
    }
