"""What a training stands on: rows as prepared, or an autoencoder that is learnt first (M7).

The autoencoder learns the same training rows without their labels: a snapshot of the same shards
for another task, so nothing is prepared twice. It gets as many updates, and the learning rate, of
the training that follows, and both count: seconds and parameters are added, of memory the larger
is taken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flows.codes import store_codes
from flows.comparison.strategy import PretrainingKind
from flows.pipeline_file import Pipeline, build, load, to_json
from flows.references import Json
from flows.training.job import write_job
from seqprep.prepare import prepare
from seqprep.snapshot import Snapshot, replace_bytes
from seqprep.upkeep.leftovers import STUDIES

RUNS = f"{STUDIES}/runs"
"""Folder of a dataset where its trainings lie; codes, as datasets of a store, lie beside it."""
_SHARED = ("embedding", "input", "hidden", "layers", "bidirectional", "front", "dropout")
"""Options of the model that an autoencoder takes over."""
MOST_LOGITS = 2**26
"""Numbers that all steps of a batch may give: 256 MB, of which training holds some three times."""
Trainer = Callable[[Path, Json], None]
"""Runs a job file, with what `prepare` made for it, to its end, where it has not ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretraining:
    """An autoencoder before a training.

    Args:
        kind: what is taken from it. options: keys of its model -> their values.
    """

    kind: PretrainingKind
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What a training stands on.

    Args:
        spec, prepared: the pipeline and its rows. store: where their dataset lies.
        train_seconds, memory_bytes, parameters: of what was learnt before.
        predict_seconds: for a thousand records, to make such rows of them.
    """

    spec: Pipeline
    prepared: Json
    store: Path
    train_seconds: float = 0.0
    memory_bytes: int = 0
    parameters: int = 0
    predict_seconds: float = 0.0


def ground_of(
    spec: Pipeline,
    prepared: Json,
    pretraining: Pretraining | None,
    *,
    store: Path,
    train: Trainer,
    runs: str = RUNS,
    is_asked_only: bool = False,
) -> Ground:
    """What a training stands on; an autoencoder that was trained before is found again.

    Args:
        spec: of the training.
        prepared: its rows, those of the autoencoder.
        pretraining: of it; None where there is none.
        store: folder of the datasets.
        train: of the autoencoder.
        runs: folder of the trainings.
        is_asked_only: whether nothing is to be made that is not there.

    Raises:
        LookupError: if something is not there, and nothing is to be made.
    """
    if pretraining is None:
        return Ground(spec=spec, prepared=prepared, store=store)
    known = Snapshot.read(Path(prepared["snapshot"]))
    own = autoencoder_of(spec, pretraining.options, vocab_size=known.facts.vocab_size)
    folder = (store / spec.dataset / runs).parent
    rows = {**prepared, "snapshot": str(unlabelled(known, folder))}
    job, _ = write_job(own, rows, store=store, folder=runs)
    train(job, rows)
    report = json.loads((job.parent / "report.json").read_bytes())
    bundle = job.parent / "bundle"
    cost = {
        "train_seconds": report["train"]["seconds"],
        "memory_bytes": report["train"]["memory_bytes"],
        "parameters": report["model"]["parameters"],
    }
    if pretraining.kind == "encoder":
        begun = replace(spec, train=replace(spec.train, encoder_from=str(bundle)))
        parameters = {"parameters": 0}  # its front and core are those of the model
        return Ground(spec=begun, prepared=prepared, store=store, **(cost | parameters))
    into = folder / "codes"
    if is_asked_only and not _noted(bundle, into).is_file():
        raise LookupError(into)
    return _coded(spec, bundle, cost, store=store, into=into)


def autoencoder_of(
    spec: Pipeline, options: Mapping[str, Any], *, vocab_size: int | None
) -> Pipeline:
    """The pipeline of the autoencoder that comes before a training.

    Args:
        spec: of the training.
        options: keys of the autoencoder's model -> their values.
        vocab_size: ids of which each step is one; None for values. Every step gives as many
            numbers, so batches are smaller where they are many.
    """
    body = to_json(spec)
    if vocab_size is not None:
        steps = MOST_LOGITS // vocab_size
        body["train"]["batch_tokens"] = min(body["train"]["batch_tokens"], max(1, steps))
    model = {key: body["train"]["model"][key] for key in _SHARED}
    body["train"]["model"] = {**model, "name": "autoencoder", **options}
    for key in ("backpropagation", "class_weights", "label_smoothing", "select_by"):
        del body["train"][key]
    body["source"]["task"] = "reconstruct"
    body["source"]["target"] = None
    body["predict"] = {}
    return build(body)


def unlabelled(known: Snapshot, folder: Path) -> Path:
    """A snapshot of the same shards whose rows are to be rebuilt, as a file.

    Args:
        known: of labelled rows.
        folder: of the comparison's files.
    """
    facts = replace(known.facts, task="reconstruct")
    other = replace(known, facts=facts)
    path = folder / "unlabelled" / f"{other.sha256[:12]}.json"
    if not path.is_file():
        other.write(path)
    return path


def _noted(bundle: Path, into: Path) -> Path:
    """The file that tells how long the codes took; its stem names their dataset."""
    return into / f"codes-{bundle.parent.name.rpartition('-')[2]}.json"


def _coded(
    spec: Pipeline, bundle: Path, cost: Mapping[str, Any], *, store: Path, into: Path
) -> Ground:
    """The codes of all records as a dataset of its own, prepared with the same split."""
    noted = _noted(bundle, into)
    name = noted.stem
    start_s = time.monotonic()
    made = store_codes(str(bundle), dataset=name, store=store, source_dataset=None, into=into)
    if not noted.is_file():  # the codes are found again in no time
        replace_bytes(noted, json.dumps({"seconds": time.monotonic() - start_s}).encode())
    encode_s: float = json.loads(noted.read_bytes())["seconds"]
    file = Path(made["pipeline"])
    body = to_json(load(file))
    train = to_json(spec)["train"]
    for key in ("embedding", "input"):
        del train["model"][key]
    body["train"], body["prepare"]["buckets"] = train, spec.prepare.buckets
    body["source"]["path"] = str(file.parent / body["source"]["path"])
    if body["split"]["table"] is not None:
        body["split"]["table"] = str(file.parent / body["split"]["table"])
    coded = build(body)
    rows = prepare(
        dataset=name,
        store=into,
        domain=coded.source.domain,
        task=coded.source.task,
        split=coded.split,
        recipe=coded.prepare,
        base=file.parent,
    )
    each_s = encode_s / made["rows"]
    return Ground(
        spec=coded,
        prepared=asdict(rows),
        store=into,
        train_seconds=cost["train_seconds"] + encode_s,
        memory_bytes=cost["memory_bytes"],
        parameters=cost["parameters"],
        predict_seconds=1000 * each_s,
    )
