"""A whole comparison, from a pipeline to its page: `seqprep compare` and the `compare` flow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from flows.comparison import course
from flows.comparison.applied import OWN, choose, is_plain, names_of, plain
from flows.comparison.asked import Asked, check_asked
from flows.comparison.budget import FINALISTS, UNITS, Plan, make_plan
from flows.comparison.course import Entry, Standing
from flows.comparison.scores import record_scores
from flows.comparison.strategy import Case, Strategy
from flows.comparison.trials import Outcome, Pace, Trial
from flows.comparison.written import write
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.progress import say
from flows.references import Json
from flows.training.warm import refuse_warm
from seqprep import __version__
from seqprep.errors import ConfigError, SeqprepError
from seqprep.fingerprint import fingerprint
from seqprep.snapshot import Snapshot, replace_bytes
from seqprep.transforms import build_steps, final_unit


def conduct(spec: Pipeline, asked: Asked, *, base: Path, store: Path) -> Json:
    """Compare strategies on a dataset that is ingested.

    Args:
        spec: the pipeline.
        asked: what a person wants.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.

    Returns:
        The recommendation, the rows of the table, and paths of what was written.

    Raises:
        ConfigError: if the task or the split cannot be compared, or the time is too short.
        SeqprepError: if no strategy could be trained.
    """
    start_s = time.monotonic()
    check_asked(spec, asked)
    refuse_warm(spec, "compare")
    bare = plain(spec)
    whole = _prepare(bare, base=base, store=store)
    if not whole["records"].get("validation"):
        raise ConfigError(
            "compare chooses on validation rows, and there are none; give split.validation a share "
            "or values"
        )
    case = _case(bare, whole)
    chosen, refused = choose(names_of(asked.strategies), case, bare)
    entries, failed = _prepared(spec, chosen, base=base, store=store)
    folder = _folder(spec, asked, entries, store)
    spent_s = time.monotonic() - start_s
    plan, is_new = _plan(folder, entries, failed, asked, store=store, spent_s=spent_s)
    entries = [entry for entry in entries if entry.name in plan.updates]
    standings = _train(entries, plan, asked, failed, store=store)
    took_s = time.monotonic() - start_s if is_new else None
    return write(folder, spec, standings, refused, failed, plan, took_s, base=base)


def _prepare(spec: Pipeline, *, base: Path, store: Path) -> Json:
    prepared: Json = prepare_rows.fn(to_json(spec), base=str(base), store=str(store))
    return prepared


def _case(bare: Pipeline, whole: Json) -> Case:
    facts = Snapshot.read(Path(whole["snapshot"])).facts
    quantiles = whole["length_quantiles"]["after"]
    steps = build_steps(bare.prepare)
    return Case(
        unit=final_unit(steps, bare.source.domain, bare.prepare.tokens),
        steps=round(quantiles["0.5"]),
        longest=round(quantiles["1"]),
        vocab_size=facts.vocab_size,
        rate_hz=facts.rate_hz,
        channels=len(facts.channels),
        hidden=bare.train.model.hidden,
    )


def _prepared(
    spec: Pipeline,
    chosen: Mapping[str, tuple[Strategy, Pipeline]],
    *,
    base: Path,
    store: Path,
) -> tuple[list[Entry], dict[str, str]]:
    """The strategies with their rows; the same recipe is prepared once."""
    entries: list[Entry] = []
    failed: dict[str, str] = {}
    wanted = {name: (s.family, s.told, own) for name, (s, own) in chosen.items()}
    if not is_plain(spec):
        wanted[OWN] = ("the file", "the pipeline file as it stands", spec)
    known: dict[str, Json] = {}
    for name, (family, what, own) in wanted.items():
        recipe = own.prepare.recipe
        try:
            rows = known[recipe] = known.get(recipe) or _prepare(own, base=base, store=store)
        except SeqprepError as error:
            failed[name] = str(error).partition("\n")[0]
            continue
        entries.append(Entry(name=name, family=family, told=what, spec=own, prepared=rows))
    return entries, failed


def _folder(spec: Pipeline, asked: Asked, entries: Sequence[Entry], store: Path) -> Path:
    """Where a comparison is written: named by what determines it."""
    digest = fingerprint(
        [Snapshot.read(Path(entry.prepared["snapshot"])).sha256 for entry in entries],
        [[entry.name, to_json(entry.spec)["train"]] for entry in entries],
        {key: value for key, value in asdict(asked).items() if key != "workers"},
        __version__,
    )
    return store / spec.dataset / "comparisons" / digest[:12]


def _plan(
    folder: Path,
    entries: Sequence[Entry],
    failed: dict[str, str],
    asked: Asked,
    *,
    store: Path,
    spent_s: float,
) -> tuple[Plan, bool]:
    """What will be trained, and whether it is a new plan: one that was begun before goes on."""
    path = folder / "plan.json"
    if path.is_file():
        plan = Plan(**json.loads(path.read_bytes()))
        say(f"  going on with {folder}")
        return plan, False
    start_s = time.monotonic()
    say(f"  {len(entries)} strategies; measuring how fast each trains ...")

    def note(entry: Entry, found: Pace | Exception) -> None:
        if isinstance(found, Exception):
            failed[entry.name] = str(found).partition("\n")[0]
            say(f"    {entry.name}: {failed[entry.name]}")

    paces = course.measure_all(entries, store=store, told=note)
    if not paces:
        raise SeqprepError(f"no strategy could be trained; the first: {next(iter(failed.items()))}")
    plan = make_plan(
        paces,
        equal=asked.equal,
        seconds=60 * asked.minutes,
        spent_s=spent_s + time.monotonic() - start_s,
        settings=len(course.SEARCHED),
        finalists=len(paces) if asked.everything else FINALISTS,
        seeds=asked.seeds,
        workers=asked.workers,
    )
    replace_bytes(path, json.dumps(asdict(plan), indent=1).encode())
    say(
        f"  expected: {plan.seconds / 60:,.1f} minutes in all; each full training gets "
        f"{plan.amount:,.4g} {UNITS[plan.equal]}"
    )
    return plan, True


def _train(
    entries: Sequence[Entry], plan: Plan, asked: Asked, failed: dict[str, str], *, store: Path
) -> list[Standing]:
    """Where every strategy stands at the end, the best first."""
    trainings = len(entries) * plan.settings
    told_of = _teller("search", trainings, failed)
    searched = course.search(entries, plan, store=store, workers=asked.workers, told=told_of)
    chosen = course.finalists(searched, plan)
    told_of = _teller("in full", len(chosen) * plan.seeds, failed)
    full = course.train_in_full(chosen, plan, store=store, workers=asked.workers, told=told_of)
    if not full:
        raise SeqprepError(f"no strategy could be trained in full: {failed}")
    names = {one.entry.name for one in full}
    return [*full, *(one for one in searched if one.entry.name not in names)]


def _teller(
    round_: str, total: int, failed: dict[str, str]
) -> Callable[[Trial, Outcome | Exception], None]:
    """Says a line after each training, and remembers those that failed."""
    done = 0

    def tell(trial: Trial, found: Outcome | Exception) -> None:
        nonlocal done
        done += 1
        head = f"  {round_} {done} of {total}: {trial.strategy}, {trial.setting}"
        if isinstance(found, Exception):
            failed[trial.strategy] = str(found).partition("\n")[0]
            say(f"{head}: {failed[trial.strategy]}")
            return
        task = trial.spec.source.task
        _, scores = record_scores(Path(found.folder) / "predictions-validation.parquet", task)
        say(f"{head}, seed {found.seed}: {abs(scores.mean()):.3f} in {found.wall_seconds:.0f} s")

    return tell
