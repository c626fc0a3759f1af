"""A small part of each public dataset, read plainly and prepared with one technique."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from Bio import SeqIO

from seqprep.fitted import Fitted
from seqprep.frequency_table import count_frequencies, counting_job, frequency_table
from seqprep.ingest import ingest
from seqprep.preparation.opened import opened
from seqprep.prepare import plan_job, prepare
from seqprep.recipe import Prepare, Split
from seqprep.snapshot import Snapshot, read_shard
from seqprep.source import Field, Source
from seqprep.table import Table
from seqprep.table_files import write_table

OOV = "<OOV>"
Floats = npt.NDArray[np.float64]
Step = dict[str, dict[str, Any]]

MUSE: dict[str, Any] = {
    "domain": "eeg",
    "path": "eeg_muse_mental_state",
    "include": ("*/subject?-neutral-2.csv", "*/subject?-concentrating-2.csv"),
    "label": Field(from_="file", pattern="-([a-z]+)-"),
    "group": Field(from_="file", pattern="^(subject[a-d])"),
    "channels": ("TP9", "AF7", "AF8", "TP10"),
    "rate_hz": 256.0,
}
"""Eight recordings of four people at 256 Hz, of 888 to 15,216 steps."""
BY_PERSON = Split(
    by="path", pattern="subject([a-d])", train=("a", "b"), validation=("c",), test=("d",)
)
REVIEWS: dict[str, Any] = {
    "domain": "text",
    "path": "text_movie_reviews",
    "include": ("*/cv00*.txt", "*/cv01*.txt"),
}
"""Forty film reviews."""
NEWS: dict[str, Any] = {"domain": "text", "path": "text_bbc_news", "include": "*/00*.txt"}
PROMOTERS: dict[str, Any] = {
    "domain": "dna",
    "path": "dna_promoters_cnnprom",
    "include": "Bacillus*",
    "label": Field(from_="file"),
}
"""1,373 records of 81 bases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The rows that preparation made, by split, id, view and window, and what was fitted."""

    rows: list[dict[str, Any]]
    fitted: Fitted

    def values(self, row: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The steps `(T, F)` of a row."""
        flat = np.asarray(row["values"], np.float32)
        return flat.reshape(row["length"], len(self.fitted.outputs))

    def texts(self, row: dict[str, Any]) -> list[str]:
        """The tokens of a row."""
        names = ("", OOV, *self.fitted.vocabulary)
        return [names[token] for token in row["tokens"]]


def made(
    datasets: Path,
    store: Path,
    source: dict[str, Any],
    *steps: Step,
    split: Split = Split(train=0.6, validation=0.2, test=0.2),
    **recipe: Any,
) -> Made:
    """Ingest a part of a dataset, and prepare it with the steps; no value is scaled."""
    given = {**source, "path": str(datasets / source["path"])}
    ingest(Source(**given), dataset="real", store=store)
    done = prepare(
        dataset="real",
        store=store,
        domain=source["domain"],
        task="classify",
        split=split,
        recipe=Prepare(**recipe, steps=steps, scale="none", buckets=2),
        workers=1,
        base=store,
    )
    snapshot = Snapshot.read(Path(done.snapshot))
    rows = [
        {**row, "split": shard.split}
        for shard in snapshot.shards
        for row in read_shard(snapshot, shard).to_pylist()
    ]
    rows.sort(key=lambda row: (row["split"], row["id"], row["view"], row["window"]))
    examples = Table(store / "real" / "examples-default")
    state = examples.info(done.version).state["fitted"]
    return Made(rows=rows, fitted=Fitted.from_bytes(examples.state.get(state)))


@cache
def recordings(datasets: Path) -> dict[str, Floats]:
    """The steps `(T, 4)` of each Muse recording by record id, as its file has them."""
    folder = datasets / MUSE["path"]
    paths = [path for glob in MUSE["include"] for path in folder.glob(glob)]
    return {
        f"{path.relative_to(folder)}#0": np.loadtxt(
            path, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4)
        )
        for path in paths
    }


@cache
def documents(datasets: Path, source: str) -> dict[str, list[str]]:
    """The words and runs of other signs of each document by record id, in lower case."""
    part = {"reviews": REVIEWS, "news": NEWS}[source]
    folder = datasets / part["path"]
    globs = [part["include"]] if isinstance(part["include"], str) else part["include"]
    paths = [path for glob in globs for path in folder.glob(glob)]
    return {
        f"{path.relative_to(folder)}#0": re.findall(r"\w+|[^\w\s]+", path.read_text().lower())
        for path in paths
    }


@cache
def promoters(datasets: Path) -> dict[str, str]:
    """The bases of each record by its id, as Biopython reads them."""
    found = {}
    for path in (datasets / PROMOTERS["path"]).glob(PROMOTERS["include"]):
        with path.open() as file:
            for number, record in enumerate(SeqIO.parse(file, "fasta")):
                found[f"{path.name}#{number}"] = str(record.seq)
    return found


def write_reference(datasets: Path, store: Path) -> dict[str, list[str]]:
    """Count the words of 35 training documents of news to `news.parquet`; these documents."""
    source = Source(**{**NEWS, "path": str(datasets / NEWS["path"])})
    ingest(source, dataset="news", store=store)
    job = plan_job(
        Table(store / "news" / "sequences"),
        None,
        [],
        domain="text",
        task="classify",
        split=Split(
            by="path",
            pattern="/00(.)",
            train=tuple("1234567"),
            validation=("8",),
            test=("9",),
        ),
        recipe=Prepare(),
        tables={},
    )
    with opened(counting_job(job), base=store, workers=1) as (job, roster):
        frequency = count_frequencies(job, roster, workers=1)
    write_table(frequency_table(frequency, about={}), store / "news.parquet")
    every = documents(datasets, "news")
    return {name: every[name] for name in every if name[-7] in "1234567"}
