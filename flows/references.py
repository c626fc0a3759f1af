"""What passes between flows: small JSON references, never frames or tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.pipeline_file import Pipeline, base, load
from seqprep.errors import ConfigError
from seqprep.prepare import read_tables
from seqprep.splits import read_listed
from seqprep.transforms import build_steps

Json = dict[str, Any]


def resolve(
    file: str | None, pipeline: Pipeline | None, settings: list[str] | None
) -> tuple[Pipeline, Path]:
    """The pipeline that a flow was called with, and what its relative paths are relative to.

    Args:
        file: path of a pipeline file.
        pipeline: or the pipeline itself, as a deployment's form gives it.
        settings: `a.b=value` texts that change the file's values.

    Raises:
        ConfigError: if both or neither are given, or something in them is wrong.
    """
    if file is not None and pipeline is not None:
        raise ConfigError(
            f"both `file` ({file}) and `pipeline` are given; set one to None (a deployment has "
            "a `file` already)"
        )
    if file is not None:
        return load(Path(file), overrides=settings or ()), base(Path(file))
    if pipeline is None:
        raise ConfigError("give `file`, the path of a pipeline file, or `pipeline`, its content")
    if settings:
        raise ConfigError("`settings` change a pipeline `file`; change `pipeline` itself instead")
    for key, path in (
        ("source.path", pipeline.source.path),
        ("split.table", pipeline.split.table),
        ("train.encoder_from", pipeline.train.encoder_from),
    ):
        if path is not None and not Path(path).is_absolute():
            raise ConfigError(
                f"{key} must be absolute where no pipeline file stands beside it, got {path!r}"
            )
    return pipeline, Path("/")


def check_tables(spec: Pipeline, *, base: Path) -> None:
    """Refuse tables of tokens or splits that cannot be read, before anything else is.

    Args:
        spec: the pipeline.
        base: folder that their paths are relative to.

    Raises:
        ConfigError: naming the key and the path.
    """
    read_tables(build_steps(spec.prepare), base=base)
    read_listed(spec.split, base=base)
