"""Whether a training is due: what `if_newer` and the policy `train.retrain` decide.

Read from the tables alone: the registry says which models there are and what they were trained on,
the commits of the examples say what joined since. Nothing is written, so that any number of runs
may ask at once. A training that was asked for without `if_newer` is always due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.pipeline_file import Pipeline
from flows.references import Json
from flows.registry.bundles import bundle_of
from flows.training.job import find_prepared
from flows.training.run_files import told_at
from models.options.retrain import Retrain
from seqprep.errors import ConfigError, SeqprepError
from seqprep.preparation.growth import new_share
from seqprep.registry import Event, Registry
from seqprep.snapshot import Snapshot
from seqprep.table import CommitInfo, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What was decided.

    Args:
        trains: whether to train. why: either way, for a person to read.
        refit: fit the examples anew first.
        model: the folder's name of the model that stands where nothing is trained.
    """

    trains: bool
    why: str
    refit: bool = False
    model: str | None = None


def is_asked(spec: Pipeline, if_newer: bool, *, folds: str | None = None) -> bool:
    """Whether a training depends on newer examples.

    Args:
        spec: the pipeline.
        if_newer: as the command or the flow was asked.
        folds: of the command.

    Raises:
        ConfigError: if a policy or `if_newer` would be ignored.
    """
    asked = if_newer or spec.train.if_newer
    if asked and folds is not None:
        raise ConfigError(
            f"if_newer has no meaning with folds {folds!r}: they make one score together; remove "
            "one of them"
        )
    if not asked and spec.train.retrain != Retrain():
        raise ConfigError(
            f"train.retrain: {{when: {spec.train.retrain.when}}} would be ignored: it is read with "
            "`--if-newer` or `train.if_newer: true`; to train in any case add "
            "`--set train.retrain={}`"
        )
    return asked


def decide(spec: Pipeline, prepared: Json, *, store: Path) -> Due:
    """Whether examples are worth a new model.

    Args:
        spec: the pipeline, whose training depends on it.
        prepared: what `prepare` made.
        store: folder of the datasets.
    """
    folder, recipe = store / spec.dataset, spec.prepare.recipe
    known = [
        one
        for one in Registry(folder).events()
        if one.event == "trained" and one.recipe == recipe and _is_there(folder, one)
    ]
    snapshot = Snapshot.read(Path(prepared["snapshot"])).sha256
    same = next((one for one in reversed(known) if one.snapshot == snapshot), None)
    if same is not None:
        version = same.examples_version
        return _stay(same, f"model {same.run} of examples version {version} is the newest")
    if not known:
        return Due(trains=True, why=f"recipe {recipe} has no model yet")
    return _by_policy(spec, prepared, known, Table(folder / f"examples-{recipe}"))


def standing(spec: Pipeline, due: Due, *, store: Path) -> Json:
    """What is told where nothing is trained: the model that stands, as a training tells of it.

    Args:
        spec: the pipeline.
        due: what was decided.
        store: folder of the datasets.
    """
    folder = store.resolve() / spec.dataset
    return {
        **told_at(folder / "models" / str(due.model)),
        "dataset": spec.dataset,
        "current": Registry(folder).current_run(),
        "trained": False,
        "why": due.why,
        "reused": True,
        "seconds": 0.0,
    }


def find_standing(spec: Pipeline, *, store: Path) -> Json | None:
    """The same before any flow is started; None where a training is due.

    Args:
        spec: the pipeline, whose training depends on newer examples.
        store: folder of the datasets.
    """
    due = decide(spec, asdict(find_prepared(spec, store=store)), store=store)
    return None if due.trains else standing(spec, due, store=store)


def _stay(newest: Event, why: str) -> Due:
    return Due(trains=False, why=f"{why}, nothing to train", model=newest.run)


def _is_there(folder: Path, event: Event) -> bool:
    """Whether a model that was registered can still be used."""
    try:
        bundle = bundle_of(folder, event)
    except SeqprepError:
        return False
    return (bundle.parent / "report.json").is_file()


def _by_policy(spec: Pipeline, prepared: Json, known: Sequence[Event], examples: Table) -> Due:
    """What the policy says of examples that no model was trained on."""
    newest, version = known[-1], prepared["version"]
    since = f"since version {newest.examples_version}, of {newest.run}"
    now, then = (examples.info(number) for number in (version, newest.examples_version))
    if _state(now) != _state(then):
        return Due(trains=True, why=f"examples version {version} was fitted anew {since}")
    when = spec.train.retrain.when
    if when == "always":
        return Due(trains=True, why=f"examples version {version} is new {since}")
    if when == "new_rows":
        return _by_new_rows(spec, newest, new_share(examples, newest.examples_version, version))
    advised = prepared["refit_advised"]
    if advised is None:
        return _stay(newest, f"no drift beyond the limits of prepare.drift {since}")
    return Due(trains=True, why=f"drift {since}: {advised}", refit=when == "refit")


def _state(info: CommitInfo) -> tuple[str, str]:
    """What a version was made with, beside the data."""
    return info.params["options"], info.state["fitted"]


def _by_new_rows(spec: Pipeline, newest: Event, share: float | None) -> Due:
    since = f"since version {newest.examples_version}, of {newest.run}"
    if share is None:
        return Due(trains=True, why=f"it cannot be told any more how many records are new {since}")
    limit = spec.train.retrain.share
    why = f"{share:.1%} of training records are new {since}, train.retrain.share is {limit:.1%}"
    return Due(trains=True, why=why) if share >= limit else _stay(newest, why)
