"""The pipeline file: one YAML, one object for the file, the command line and a deployment.

Loading checks everything that can be checked without reading data, before any work starts: unknown
keys name the nearest right key, wrong values say what was expected, an impossible chain of steps
says why. The same dataclasses give the JSON Schema.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.checks import JobError
from models.config import Backpropagation, Optimizer, Train
from models.fits import check_fits
from models.model_config import Conv, Front, Model
from seqprep.checks import check_name
from seqprep.errors import ConfigError, NotBuiltError
from seqprep.fingerprint import as_json
from seqprep.planned import PLANNED
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Field, Generator, Source, Target
from seqprep.transforms import TRANSFORMS, build_steps, check_chain, is_random

PATH_KEYS = ("source.path", "split.table")
"""Relative paths: to the pipeline file when written there, to the current folder with --set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predict:
    """How predictions are made.

    Args:
        views: average this many fixed views of a record, where the recipe has random steps;
            0: the record as validation sees it.
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
        self._check_model()
        steps = build_steps(self.prepare)
        if self.predict.views and not any(is_random(step) for step in steps):
            raise ConfigError(
                f"predict.views = {self.predict.views}, but no step of the recipe makes views; "
                "remove it, or give a random step `views` or `when: train`"
            )
        check_chain(
            steps,
            domain=self.source.domain,
            task=self.source.task,
            tokens=self.prepare.tokens,
        )

    def _keep_split_column(self) -> None:
        column = self.split.column
        if self.split.by == "column" and column is not None and column not in self.source.keep:
            keep = (*self.source.keep, column)
            values = {f.name: getattr(self.source, f.name) for f in fields(self.source)}
            object.__setattr__(self, "source", Source(**{**values, "keep": keep}))

    def _check_split(self) -> None:
        if self.split.by == "header" and self.source.domain != "dna":
            raise ConfigError("split by header needs domain: dna (FASTA headers)")
        steps = self.source.task in ("label_steps", "regress_steps")
        if self.split.by == "time" and not steps:
            raise ConfigError(
                f"split by time cuts recordings and needs a label or value for each step "
                f"(task: label_steps or regress_steps), got task: {self.source.task}"
            )

    def _check_model(self) -> None:
        """Refuse a model, or options of it, that do not fit the task and the data."""
        sequence = self.source.task == "translate"
        name = self.train.model.name
        if sequence != (name == "encoder_decoder"):
            right = "encoder_decoder" if sequence else "lstm"
            raise ConfigError(
                f"train.model.name: {name} does not fit task: {self.source.task}; use {right}"
            )
        steps = self.source.task in ("label_steps", "regress_steps")
        if steps and any(conv.stride > 1 for conv in self.train.model.front.conv):
            raise ConfigError(
                "train.model.front.conv with stride > 1 merges steps, and task: "
                f"{self.source.task} needs an output for each; use stride: 1"
            )
        values = self.source.domain in ("eeg", "prices")
        check_fits(
            self.train,
            task=self.source.task,
            kind="values" if values else "tokens",
            has_validation=self.split.validation != 0,
        )


_CONFIG = ConfigDict(
    extra="forbid",
    alias_generator=lambda name: name.rstrip("_"),
    validate_by_name=False,
    coerce_numbers_to_str=True,
    use_attribute_docstrings=True,
)
_CLASSES: tuple[type, ...] = (
    *(Field, Generator, Prepare, Source, Split, Target, Tokens),
    *(Backpropagation, Conv, Front, Model, Optimizer, Train, Predict, Pipeline),
    *TRANSFORMS.values(),
    *PLANNED.values(),
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
    try:
        body = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such pipeline file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_one_line(error)}") from error
    if not isinstance(body, dict):
        raise ConfigError(f"{path}: a pipeline file is a mapping that starts with `dataset: NAME`")
    for text in overrides:
        override(body, text)
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
        raise ConfigError(_explain(error)) from None


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
        path = key in PATH_KEYS
        parsed = str(Path.cwd() / value) if path else yaml.load(value, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: not valid YAML: {_one_line(error)}") from error
    *parents, last = key.split(".")
    place: Any = body
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"--set {key}: {part} is not a mapping; set the whole of it instead")
    place[last] = parsed


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice instead of keeping the last."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: the key {key!r} stands there twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))


def _explain(error: ValidationError) -> str:
    lines: list[str] = []
    said: list[tuple[str, ...]] = []
    for item in error.errors():
        path = tuple(str(part) for part in item["loc"] if not _is_type(part))
        # Each member of a union complains; the first, which went deepest, is enough.
        if any(other[: len(path)] == path for other in said):
            continue
        said.append(path)
        lines.append(_line(path, item))
    shown = lines[:5] + ([f"and {len(lines) - 5} more"] if len(lines) > 5 else [])
    return "\n  ".join(shown)


def _is_type(part: int | str) -> bool:
    """Whether a part of a location is pydantic's name of a member of a union."""
    return isinstance(part, str) and bool(re.search(r"\[|^(float|int|str|bool)$", part))


def _line(path: tuple[str, ...], item: Any) -> str:
    where = ".".join(path) or "pipeline"
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown key{_nearest(path)}"
    if item["type"] in ("missing", "missing_keyword_only_argument"):
        return f"{where}: this key is required"
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError | JobError | NotBuiltError):
        text = str(cause)
        return text if not path or text.startswith((where, *_roots())) else f"{where}: {text}"
    expected = item["msg"].lower().replace("valid tuple", "list").replace("input", "it", 1)
    return f"{where}: {expected}, got {item['input']!r}"


def _roots() -> tuple[str, ...]:
    return tuple(f.name for f in fields(Pipeline))


def _nearest(path: tuple[str, ...]) -> str:
    owner: Any = Pipeline
    for part in path[:-1]:
        types = {f.name.rstrip("_"): f.type for f in fields(owner)} if is_dataclass(owner) else {}
        owner = next(
            (c for c in _CLASSES if re.search(rf"\b{c.__name__}\b", str(types.get(part, "")))),
            owner,
        )
    names = [f.name.rstrip("_") for f in fields(owner)]
    close = difflib.get_close_matches(path[-1], names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; choose from {', '.join(sorted(names))}"
