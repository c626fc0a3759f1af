"""A bundle and records -> rows of predictions: one an input record (CONTRACT 28)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from flows.pipeline_file import Pipeline
from flows.stored import pipeline_of
from flows.stream import stream_rows
from models.answers.vocabulary import Vocabulary
from models.bundle import Bundle
from models.device import prepare_torch
from models.manifest import bundle_digest, check
from models.options.training import Train
from models.predict import answer_fields, predict_examples
from seqprep.errors import Rejection, SeqprepError
from seqprep.fitted import Fitted
from seqprep.ingestion.records import SourceFacts
from seqprep.new_files import Records
from seqprep.preparation.applied import Applier


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """A bundle that was read, and how records were made for it.

    Args:
        folder: of the bundle. digest: SHA-256 of its manifest.
        model: see Bundle. spec: the pipeline that it was trained with.
    """

    folder: Path
    digest: str
    model: Bundle
    spec: Pipeline

    @classmethod
    def read(cls, folder: Path) -> Predictor:
        """Read a bundle.

        Raises:
            SeqprepError: if it is damaged, replaced at this moment, or of an unfit version.
        """
        check(folder, verify=False)  # says what is missing
        digest = bundle_digest(folder)
        model = Bundle.read(folder)
        if bundle_digest(folder) != digest:
            raise SeqprepError(f"{folder}: another bundle took its place just now; run again")
        return cls(
            folder=folder, digest=digest, model=model, spec=pipeline_of(model, folder=str(folder))
        )

    @property
    def facts(self) -> SourceFacts:
        """What training found that all records share."""
        fitted = Fitted.from_bytes(self.model.fitted)
        return SourceFacts(channels=fitted.channels, rate_hz=fitted.rate_hz)

    def symbols(self) -> list[str]:
        """What `probabilities` of the next symbol stand for; of other tasks none."""
        if self.model.facts.task != "next":
            return []
        return Vocabulary.of(self.model.facts, self.model.fitted, self.model.pipeline).names()

    def about(self) -> dict[str, str]:
        """Metadata of a file of predictions."""
        about = {"labels": json.dumps(self.model.facts.labels), "bundle": self.digest}
        if symbols := self.symbols():
            about["symbols"] = json.dumps(symbols)
        return about

    def answers(
        self,
        records_of: Records,
        schema: pa.Schema,
        *,
        every: int | None = None,
        attention: bool = False,
    ) -> Iterator[tuple[pa.Table, int]]:
        """Rows to write, a few records at a time, and how many of them are errors.

        Args:
            records_of: as they were read.
            schema: of the rows.
            every: steps between two rows of a record; None: a row a record.
            attention: whether attention weights are among the columns.
        """
        model, spec = self.model, self.spec
        device = prepare_torch(Train(device="auto"))
        with Applier.of(
            domain=spec.source.domain,
            task=spec.source.task,
            recipe=spec.prepare,
            fitted=Fitted.from_bytes(model.fitted),
            views=spec.predict.views,
        ) as applier:
            for records, rejections in records_of:
                for part in _slices(records):
                    examples = applier.apply(part)
                    if every is not None:
                        rows = stream_rows(
                            model, part, examples, schema, every=every, device=device
                        )
                        yield from ((table, 0) for table in rows)
                        continue
                    found = predict_examples(model, examples, device=device, attention=attention)
                    yield _rows(part, found, schema), 0
                yield error_rows(rejections, schema), len(rejections)


def predictions_schema(model: Bundle, *, attention: bool = False) -> pa.Schema:
    """Columns of a file of predictions: one row an input record, `error` null where all went well.

    `probabilities` are in the order of the labels, which the file's metadata names; of the next
    symbol in that of `symbols` there.

    Args:
        model: its task decides the type of `prediction`: a label or text, a number, or one for
            each step; see `models.predict`.
        attention: whether attention weights are among them.
    """
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("source", pa.string()),
            *answer_fields(model.facts, model.config, attention=attention),
            pa.field("error", pa.string()),
        ]
    )


def _slices(records: pa.Table, size: int = 2048) -> Iterator[pa.Table]:
    for start in range(0, records.num_rows, size):
        yield records.slice(start, size)


def _rows(records: pa.Table, predictions: pa.Table, schema: pa.Schema) -> pa.Table:
    """Predictions in the order of the records, with where each record came from."""
    place = {id_: row for row, id_ in enumerate(predictions["id"].to_pylist())}
    order = pa.array([place[id_] for id_ in records["id"].to_pylist()], pa.int64())
    found = predictions.take(order)
    columns = {name: found[name] for name in found.column_names} | {
        "source": records["source"],
        "error": pa.nulls(records.num_rows),
    }
    return pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)


def error_rows(rejections: Sequence[Rejection], schema: pa.Schema) -> pa.Table:
    """A row for each record that could not be used."""
    return pa.Table.from_pylist(
        [
            {
                "id": item.source if item.record is None else f"{item.source}#{item.record}",
                "source": item.source,
                "windows": 0,
                "error": f"{item.reason}: {item.detail}",
            }
            for item in rejections
        ],
        schema=schema,
    )
