"""The strategies of a comparison with their rows: each recipe is prepared once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from flows.comparison.applied import OWN, choose, is_plain, names_of
from flows.comparison.asked import Asked
from flows.comparison.budget import KEPT, PREPARED_SHARE, in_turn
from flows.comparison.course import Entry
from flows.comparison.left import Left
from flows.comparison.pretraining import Pretraining
from flows.comparison.strategy import Case, Strategy
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.references import Json
from flows.study import check_validation
from seqprep.errors import SeqprepError
from seqprep.schema import STEP_TASKS
from seqprep.snapshot import Snapshot
from seqprep.transforms import build_steps, final_unit


def make(
    spec: Pipeline,
    bare: Pipeline,
    asked: Asked,
    left: Left,
    *,
    base: Path,
    store: Path,
    start_s: float,
) -> list[Entry]:
    """The strategies that fit, with their rows, in the order of the table.

    Args:
        spec: the pipeline.
        bare: the pipeline without what handles length.
        asked: what a person wants.
        left: changed: why others are not tried.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.
        start_s: when the comparison began, in seconds since 1970.

    Raises:
        ConfigError: if there are no validation rows.
    """
    whole = _prepare(bare, base=base, store=store, is_ours=True)
    check_validation(bool(whole["records"].get("validation")), study="compare")
    case = _case(bare, whole, _reference(spec, asked))
    chosen, refused = choose(names_of(asked.strategies), case, bare)
    left.refused.update(refused)
    if not is_plain(spec):
        own = Strategy(name=OWN, family="the file", told="the pipeline file as it stands")
        chosen[OWN] = own, spec
    found = {}
    known: dict[str, Json] = {_key(bare): whole}
    until_s = start_s + PREPARED_SHARE * 60 * asked.minutes
    for name in _order(chosen):
        strategy, own_spec = chosen[name]
        key = _key(own_spec)
        if key not in known and name not in KEPT and time.time() > until_s:
            left.late[name] = f"no time to prepare it within --minutes {asked.minutes:g}"
            continue
        try:
            rows = known[key] = known.get(key) or _prepare(
                own_spec, base=base, store=store, is_ours=name != OWN
            )
        except SeqprepError as error:
            left.note(name, error)
            continue
        if why := _unanswered(spec, rows, whole):
            left.refused[name] = why
        else:
            found[name] = _entry(name, strategy, own_spec, rows)
    return [found[name] for name in chosen if name in found]


def _key(spec: Pipeline) -> str:
    """What rows follow from, their table's name with it; the rest is the same for all."""
    return json.dumps(to_json(spec)["prepare"], sort_keys=True)


def _order(chosen: Mapping[str, tuple[Strategy, Pipeline]]) -> list[str]:
    """The order in which strategies are prepared: that in which they are tried."""
    others = {name: one.family for name, (one, _) in chosen.items() if name not in KEPT}
    return [*(name for name in KEPT if name in chosen), *in_turn(others)]


def _entry(name: str, strategy: Strategy, spec: Pipeline, rows: Json) -> Entry:
    first = None
    if strategy.pretraining is not None:
        first = Pretraining(kind=strategy.pretraining, options=strategy.autoencoder)
    return Entry(
        name=name,
        family=strategy.family,
        told=strategy.told,
        spec=spec,
        prepared=rows,
        pretraining=first,
    )


def _prepare(spec: Pipeline, *, base: Path, store: Path, is_ours: bool) -> Json:
    """The rows of a strategy; those of the person's own recipe go by its frozen state."""
    prepared: Json = prepare_rows.fn(to_json(spec), base=str(base), store=str(store), refit=is_ours)
    return prepared


def _reference(spec: Pipeline, asked: Asked) -> str | None:
    """The table of tokens of other text: that of the command, or that of the file's own step."""
    if asked.reference is not None:
        return asked.reference
    steps = [step["idf"] for step in spec.prepare.steps if "idf" in step]
    return str(steps[0]["reference"]) if steps and steps[0] else None


def _case(bare: Pipeline, whole: Json, reference: str | None) -> Case:
    facts = Snapshot.read(Path(whole["snapshot"])).facts
    quantiles = whole["length_quantiles"]["after"]
    steps = build_steps(bare.prepare)
    return Case(
        task=bare.source.task,
        unit=final_unit(steps, bare.source.domain, bare.prepare.tokens),
        steps=round(quantiles["0.5"]),
        vocab_size=facts.vocab_size,
        rate_hz=facts.rate_hz,
        channels=len(facts.channels),
        hidden=bare.train.model.hidden,
        reference=reference,
    )


def _unanswered(spec: Pipeline, rows: Json, whole: Json) -> str | None:
    """Why a strategy cannot be held against the others: it does not answer all that they do."""
    parts = {"records": "record"}
    if spec.source.task in STEP_TASKS:
        parts["steps_after"] = "step"
    for split in ("validation", "test"):
        for key, what in parts.items():
            answered, asked = (part[key].get(split, 0) for part in (rows, whole))
            if answered != asked:
                return (
                    f"answers {answered:,} of {asked:,} {what}s of {split}; here each {what} needs "
                    "an answer"
                )
    return None
