"""The pipeline file: one YAML, one object for the file, the command line and a deployment.

Loading checks everything that can be checked without reading data, before any work starts: unknown
keys name the nearest right key, wrong values say what was expected, an impossible chain of steps
says why. The same dataclasses give the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flows.descriptions import describe
from flows.explain import explain
from flows.strict_yaml import parse, read
from models.options.fits import check_fits
from models.options.model import Conv, Front, Model
from models.options.model_fits import OF_RECORDS, OF_STEPS
from models.options.training import Backpropagation, Optimizer, Retrain, Train
from seqprep.checks import check_name
from seqprep.errors import ConfigError
from seqprep.fingerprint import as_json
from seqprep.options.drift import Drift
from seqprep.options.near_duplicates import LIKENED, NearDuplicates
from seqprep.preparation.target_text import target_steps
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Field, Generator, Source, Target
from seqprep.transforms import TRANSFORMS, build_steps, check_chain, final_unit, is_random

PATH_KEYS = ("source.path", "split.table", "train.encoder_from")
"""Relative paths: to the pipeline file when written there, to the current folder with --set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predict:
    """How predictions are made.

    Args:
        views: average this many fixed views of a record, where the recipe has random steps and
            the answer is one of whole records; 0: the record as validation sees it.
    """

    views: int = 0

    def __post_init__(self) -> None:
        if self.views < 0:
            raise ConfigError(f"predict.views must be >= 0, got {self.views}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """Everything a person writes about one dataset, from raw files to a trained model.

    Args:
        dataset: its name; it becomes a folder of the store.
        source: where raw records lie and how they are read.
        split: which rows train, validate and test.
        prepare: how records become training examples.
        train: the model and its training.
        predict: how predictions are made.
    """

    dataset: str
    source: Source
    split: Split = Split()
    prepare: Prepare = Prepare()
    train: Train = Train()
    predict: Predict = Predict()

    def __post_init__(self) -> None:
        check_name(self.dataset, key="dataset")
        self._keep_split_column()
        self._check_split()
        steps = build_steps(self.prepare)
        if self.predict.views and not any(is_random(step) for step in steps):
            raise ConfigError(
                f"predict.views = {self.predict.views}, but no step of the recipe makes views; "
                "remove it, or give a random step `views` or `when: train`"
            )
        if self.predict.views and self.source.task not in OF_RECORDS:
            raise ConfigError(
                f"predict.views = {self.predict.views}, but only answers of whole records (task: "
                f"{' or '.join(OF_RECORDS)}) can be averaged over views, got task: "
                f"{self.source.task}: each view has other steps; remove it"
            )
        check_chain(
            steps,
            domain=self.source.domain,
            task=self.source.task,
            tokens=self.prepare.tokens,
        )
        if self.prepare.near_duplicates.action != "off" and self.source.domain not in LIKENED:
            raise ConfigError(
                f"prepare.near_duplicates needs words or letters (domain: {' or '.join(LIKENED)}), "
                f"got domain: {self.source.domain}; use action: off"
            )
        target_steps(self.prepare, task=self.source.task)
        self._check_model()

    def _keep_split_column(self) -> None:
        column = self.split.column
        if self.split.by == "column" and column is not None and column not in self.source.keep:
            keep = (*self.source.keep, column)
            values = {f.name: getattr(self.source, f.name) for f in fields(self.source)}
            object.__setattr__(self, "source", Source(**{**values, "keep": keep}))

    def _check_split(self) -> None:
        if self.split.by == "header" and self.source.domain != "dna":
            raise ConfigError("split by header needs domain: dna (FASTA headers)")
        if self.split.by == "time" and self.source.task not in OF_STEPS:
            raise ConfigError(
                f"split by time cuts recordings and needs a label or value for each step "
                f"(task: label_steps or regress_steps), got task: {self.source.task}"
            )

        if self.train.warm_start and self.split.by == "folds":
            raise ConfigError(
                "train.warm_start: true, but models of folds never become current, so there is "
                "none to begin from; remove it, or split by: hash"
            )

    def _check_model(self) -> None:
        """Refuse a model, or options of it, that do not fit the task and the data."""
        steps = build_steps(self.prepare)
        stored = final_unit(steps, self.source.domain, self.prepare.tokens)
        check_fits(
            self.train,
            task=self.source.task,
            kind="values" if stored == "value" else "tokens",
            has_validation=self.split.validation != 0,
        )


_CONFIG = ConfigDict(
    extra="forbid",
    alias_generator=lambda name: name.rstrip("_"),
    validate_by_name=False,
    coerce_numbers_to_str=True,
    json_schema_extra=describe,
)
_CLASSES: tuple[type, ...] = (
    *(Drift, Field, Generator, NearDuplicates, Prepare, Source, Split, Target, Tokens),
    *(Backpropagation, Conv, Front, Model, Optimizer, Retrain, Train, Predict, Pipeline),
    *TRANSFORMS.values(),
)
for _class in _CLASSES:
    _class.__pydantic_config__ = _CONFIG  # type: ignore[attr-defined]

_ADAPTER = TypeAdapter(Pipeline)


def load(path: Path, *, overrides: Sequence[str] = ()) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        path: of the YAML file.
        overrides: `a.b=value` texts; the value is YAML. Paths among them are relative to the
            current folder.

    Returns:
        The checked pipeline; `base(path)` is what its relative paths are relative to.

    Raises:
        ConfigError: saying which key, what was expected, what came.
    """
    body = read(path)
    for text in overrides:
        override(body, text)
    train = body.get("train")
    if isinstance(train, dict) and isinstance(train.get("encoder_from"), str):
        train["encoder_from"] = str(base(path) / train["encoder_from"])
    try:
        return build(body)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def check_folds(spec: Pipeline, folds: str | None) -> None:
    """Refuse `folds` that the split cannot give.

    Raises:
        ConfigError: unless `folds` is None, or "all" with a split by folds.
    """
    if folds is not None and (folds != "all" or spec.split.by != "folds"):
        raise ConfigError(
            f"folds must be `all` with split: {{by: folds, ...}}; got {folds!r} with "
            f"split by {spec.split.by}"
        )


def base(path: Path) -> Path:
    """The folder that relative paths of a pipeline file are relative to."""
    return path.resolve().parent


def build(body: Mapping[str, Any]) -> Pipeline:
    """A checked pipeline from plain mappings and lists, as YAML or JSON give them.

    Raises:
        ConfigError: for the first few things that are wrong, one a line.
    """
    try:
        return _ADAPTER.validate_python(dict(body))
    except ValidationError as error:
        raise ConfigError(explain(error, Pipeline)) from None


def to_json(pipeline: Pipeline) -> dict[str, Any]:
    """Plain mappings that `build` turns into the same pipeline again."""
    plain = as_json(pipeline)
    assert isinstance(plain, dict)
    return plain


def json_schema() -> dict[str, Any]:
    """JSON Schema of the pipeline file, every technique's options included."""
    schema = _ADAPTER.json_schema()
    options = []
    for name, transform in sorted(TRANSFORMS.items()):
        step = TypeAdapter(transform).json_schema(ref_template="#/$defs/{model}")
        schema["$defs"].update(step.pop("$defs", {}))
        options.append(
            {
                "type": "object",
                "properties": {name: step},
                "required": [name],
                "additionalProperties": False,
            }
        )
    schema["$defs"]["Prepare"]["properties"]["steps"]["items"] = {"oneOf": options}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "seqprep pipeline file"
    return schema


def override(body: dict[str, Any], text: str) -> None:
    """Apply one `a.b=value` to a mapping, in place.

    >>> body = {"train": {"epochs": 3}}
    >>> override(body, "train.model.hidden=64"); body
    {'train': {'epochs': 3, 'model': {'hidden': 64}}}
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set needs KEY=VALUE, e.g. train.epochs=3, got {text!r}")
    try:
        parsed = str(Path.cwd() / value) if key in PATH_KEYS else parse(value)
    except ConfigError as error:
        raise ConfigError(f"--set {key}: {error}") from error
    *parents, last = key.split(".")
    place: Any = body
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"--set {key}: {part} is not a mapping; set the whole of it instead")
    place[last] = parsed
