"""The snapshot file of a version of `examples`: what its commit says, as training reads it.

It can be written again from the table at any time, so a crash after the commit loses nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqprep.fitted import Fitted
from seqprep.preparation.finisher import Finisher
from seqprep.preparation.job import Job
from seqprep.schema import NUM_RESERVED_TARGET
from seqprep.snapshot import Facts, Shard, Snapshot
from seqprep.staging import StagedFile
from seqprep.table import Table


def snapshot_path(examples: Table, version: int, *, recipe: str) -> Path:
    """Where the snapshot of a version lies."""
    return examples.path.parent / "snapshots" / f"{recipe}-v{version}.json"


def known_facts(job: Job, fitted: Fitted, finisher: Finisher, *, name: str) -> dict[str, Any]:
    """What the snapshot says of the data beside versions and hashes."""
    targets = len(fitted.target_vocabulary)
    return {
        "dataset": name,
        "recipe": job.recipe.recipe,
        "task": job.task,
        "domain": job.domain,
        "vocab_size": finisher.vocab_size,
        "channels": fitted.outputs,
        "rate_hz": fitted.output_rate_hz,
        "labels": fitted.labels,
        "target_names": fitted.target_names if job.task == "regress_steps" else (),
        "target_vocab_size": NUM_RESERVED_TARGET + targets if job.task == "translate" else None,
        "on_the_fly": finisher.steps_on_the_fly(),
        "window_stride": job.chain.window_stride,
        "sequences_version": job.version,
        "seed": job.recipe.seed,
    }


def write_snapshot(examples: Table, version: int, *, recipe: str) -> Path:
    """Write the snapshot file of a version, from what its commit says."""
    info = examples.info(version)
    facts = Facts(
        **{
            **{key: _tuples(value) for key, value in info.params["facts"].items()},
            "examples_version": version,
            "fitted_sha256": info.state["fitted"].partition(".")[0],
            "padding_share": info.counts["padding_share"],
        }
    )
    shards = tuple(_shard(file) for file in examples.files(version))
    path = snapshot_path(examples, version, recipe=recipe)
    Snapshot(root=examples.path.absolute(), facts=facts, shards=shards).write(path)
    return path


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shard(file: StagedFile) -> Shard:
    return Shard(
        path=file.path,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        rows=file.rows,
        split=file.partition["split"],  # type: ignore[arg-type]
        bucket=int(file.partition["bucket"]),
    )
