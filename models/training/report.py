"""The end of a run: scores beside baselines, predictions, the bundle, report.json last of all."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from models.answers import outputs
from models.answers.vocabulary import Vocabulary
from models.bundle import Bundle, BundleError, check
from models.predict import answer_table
from models.scores import baselines, metrics
from models.training.evaluation import answers
from models.training.setting import Setting
from seqprep.errors import CorruptError, SeqprepError
from seqprep.schema import Split
from seqprep.snapshot import replace_bytes

logger = logging.getLogger(__name__)

NAME = "report.json"
SCORED: tuple[Split, ...] = ("validation", "test")


def finished(out: Path, identity: Mapping[str, str]) -> bool:
    """Whether a folder holds the whole result of the same job."""
    try:
        report = json.loads((out / NAME).read_bytes())
        check(out / "bundle")
    except (OSError, ValueError, BundleError):
        return False
    return isinstance(report, dict) and report.get("identity") == dict(identity)


def finish(setting: Setting, *, between: Callable[[], None] | None = None) -> Path:
    """Score the best weights, write predictions and the bundle, then the report.

    Args:
        setting: of a run that is done.
        between: called after each batch that is scored; what it raises ends the work.

    Returns:
        Path of report.json.

    Raises:
        SeqprepError: if no epoch ended with finite figures.
    """
    run, sources, out = setting.run, setting.sources, setting.out
    if run.best:
        run.model.load_state_dict(dict(run.best))
    elif len(sources["validation"]):
        raise SeqprepError(
            "no epoch ended with a finite validation figure; lower train.optimizer.lr or look at "
            "the data"
        )
    job = setting.job
    fitted = b"{}" if job.fitted is None else Path(job.fitted).read_bytes()
    vocabulary = Vocabulary.of(sources["train"].facts, fitted, job.pipeline)
    body: dict[str, Any] = {"metrics": {}, "per_class": {}, "confusion": {}, "baselines": {}}
    seconds: dict[str, float] = {}
    for split in SCORED[:1] if job.validation_only else SCORED:
        if not len(sources[split]):
            continue
        start_s = time.monotonic()
        found = answers(run, sources[split], between=between)
        pooled = outputs.pool(found)
        _score(setting, split, pooled, body)
        table = answer_table(pooled, vocabulary, with_truth=True)
        table = table.replace_schema_metadata({"about": json.dumps(_about(setting))})
        pq.write_table(table, out / f"predictions-{split}.parquet", write_page_checksum=True)
        seconds[split] = time.monotonic() - start_s
    if not job.validation_only:
        start_s = time.monotonic()
        body["baselines"] = baselines.score_all(
            sources, SCORED, fitted=fitted, pipeline=job.pipeline
        )
        seconds["baselines"] = time.monotonic() - start_s
    body = {**_described(setting), **body, "scoring_seconds": seconds}
    scores = {key: body[key] for key in ("metrics", "baselines")}
    _bundle(setting, fitted, scores).write(out / "bundle")
    replace_bytes(out / NAME, json.dumps(body, indent=1, allow_nan=False).encode())
    return out / NAME


def _about(setting: Setting) -> dict[str, Any]:
    """What a file of predictions says of itself, so that those of several runs can be joined."""
    facts, majority = setting.sources["train"].facts, setting.run.majority
    return {
        "task": facts.task,
        "labels": list(facts.labels),
        "channels": max(1, len(facts.target_names)),
        "majority": None if majority is None else facts.labels[majority],
    }


def _score(setting: Setting, split: Split, pooled: outputs.Outputs, body: dict[str, Any]) -> None:
    """Figures, confusion matrix and per-class table of one split, into `body`.

    Of two classes the second is the positive one: `positive` names it. `missing_classes` are those
    without a row in the split.
    """
    facts = setting.sources[split].facts
    if pooled.truth is None:
        raise CorruptError(f"rows of {split} carry no label or target; run prepare again")
    body["metrics"][split] = metrics.score(facts.task, pooled, majority=setting.run.majority)
    body["metrics"][split]["loss"] = pooled.loss
    if facts.task == "classify":
        if len(facts.labels) == 2:
            body["metrics"][split]["positive"] = facts.labels[1]
        matrix = metrics.confusion_of(pooled.answers, pooled.truth)  # type: ignore[arg-type]
    elif facts.task == "label_steps":
        matrix = metrics.confusion_of(*metrics.labelled_steps(pooled))
    else:
        return
    body["confusion"][split] = matrix
    body["per_class"][split] = metrics.per_class(matrix, facts.labels)
    missing = [label for label, row in zip(facts.labels, matrix, strict=True) if not sum(row)]
    if missing:
        body["metrics"][split]["missing_classes"] = missing
        logger.warning(
            "%s has no rows of %s: its figures say nothing about them; split by another seed or "
            "share",
            split,
            ", ".join(missing),
        )


def _described(setting: Setting) -> dict[str, Any]:
    run, progress = setting.run, setting.run.progress
    facts = setting.sources["train"].facts
    return {
        "identity": setting.identity,
        "dataset": facts.dataset,
        "recipe": facts.recipe,
        "task": facts.task,
        "labels": list(facts.labels),
        "model": {
            "name": run.options.model.name,
            "parameters": sum(p.numel() for p in run.model.parameters()),
            "execution": setting.device["execution"],
            "seconds_a_batch": setting.device["seconds_a_batch"],
            "device": run.device.type,
            "precision": run.options.precision,
            "threads": torch.get_num_threads(),
        },
        "train": {
            "rows": {split: len(source) for split, source in setting.sources.items()},
            "updates": progress.updates,
            "skipped": progress.skipped,
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch,
            "seconds": progress.seconds,
            "real_steps_per_s": progress.real_steps_per_s,
            "seconds_per_step": progress.train_seconds / max(progress.steps, 1),
            "memory_bytes": progress.memory_bytes,
            "memory_bytes_per_step": progress.memory_bytes / max(progress.largest, 1),
            "padding_share": progress.padding_share,
            "overlong": setting.sources["train"].plan(0).overlong,
            "resumed": progress.resumed,
            "begun_from": setting.begun or None,
            "history": progress.history,
        },
    }


def _bundle(setting: Setting, fitted: bytes, scores: Mapping[str, Any]) -> Bundle:
    options = setting.job.train
    return Bundle(
        model=setting.run.model,
        config=options.model,
        facts=setting.sources["train"].facts,
        moments=setting.moments,
        batch_tokens=options.batch_tokens,
        precision=options.precision,
        fitted=fitted,
        pipeline=setting.job.pipeline,
        scores=scores,
    )
