"""Untrained bundles, and bundles forged as someone would who knows the format."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from models.architectures import build
from models.bundle import MANIFEST, Bundle, seal
from models.options.model import Conv, Front, Model, Name
from models.shape import Shape
from seqprep.schema import Task, num_reserved
from tests.synthetic import VOCAB, example_table, facts_of_task, rows_of_task

MODEL_OF: dict[Task, Name] = {
    "classify": "lstm",
    "regress": "lstm",
    "label_steps": "lstm",
    "regress_steps": "lstm",
    "translate": "encoder_decoder",
    "next": "next_symbol",
    "reconstruct": "autoencoder",
}
TASKS = tuple(MODEL_OF)


def bundle_of(task: Task, **options: Any) -> tuple[Bundle, pa.Table]:
    """An untrained bundle with these options of the model, and rows for it."""
    data = rows_of_task(task, 12, seed=0)
    facts = facts_of_task(task, data)
    front = Front() if task == "next" else Front(conv=(Conv(channels=5, kernel=3, stride=1),))
    plain: dict[str, Any] = {
        "name": MODEL_OF[task],
        "hidden": 6,
        "embedding": 4,
        "bidirectional": task != "next",
        "front": front,
        "head": (5,),
    }
    config = Model(**{**plain, **options})
    torch.manual_seed(0)
    moments = {
        "regress": ((100.0,), (2.0,)),
        "regress_steps": ((100.0,), (2.0,)),
        "reconstruct": ((0.0, 1.0), (1.0, 2.0)),
    }
    tokens = list("ACGTNR")[: VOCAB - num_reserved(task)]
    bundle = Bundle(
        model=build(config, Shape.of(facts)).eval(),
        config=config,
        facts=facts,
        moments=moments.get(task),
        fitted=json.dumps({"target_vocabulary": list("abcdef"), "vocabulary": tokens}).encode(),
        pipeline={"dataset": "synthetic"},
        scores={"test": {"accuracy": 0.5}},
    )
    return bundle, example_table(data, facts)


def forge(bundle: Path, name: str, content: bytes) -> None:
    """Replace a member and put the right hash and size into the manifest, as a forger would."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    manifest["files"][name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    (bundle / MANIFEST).write_bytes(seal(manifest))


def forge_manifest(bundle: Path, **changes: Any) -> None:
    """Change keys of the manifest and seal it again."""
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    (bundle / MANIFEST).write_bytes(seal({**manifest, **changes}))


def described(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what model.json says, and put the right hash into the manifest."""
    body = json.loads((bundle / "model.json").read_bytes())
    change(body)
    forge(bundle, "model.json", json.dumps(body).encode())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if what stands in it takes longer."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
