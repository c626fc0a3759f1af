"""A bundle on records that are stored: its own pipeline, and its own preparation of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flows.pipeline_file import Pipeline, build
from models.bundle import Bundle
from seqprep import __version__
from seqprep.errors import ConfigError, SeqprepError
from seqprep.fitted import Fitted
from seqprep.preparation.applied import Applier
from seqprep.schema import CONTENT_COLUMN
from seqprep.table import Table

SLICE = 2048
"""Records that are prepared at a time."""


def pipeline_of(model: Bundle, *, folder: str) -> Pipeline:
    """The pipeline that a bundle was trained with.

    Raises:
        SeqprepError: if there is none, or this version does not know a key of it.
    """
    try:
        return build(model.needed_pipeline())
    except ConfigError as error:
        raise SeqprepError(
            f"{folder}: written by version {model.code_version}, whose pipeline this version "
            f"({__version__}) cannot read: {error}; train again, or use that version"
        ) from error


def prepared_records(
    model: Bundle,
    spec: Pipeline,
    table: Table,
    version: int,
    *,
    columns: Sequence[str],
    only: Collection[str] | None = None,
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Some records at a time, and their examples.

    Args:
        model: whose fitted state is used.
        spec: that it was trained with; the views of its predictions are left out.
        table: of sequences.
        version: of it.
        columns: of the records, beside their content; `id` and `length` are always there.
        only: ids of the records that are meant; None: all.
    """
    wanted = dict.fromkeys(["id", *columns, "length", CONTENT_COLUMN[spec.source.domain]])
    ids = None if only is None else pa.array(sorted(only), pa.string())
    with Applier.of(
        domain=spec.source.domain,
        task=spec.source.task,
        recipe=spec.prepare,
        fitted=Fitted.from_bytes(model.fitted),
    ) as applier:
        for place in table.row_groups(version):
            group = table.read_group(*place, list(wanted))
            if ids is not None:
                group = group.filter(pc.is_in(group["id"], ids))
            for start in range(0, len(group), SLICE):
                part = group.slice(start, SLICE)
                yield part, applier.apply(part)
