"""The techniques of preparation by name, and the chains that they form (P13)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from seqprep.errors import ConfigError
from seqprep.preparation.form import Unit, source_form
from seqprep.preparation.transform import Symbols, Transform
from seqprep.recipe import Prepare, Tokens, resolve_tokens
from seqprep.schema import STEP_TASKS, Task
from seqprep.source import Domain
from seqprep.transforms.band_power import BandPower
from seqprep.transforms.bandpass import Bandpass
from seqprep.transforms.block_means import BlockMeans
from seqprep.transforms.differences import Differences
from seqprep.transforms.hash_grams import HashGrams
from seqprep.transforms.idf import Idf
from seqprep.transforms.notch import Notch
from seqprep.transforms.one_hot import OneHot
from seqprep.transforms.paa import Paa
from seqprep.transforms.project import Project
from seqprep.transforms.remove_steps import RemoveSteps
from seqprep.transforms.resample import Resample
from seqprep.transforms.reverse_complement import ReverseComplement
from seqprep.transforms.sax import Sax
from seqprep.transforms.shift import Shift
from seqprep.transforms.spectrum import Spectrum
from seqprep.transforms.subsequences import Subsequences
from seqprep.transforms.summarize import Summarize
from seqprep.transforms.truncate import Truncate
from seqprep.transforms.usefulness import Usefulness
from seqprep.transforms.windows import Windows

TRANSFORMS: dict[str, type[Transform]] = {
    "band_power": BandPower,
    "bandpass": Bandpass,
    "block_means": BlockMeans,
    "differences": Differences,
    "hash": HashGrams,
    "idf": Idf,
    "notch": Notch,
    "one_hot": OneHot,
    "paa": Paa,
    "project": Project,
    "remove_steps": RemoveSteps,
    "resample": Resample,
    "reverse_complement": ReverseComplement,
    "sax": Sax,
    "shift": Shift,
    "spectrum": Spectrum,
    "subsequences": Subsequences,
    "summarize": Summarize,
    "truncate": Truncate,
    "usefulness": Usefulness,
    "windows": Windows,
}


def build_steps(recipe: Prepare) -> list[Transform]:
    """The techniques of a recipe, in order, their options checked.

    Symbols are made by a step of their own before all others.

    Raises:
        ConfigError: for an unknown technique or option, naming the nearest right one.
    """
    steps: list[Transform] = []
    if recipe.tokens.unit == "symbol":
        options = {"block": recipe.tokens.block, "alphabet": recipe.tokens.alphabet}
        steps.append(build_step("sax", options, key="prepare.tokens"))
    for index, step in enumerate(recipe.steps):
        ((name, options),) = step.items()
        steps.append(build_step(name, options or {}, key=f"prepare.steps[{index}]"))
    return steps


def build_step(name: str, options: Mapping[str, Any], *, key: str) -> Transform:
    """One technique from its name and options; `key` says where in the file it stands."""
    found = TRANSFORMS.get(name)
    if found is None:
        raise ConfigError(f"{key}: unknown transform {name!r}; {_nearest(name, TRANSFORMS)}")
    if not isinstance(options, Mapping):
        raise ConfigError(f"{key}: {name} needs its options, e.g. {{length: 400}}, got {options!r}")
    known = {field.name: field for field in fields(found)}  # type: ignore[arg-type]
    for option in options:
        if option not in known:
            raise ConfigError(f"{key}.{name}: unknown option {option!r}; {_nearest(option, known)}")
    try:
        return found(**options)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    except TypeError as error:
        missing = str(error).partition(": ")[2] or str(error)
        raise ConfigError(f"{key}.{name}: missing option: {missing}") from error


def _nearest(name: object, choices: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choose from {', '.join(sorted(choices))}"


def name_of(step: Transform) -> str:
    """The key of TRANSFORMS under which a step's class stands."""
    return next(name for name, kind in TRANSFORMS.items() if kind is type(step))


def is_random(step: Transform) -> bool:
    """Whether the step augments: it changes only views other than 0."""
    return step.views > 0 or step.when == "train"


