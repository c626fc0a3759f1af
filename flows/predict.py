"""The `predict` flow: a bundle and new raw files -> one prediction a record, as Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.commands.predict_paths import check_inputs, check_out
from flows.explore.attention import plot_attention
from flows.notify import TOLD
from flows.pipeline_file import Pipeline
from flows.progress import stage
from flows.references import Json
from flows.registry.bundles import find_bundle
from flows.reporting.artifacts import predict_artifact
from flows.stored import pipeline_of
from flows.stream import stream_rows, stream_schema
from models.answers.beside import check_attention
from models.answers.vocabulary import Vocabulary
from models.bundle import Bundle
from models.device import prepare_torch
from models.manifest import bundle_digest
from models.options.training import Train
from models.predict import answer_fields, predict_examples
from models.stream import check_streams
from seqprep.errors import ConfigError, Rejection
from seqprep.fitted import Fitted
from seqprep.ingest import read_records
from seqprep.ingestion.records import SourceFacts
from seqprep.preparation.applied import Applier


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


@task(name="predict files", cache_policy=NO_CACHE)
def predict_files(
    bundle: str,
    inputs: Sequence[str],
    *,
    out: str,
    every: int | None = None,
    attention: bool = False,
) -> Json:
    """Clean and encode new files exactly as in training, and write one row an input record.

    With `every`, rows of a record are written after each so many steps, and at its end. With
    `attention` weights are a column, and those of the first records are plotted beside the file.
    """
    if attention and every is not None:
        raise ConfigError(
            "--attention has no meaning with --stream: weights are those of whole records; "
            "remove one of the two"
        )
    model = Bundle.read(Path(bundle))
    spec = pipeline_of(model, folder=bundle)
    paths = [Path(path).absolute() for path in inputs]
    check_inputs(paths)
    check_out(Path(out).absolute(), paths)
    about = {"labels": json.dumps(model.facts.labels), "bundle": bundle_digest(Path(bundle))}
    if model.facts.task == "next":
        vocabulary = Vocabulary.of(model.facts, model.fitted, model.pipeline)
        about["symbols"] = json.dumps(vocabulary.names())
    if attention:
        check_attention(model.facts, model.config)
    if every is not None:
        check_streams(model.config, model.facts.task)
    schema = predictions_schema(model, attention=attention)
    if every is not None:
        schema = stream_schema(spec.source.task)
    schema = schema.with_metadata(about)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    rows = errors = 0
    try:
        with (
            stage(f"{spec.dataset}: predict") as progress,
            pq.ParquetWriter(
                staged, schema, compression="zstd", write_page_checksum=True
            ) as writer,
        ):
            for answers, rejected in _answers(
                model, spec, paths, schema, every=every, attention=attention
            ):
                writer.write_table(answers)
                rows += answers.num_rows
                errors += rejected
                progress("records", rows, rows)
        os.replace(staged, target)
    finally:
        staged.unlink(missing_ok=True)
    if attention:
        plot_attention(target)
    return {
        "out": str(target),
        "rows": rows,
        "errors": errors,
        "bundle": bundle,
        "dataset": spec.dataset,
    }


def _answers(
    model: Bundle,
    spec: Pipeline,
    paths: Sequence[Path],
    schema: pa.Schema,
    *,
    every: int | None = None,
    attention: bool = False,
) -> Iterator[tuple[pa.Table, int]]:
    """Rows to write, a few records at a time, and how many of them are errors."""
    fitted = Fitted.from_bytes(model.fitted)
    device = prepare_torch(Train(device="auto"))
    facts = SourceFacts(channels=fitted.channels, rate_hz=fitted.rate_hz)
    records_of = read_records(spec.source, paths, base=Path("/"), facts=facts)
    with Applier.of(
        domain=spec.source.domain,
        task=spec.source.task,
        recipe=spec.prepare,
        fitted=fitted,
        views=spec.predict.views,
    ) as applier:
        for records, rejections in records_of:
            for part in _slices(records):
                examples = applier.apply(part)
                if every is not None:
                    rows = stream_rows(model, part, examples, schema, every=every, device=device)
                    yield from ((table, 0) for table in rows)
                    continue
                predictions = predict_examples(model, examples, device=device, attention=attention)
                yield _rows(part, predictions, schema), 0
            yield _errors(rejections, schema), len(rejections)


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


def _errors(rejections: Sequence[Rejection], schema: pa.Schema) -> pa.Table:
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


@flow(name="predict", flow_run_name="predict-{out}", **TOLD)
def predict(
    bundle: str,
    inputs: list[str],
    out: str,
    every: int | None = None,
    attention: bool = False,
    store: str = "store",
) -> Json:
    """Predict new raw files with a trained bundle.

    Args:
        bundle: folder of a bundle, or DATASET@current.
        inputs: files or folders, in the form that the model was trained on.
        out: the Parquet file to write.
        every: read records step by step, and write a row after each so many; none: a row a record.
        attention: also write attention weights, and plot those of the first records.
        store: folder of the datasets, where DATASET@current is meant.

    Returns:
        Where the predictions lie and how many there are.
    """
    found = str(find_bundle(bundle, store=Path(store)))
    done = predict_files(found, inputs, out=out, every=every, attention=attention)
    predict_artifact(done)
    return done
