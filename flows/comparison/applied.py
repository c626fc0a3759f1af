"""A strategy applied to a person's pipeline: what stays, what goes, and which strategies fit.

The plain pipeline keeps source, split, tokens, the steps that say what a step *is* (filters,
spectra, differences), the augmentation of other kinds (the other strand, a shift), the sizes of the
model and the optimiser. What shortens records or handles their length goes: strategies put it back,
one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flows.comparison.combinations import check_strategy, combined
from flows.comparison.strategies import STRATEGIES
from flows.comparison.strategy import Case, Strategy
from flows.pipeline_file import Pipeline, build, to_json
from flows.references import Json
from models.options.checks import JobError
from seqprep.errors import ConfigError
from seqprep.fingerprint import fingerprint

KEPT = (
    *("band_power", "bandpass", "differences", "notch", "one_hot", "resample"),
    *("reverse_complement", "shift", "spectrum"),
)
"""Steps of the person's recipe that every strategy starts from."""
VALUES_OF_TOKENS = ("hash", "one_hot")
"""Steps after which a model embeds nothing, and no vocabulary is fitted."""
PREFIX, LONGEST_NAME = "compare-", 64
"""Of the names of recipes that are the comparison's own, and how long one may be."""
OWN = "file"
"""The pipeline file as it stands, as a strategy."""
_SHARED = (
    *("embedding", "input", "hidden", "layers", "bidirectional", "pooling", "head"),
    *("dropout", "input_dropout", "noise"),
)
"""Keys of the model that every strategy shares. A file whose model may not look ahead has none
that does."""


def plain(spec: Pipeline) -> Pipeline:
    """The pipeline without what shortens records or handles their length.

    Args:
        spec: as the person wrote it.
    """
    body = to_json(spec)
    model = {key: body["train"]["model"][key] for key in _SHARED}
    body["train"]["model"] = {**model, "name": "lstm"}
    body["train"]["backpropagation"] = {}
    body["prepare"]["steps"] = [step for step in spec.prepare.steps if next(iter(step)) in KEPT]
    body["predict"] = {}
    body["prepare"]["recipe"] = recipe_name("full")
    return build(body)


def is_plain(spec: Pipeline) -> bool:
    """Whether the file itself handles no length, so that it is the strategy `full`."""
    found = plain(spec)
    same = replace(spec, prepare=replace(spec.prepare, recipe=found.prepare.recipe))
    return same == found


def choose(
    names: Iterable[str], case: Case, base: Pipeline
) -> tuple[dict[str, tuple[Strategy, Pipeline]], dict[str, str]]:
    """The strategies that fit a plain pipeline, and why the others do not.

    Args:
        names: of strategies; several joined by `+` are one.
        case: what their numbers follow from.
        base: the plain pipeline.

    Raises:
        ConfigError: for a name that is not known, or contradicts itself.
    """
    chosen: dict[str, tuple[Strategy, Pipeline]] = {}
    refused: dict[str, str] = {}
    for name in names:
        check_strategy(name)
        found = combined(name, case)
        if isinstance(found, str):
            refused[name] = found
            continue
        try:
            chosen[name] = found, apply(base, found)
        except (ConfigError, JobError) as error:
            refused[name] = str(error).partition("\n")[0]
    return chosen, refused


def apply(base: Pipeline, strategy: Strategy) -> Pipeline:
    """The plain pipeline with a strategy.

    Raises:
        ConfigError: if the recipe cannot be.
        JobError: if the model or its training cannot be.
    """
    body = to_json(base)
    stored = [step for step in base.prepare.steps if not is_in_training(step)]
    late = [step for step in base.prepare.steps if is_in_training(step)]
    own = [dict(step) for step in strategy.steps]
    body["prepare"]["steps"] = [
        *stored,
        *(step for step in own if not is_in_training(step)),
        *late,
        *(step for step in own if is_in_training(step)),
    ]
    for key, value in strategy.train.items():
        _set(body["train"], key, value)
    if own:
        body["prepare"]["recipe"] = recipe_name(strategy.rows or strategy.name)
    if any(next(iter(step)) in VALUES_OF_TOKENS for step in own):
        for key in ("embedding", "input"):
            del body["train"]["model"][key]
        body["prepare"]["tokens"]["max_vocab"] = None
    return build(body)


def recipe_name(strategy: str) -> str:
    """The recipe of a strategy that prepares rows of its own; a long name ends in a digest.

    >>> recipe_name("truncate-tail+attention")
    'compare-truncate-tail_attention'
    """
    name = f"{PREFIX}{strategy.replace('+', '_')}"
    if len(name) <= LONGEST_NAME:
        return name
    digest = fingerprint(strategy)[:8]
    return f"{name[: LONGEST_NAME - 9]}-{digest}"


def is_in_training(step: Mapping[str, Mapping[str, Any] | None]) -> bool:
    """Whether a step is drawn anew in every epoch, and thus stands behind what is stored."""
    (options,) = step.values()
    return (options or {}).get("when") == "train"


def _set(body: Json, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        body = body[part]
    body[last] = value


def with_options(spec: Pipeline, changes: Mapping[str, Any]) -> Pipeline:
    """The pipeline with other values of keys under `train`.

    Args:
        spec: the pipeline.
        changes: keys under `train` -> values, e.g. `optimizer.lr`.
    """
    body = to_json(spec)
    if "updates" in changes:
        body["train"]["epochs"] = None
    for key, value in changes.items():
        _set(body["train"], key, value)
    return build(body)


def names_of(strategies: Sequence[str] | None) -> list[str]:
    """The names that a person gave, or all; `full`, which the others are held against, is first."""
    names = list(strategies or STRATEGIES)
    return ["full", *(name for name in dict.fromkeys(names) if name != "full")]
