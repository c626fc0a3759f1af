"""What the JSON of a bundle must say before the model is built: anyone may have written it.

The parts must be of the right types, possible by themselves, and of one and the same bundle: an
error here names the file, where prediction would end in a traceback or answer wrongly.
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.answers.objectives import Moments
from models.job import from_json
from models.manifest import BundleError, check_format, check_keys, first_line, load, parse
from models.options.checks import MOST, MOST_ENTRIES
from models.options.model import Model
from models.options.older import model_options, pipeline_options
from models.shape import Shape
from seqprep.schema import NUM_RESERVED_TARGET, num_reserved
from seqprep.snapshot import Facts

PRECISIONS = ("float32", "bf16", "float16")
PIPELINE_PARTS = ("dataset", "source", "split", "prepare", "train", "predict")
MODEL_PARTS = ("batch_tokens", "facts", "format", "model", "moments", "precision")
_NAMES = ("vocabulary", "target_vocabulary", "labels", "channels", "outputs", "target_names")


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What model.json says.

    Args:
        config: the model's options. facts: of the data it was trained on. shape: of both.
        moments: of the targets, for tasks with values.
        batch_tokens, precision: of prediction.
    """

    config: Model
    facts: Facts
    shape: Shape
    moments: Moments | None
    batch_tokens: int
    precision: str


def read_described(path: Path, *, version: str) -> Described:
    """What model.json says, every part possible by itself and beside the others.

    Args:
        path: of model.json.
        version: of the code that wrote the bundle.

    Raises:
        BundleError: naming the file and the key.
    """
    body = load(path)
    if not isinstance(body, dict):
        raise BundleError(f"{path}: must be an object with keys, got {reprlib.repr(body)}")
    check_format(path, body, version=version)
    check_keys(path, body, MODEL_PARTS, version=version)
    missing = [key for key in MODEL_PARTS if key not in body]
    if missing:
        raise BundleError(f"{path}: {', '.join(missing)} missing; copy the bundle again")
    try:
        _check_counts(body["model"], key="model")
        config = from_json(Model, model_options(body["model"]), key="model")
        facts = from_json(Facts, body["facts"], key="facts")
        _check_facts(facts)
        _check_running(body["precision"], body["batch_tokens"])
        return Described(
            config=config,
            facts=facts,
            shape=Shape.of(facts),
            moments=_moments(body["moments"], facts),
            batch_tokens=body["batch_tokens"],
            precision=body["precision"],
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{path}: {first_line(error)}") from error


def _check_counts(value: Any, *, key: str) -> None:
    """Refuse whole numbers that no index could follow, and lists that take minutes to read.

    Raises:
        ValueError: naming the option.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_counts(item, key=f"{key}.{name}")
    elif isinstance(value, list):
        if len(value) > MOST_ENTRIES:
            raise ValueError(f"{key} is a list of {len(value)}; at most {MOST_ENTRIES}")
        for place, item in enumerate(value):
            _check_counts(item, key=f"{key}[{place}]")
    elif isinstance(value, int) and abs(value) >= MOST:
        raise ValueError(f"{key} must be below 2**31, got {reprlib.repr(value)}")


def _check_facts(facts: Facts) -> None:
    """Refuse data that no snapshot can have.

    Raises:
        ValueError: naming the fact.
    """
    if facts.vocab_size is None and not facts.channels:
        raise ValueError("facts name neither vocab_size nor channels; a model reads one of them")
    for name, size, least in (
        ("vocab_size", facts.vocab_size, num_reserved(facts.task)),
        ("target_vocab_size", facts.target_vocab_size, NUM_RESERVED_TARGET),
    ):
        if size is not None and not least <= size < MOST:
            raise ValueError(
                f"facts.{name} must be in {least} (reserved ids) to 2**31, got {reprlib.repr(size)}"
            )
    if not 0 <= facts.window_stride < MOST:
        raise ValueError(
            f"facts.window_stride must be steps >= 0, got {reprlib.repr(facts.window_stride)}"
        )
    _check_names(facts.labels, key="facts.labels", once=True)


def _check_running(precision: Any, batch_tokens: Any) -> None:
    """Refuse what prediction cannot run with.

    Raises:
        ValueError: naming the key.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {list(PRECISIONS)}, got {reprlib.repr(precision)}"
        )
    if type(batch_tokens) is not int or not 1 <= batch_tokens < MOST:
        raise ValueError(
            f"batch_tokens must be a whole number >= 1 and below 2**31, got "
            f"{reprlib.repr(batch_tokens)}"
        )


