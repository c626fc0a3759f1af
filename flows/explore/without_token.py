"""A training without one token: the same rows, options and seed, its steps removed.

The rows are written to a folder of their own, without the test split, so that no test row is read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from flows.progress import silent
from flows.train import follow
from models.bundle import Bundle
from models.device import prepare_torch
from models.job import read_job
from models.options.training import Train
from models.scores.masking import Masked, mask_tokens, without_token
from seqprep.schema import Split
from seqprep.snapshot import Shard, Snapshot, file_sha256, read_shard, replace_bytes

READ: tuple[Split, ...] = ("train", "validation")


def retrain_without(snapshot: Snapshot, token: int, *, job: Path, folder: Path) -> Masked:
    """Scores of the validation records by a model that was trained without a token.

    Args:
        snapshot: of the examples.
        token: its id.
        job: of the training with all tokens.
        folder: for the rows and the training; everything in it may be deleted afterwards.
    """
    masked = write_without(snapshot, token, folder=folder)
    body = json.loads(job.read_bytes())
    body |= {
        "snapshot": str((folder / "snapshot.json").resolve()),
        "out": str(folder.resolve()),
        "fitted": read_job(job).fitted,
    }
    replace_bytes(folder / "job.json", json.dumps(body).encode())
    follow(folder / "job.json", silent)
    bundle = Bundle.read(folder / "bundle")
    device = prepare_torch(Train(device="auto"))
    return mask_tokens(bundle, masked, "validation", [], device=device)


def write_without(snapshot: Snapshot, token: int, *, folder: Path) -> Snapshot:
    """Training and validation rows without a token's steps, and their snapshot.

    Args:
        snapshot: of the examples.
        token: its id.
        folder: where they go.
    """
    shards: list[Shard] = []
    for split in READ:
        for shard in snapshot.of(split):
            table = read_shard(snapshot, shard)
            rows = np.arange(len(table))
            path = folder / "examples" / shard.path
            path.parent.mkdir(parents=True, exist_ok=True)
            changed = without_token(table, rows, np.full(len(table), token))
            pq.write_table(changed, path, write_page_checksum=True)
            size_bytes = path.stat().st_size
            shards.append(replace(shard, sha256=file_sha256(path), size_bytes=size_bytes))
    made = Snapshot(root=folder / "examples", facts=snapshot.facts, shards=tuple(shards))
    made.write(folder / "snapshot.json")
    return made