def split_chain(steps: Sequence[Transform]) -> tuple[list[Transform], list[Transform]]:
    """The steps whose result is stored, and those at the end that run when batches are made."""
    stored = [step for step in steps if step.when == "store"]
    return stored, [step for step in steps if step.when == "train"]


def check_chain(steps: Sequence[Transform], domain: Domain, task: Task, tokens: Tokens) -> None:
    """Refuse a chain that cannot run, with the reason, before work starts.

    Raises:
        ConfigError: naming the step and a remedy.
    """
    unit = first_unit(domain, tokens)
    had_tokens = unit != "value"
    before = 1 if tokens.unit == "symbol" else 0  # a step that the person has not written
    views = {step.views for step in steps if step.views}
    if len(views) > 1:
        raise ConfigError(
            f"steps: view 1 of a record is view 1 of every step, so `views` must be equal in all "
            f"steps that name it, got {sorted(views)}"
        )
    for index, step in enumerate(steps):
        where = f"steps[{index - before}] ({name_of(step)})"
        if index < before:
            where = "tokens.unit: symbol"
        if unit not in step.units:
            raise ConfigError(
                f"{where} works on {', '.join(step.units)}, but is given steps of unit {unit} "
                "(tokens.unit, and the techniques before it); move or remove it"
            )
        step.check(domain=domain, task=task)
        if isinstance(step, Symbols) and had_tokens:
            raise ConfigError(
                f"{where} makes tokens of values that were made of tokens, and a recipe has one "
                "vocabulary; keep one of the two"
            )
        unit = step.gives(unit)
        had_tokens = had_tokens or unit != "value"
        if step.when == "store" and any(earlier.when == "train" for earlier in steps[:index]):
            raise ConfigError(
                f"{where} follows a step with `when: train`; steps that run when batches are made "
                "must be the last of a chain: move it before them"
            )
    _check_windows(steps, task=task, before=before)
    _check_whole(steps, task=task, before=before)
    _check_max_vocab(steps, domain, tokens)


def first_unit(domain: Domain, tokens: Tokens) -> Unit:
    """The unit of the steps before any technique."""
    return source_form(resolve_tokens(domain, tokens).unit, channels=(), rate_hz=None).unit


def final_unit(steps: Sequence[Transform], domain: Domain, tokens: Tokens) -> Unit:
    """The unit of the steps that are stored."""
    unit = first_unit(domain, tokens)
    for step in steps:
        unit = step.gives(unit)
    return unit


def _check_windows(steps: Sequence[Transform], *, task: Task, before: int) -> None:
    places = [index for index, step in enumerate(steps) if step.kind == "cuts"]
    if len(places) > 1:
        raise ConfigError(
            f"steps[{places[1] - before}] (windows): windows of windows have no order in the "
            "record; keep one of the two"
        )
    if places and places[0] != len(steps) - 1 and task in (*STEP_TASKS, "next"):
        after = steps[places[0] + 1]
        raise ConfigError(
            f"steps[{places[0] + 1 - before}] ({name_of(after)}) follows windows, so answers for "
            f"each step (task: {task}) could not be put back in their place: move windows to the "
            "end"
        )


def _check_whole(steps: Sequence[Transform], *, task: Task, before: int) -> None:
    """Refuse to leave out whole records where it is learnt how they begin and end."""
    place = next((i for i, step in enumerate(steps) if step.original == "drop"), None)
    if task == "next" and place is not None:
        raise ConfigError(
            f"steps[{place - before}] ({name_of(steps[place])}): original: drop leaves no whole "
            "record to learn from how records begin and end (task: next); remove it"
        )


def _check_max_vocab(steps: Sequence[Transform], domain: Domain, tokens: Tokens) -> None:
    """Refuse a limit of the vocabulary where none is fitted."""
    ranked = any(step.needs_ranks for step in steps)
    if tokens.max_vocab is None or ranked or final_unit(steps, domain, tokens) != "value":
        return
    raise ConfigError(
        "tokens.max_vocab has no meaning where steps make values of tokens by their text (hash); "
        "remove it, or put a step `summarize: {max_vocab: ...}` before them"
    )
