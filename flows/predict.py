"""The `predict` flow: a bundle and new raw files -> one prediction a record, as Parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.commands.predict_paths import check_inputs, check_out
from flows.explore.attention import plot_attention
from flows.notify import TOLD
from flows.prediction.answers import Predictor, predictions_schema
from flows.progress import stage
from flows.references import Json
from flows.registry.bundles import find_bundle
from flows.reporting.artifacts import predict_artifact
from flows.stream import stream_schema
from models.answers.beside import check_attention
from models.stream import check_streams
from seqprep.errors import ConfigError
from seqprep.new_files import read_records


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
    predictor = Predictor.read(Path(bundle))
    model, spec = predictor.model, predictor.spec
    paths = [Path(path).absolute() for path in inputs]
    check_inputs(paths)
    check_out(Path(out).absolute(), paths)
    if attention:
        check_attention(model.facts, model.config)
    if every is not None:
        check_streams(model.config, model.facts.task)
    schema = predictions_schema(model, attention=attention)
    if every is not None:
        schema = stream_schema(spec.source.task)
    schema = schema.with_metadata(predictor.about())
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
            records = read_records(spec.source, paths, base=Path("/"), facts=predictor.facts)
            for answers, rejected in predictor.answers(
                records, schema, every=every, attention=attention
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