def _moments(data: Any, facts: Facts) -> Moments | None:
    """Mean and standard deviation of each channel that the task foretells.

    Raises:
        ValueError: for moments that the task lacks or that cannot scale its values.
    """
    widths = {"regress": 1, "regress_steps": len(facts.target_names)}
    if facts.vocab_size is None:
        widths["reconstruct"] = len(facts.channels)
    width = widths.get(facts.task)
    if width is None:
        if data is not None:
            raise ValueError(f"moments must be null for task {facts.task!r}, which has no values")
        return None
    rows = data if isinstance(data, list) else []
    if len(rows) != 2 or not all(isinstance(row, list) and len(row) == width for row in rows):
        raise ValueError(
            f"moments must be two lists of {width} (mean and standard deviation of each channel "
            f"of task {facts.task!r}), got {reprlib.repr(data)}"
        )
    mean, std = rows
    if not all(type(x) in (int, float) and math.isfinite(x) for x in (*mean, *std)):
        raise ValueError(f"moments must be finite numbers, got {reprlib.repr(data)}")
    if min(std) <= 0:
        raise ValueError(f"standard deviations in moments must be > 0, got {reprlib.repr(std)}")
    return tuple(float(x) for x in mean), tuple(float(x) for x in std)


def _check_names(names: Any, *, key: str, once: bool) -> None:
    """Refuse what is no list of texts, or names one twice where codes must be told apart.

    Raises:
        ValueError: naming the key.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} must be a list of texts, got {reprlib.repr(names)}")
    if once and len(set(names)) != len(names):
        twice, times = Counter(names).most_common(1)[0]
        raise ValueError(f"{key} names {reprlib.repr(twice)} {times} times; each must stand once")


def read_pipeline(path: Path, facts: Facts, *, version: str) -> dict[str, Any] | None:
    """The pipeline of a bundle, its parts known to this version and of the model's task.

    Args:
        path: of pipeline.json.
        facts: of the model's data.
        version: of the code that wrote the bundle.

    Returns:
        The pipeline; None for a model of prepared examples only.

    Raises:
        BundleError: naming the file and the part.
    """
    body = load(path)
    if body is None:
        return None
    if not isinstance(body, dict):
        raise BundleError(f"{path}: must be an object or null, got {type(body).__name__}")
    check_keys(path, body, PIPELINE_PARTS, version=version)
    try:
        _check_parts(body)
        source = body.get("source") or {}
        for key, known in (("task", facts.task), ("domain", facts.domain)):
            if source.get(key, known) != known:
                raise ValueError(
                    f"source.{key} is {reprlib.repr(source[key])}, but the model was trained for "
                    f"{known!r}; the files are of different bundles"
                )
    except ValueError as error:
        raise BundleError(f"{path}: {first_line(error)}") from error
    return pipeline_options(body)


def _check_parts(pipeline: Mapping[str, Any]) -> None:
    """Refuse parts of other types than those that answers are spelt by.

    Raises:
        ValueError: naming the part.
    """
    prepare = pipeline.get("prepare")
    every = {name: pipeline.get(name) for name in PIPELINE_PARTS[1:]}
    units = {}
    if isinstance(prepare, dict):
        units = {f"prepare.{key}": prepare.get(key) for key in ("tokens", "target_tokens")}
    for name, part in {**every, **units}.items():
        if part is not None and not isinstance(part, dict):
            raise ValueError(f"{name} must be an object, got {reprlib.repr(part)}")
    for name, unit in units.items():
        for key, kind, rule in (
            ("unit", str, "a text"),
            ("k", int, "a whole number"),
            ("stride", int, "a whole number"),
        ):
            value = (unit or {}).get(key)
            if value is not None and type(value) is not kind:
                raise ValueError(f"{name}.{key} must be {rule}, got {reprlib.repr(value)}")


def read_fitted(path: Path, facts: Facts) -> bytes:
    """The fitted state of a bundle, with the tokens and names that the model was built for.

    Args:
        path: of fitted.json.
        facts: of the model's data.

    Raises:
        BundleError: naming the file and what does not fit.
    """
    raw = path.read_bytes()
    body = parse(raw, path)
    if not isinstance(body, dict):
        raise BundleError(f"{path}: not a fitted state")
    try:
        for key in _NAMES:
            if body.get(key) is not None:
                _check_names(body[key], key=key, once=key not in ("channels", "outputs"))
    except ValueError as error:
        raise BundleError(f"{path}: {first_line(error)}") from error
    _compare(path, body, facts)
    return raw


def _compare(path: Path, body: Mapping[str, Any], facts: Facts) -> None:
    """Compare the vocabularies' sizes, and names in the order of codes, with the model's."""
    sizes = {
        "vocabulary": (facts.vocab_size, num_reserved(facts.task)),
        "target_vocabulary": (facts.target_vocab_size, NUM_RESERVED_TARGET),
    }
    for key, (size, reserved) in sizes.items():
        words: Sequence[str] | None = body.get(key)
        if words is not None and size is not None and len(words) + reserved != size:
            raise BundleError(
                f"{path}: {key} of {len(words)} tokens, but the model was built for "
                f"{size - reserved}; the files are of different bundles"
            )
    for key, names in (("labels", facts.labels), ("outputs", facts.channels)):
        if body.get(key) and tuple(body[key]) != names:
            raise BundleError(
                f"{path}: {key} are {reprlib.repr(body[key])}, but the model was built for "
                f"{reprlib.repr(list(names))}; the files are of different bundles"
            )
