"""Read job.json: what to train, on what, and where to put it. Standard library only.

Its keys: snapshot (path), out (folder), train (options), fitted (path or null), pipeline (object
or null), warm_from (object or null), validation_only (bool). Relative paths are relative to the
file. Unknown keys are errors that name the nearest right one.
"""

from __future__ import annotations

import difflib
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from models.options.checks import JobError
from models.options.retrain import Retrain
from models.options.training import Train

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmFrom:
    """The model whose weights a warm start takes, as it was chosen when the job was first written.

    Args:
        run: its name, for people. bundle: its folder; none: there was no model to begin from.
        sha256: of the bundle's manifest: no other model is taken, whatever lies there by now.
        versions: of the examples that it, and those that it began from itself, were trained on.
        why: there is no bundle.
    """

    run: str | None = None
    bundle: str | None = None
    sha256: str | None = None
    versions: tuple[int, ...] = ()
    why: str = ""

    def __post_init__(self) -> None:
        if (self.bundle is None) != (self.sha256 is None):
            raise JobError("warm_from: give `bundle` and `sha256`, of its manifest.json, together")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A training job.

    Args:
        snapshot: the snapshot file to train on.
        out: folder for the bundle, report, checkpoint and metrics.
        train: options.
        fitted: fitted state of the preparation, copied into the bundle.
        pipeline: source, split and preparation as a person wrote them, copied into the bundle.
        warm_from: what a warm start begins from, with `train.warm_start`.
        validation_only: score validation rows and no others, without baselines: a training of a
            search, of which nobody may know the test score, and which has to be short.
    """

    snapshot: str
    out: str
    train: Train = Train()
    fitted: str | None = None
    pipeline: dict[str, Any] | None = None
    warm_from: WarmFrom | None = None
    validation_only: bool = False

    def __post_init__(self) -> None:
        if self.train.warm_start != (self.warm_from is not None):
            raise JobError(
                f"train.warm_start: {self.train.warm_start}, but warm_from is "
                f"{'missing' if self.warm_from is None else 'there'}: a job needs both or neither; "
                "`seqprep train` writes them"
            )
        if self.train.if_newer or self.train.retrain != Retrain():
            raise JobError(
                "train.if_newer and train.retrain would be ignored: a job is trained when it is "
                "run; `seqprep train --if-newer` decides whether; remove them"
            )


def read_job(path: Path) -> Job:
    """Read and check a job file.

    Args:
        path: of the JSON file.

    Returns:
        The job, its paths absolute.

    Raises:
        JobError: naming the key that is wrong.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise JobError(f"{path}: not JSON: {error}") from error
    job = from_json(Job, data, key="")
    base = path.resolve().parent
    return Job(
        snapshot=os.path.normpath(base / job.snapshot),
        out=os.path.normpath(base / job.out),
        train=job.train,
        fitted=None if job.fitted is None else os.path.normpath(base / job.fitted),
        pipeline=job.pipeline,
        warm_from=_placed(job.warm_from, base),
        validation_only=job.validation_only,
    )


def _placed(warm: WarmFrom | None, base: Path) -> WarmFrom | None:
    if warm is None or warm.bundle is None:
        return warm
    return replace(warm, bundle=os.path.normpath(base / warm.bundle))


def from_json(cls: type[T], data: Any, *, key: str) -> T:
    """Build a dataclass, nested ones too, from plain JSON.

    Args:
        cls: the dataclass.
        data: an object with its keys.
        key: where it stands, for messages; "" at the top.

    Returns:
        The dataclass, checked by its own rules.

    Raises:
        JobError: for an unknown key (naming the nearest right one), a missing one or a wrong type.
    """
    if not isinstance(data, Mapping):
        raise JobError(f"{key or 'the job'} must be an object with keys, got {data!r}")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
            raise JobError(f"unknown key {_dot(key, str(name))!r}; did you mean {near[0]!r}?")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise JobError(f"{_dot(key, name)} is missing")
    values = {n: _convert(hints[n], v, key=_dot(key, n)) for n, v in data.items()}
    return cls(**values)


def _dot(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _convert(hint: Any, value: Any, *, key: str) -> Any:
    """Check `value` against a type hint; lists become tuples, objects dataclasses."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(options, value, key=key)
    if origin is typing.Literal:
        if value in options and type(value) in {type(option) for option in options}:
            return value
        near = difflib.get_close_matches(str(value), [str(o) for o in options], n=1)
        hint_text = f"; did you mean {near[0]!r}?" if near else ""
        raise JobError(f"{key} must be one of {list(options)}, got {value!r}{hint_text}")
    if origin is tuple:
        return _convert_tuple(options, value, key=key)
    if is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value, key=key)
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(hint, type)
        and isinstance(value, hint)
        and isinstance(value, bool) == (hint is bool)
    ):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise JobError(f"{key} must be {name}, got {value!r}")


def _convert_union(options: tuple[Any, ...], value: Any, *, key: str) -> Any:
    if value is None and type(None) in options:
        return None
    errors = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, key=key)
        except JobError as error:
            errors.append(error)
    raise errors[0] if len(errors) == 1 else JobError(" or ".join(str(e) for e in errors))


def _convert_tuple(options: tuple[Any, ...], value: Any, *, key: str) -> Any:
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple):
        if options[-1] is Ellipsis and is_dataclass(options[0]) and isinstance(value, Mapping):
            return (_convert(options[0], value, key=key),)
        raise JobError(f"{key} must be a list, got {value!r}")
    kinds = [options[0]] * len(value) if options[-1] is Ellipsis else list(options)
    if len(kinds) != len(value):
        raise JobError(f"{key} must be a list of {len(kinds)}, got {value!r}")
    return tuple(
        _convert(kind, item, key=f"{key}[{n}]")
        for n, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def to_json(value: Any) -> Any:
    """Plain lists, objects and scalars of a dataclass; `from_json` undoes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value
