"""Chunks of source files as tasks of a runner, on machines that see the source and the store.

What a task reads and what it answers are names of files in the run's folder; the Parquet files of
its chunks are staged in the table as ever, and one commit makes all of them visible. In this
process stay listing and hashing (5 % of the processor time of ingesting 60 MB of JSON lines by
threads, less where files are known) and the commit (1 %). A file is never cut: one large file is
one task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqprep.ingestion.fields import Tables
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.ingestion.source_chunks import Chunk, ChunkResult, FileCounts, Progress, read_chunk
from seqprep.ingestion.withdrawn import Withdrawn
from seqprep.parallel import Json, Runner, cut_tasks
from seqprep.preparation.spill import SpillFolder
from seqprep.source import Source
from seqprep.staging import StagedFile

TABLES, WITHDRAWN = "tables.json", "withdrawn.json"
"""Files in the run's folder that all tasks read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A task: some chunks, whose files are listed in the run's folder.

    Args:
        folder: of the run, which every machine sees. root: of the table.
        source: what the person wrote. base: the folder that its path is relative to.
        facts: what all records must share. chunks: their numbers.
    """

    folder: Path
    root: Path
    source: Source
    base: Path
    facts: SourceFacts
    chunks: tuple[int, ...]


def spread_chunks(
    chunks: Sequence[Chunk],
    *,
    runner: Runner,
    base: Path,
    tables: Tables,
    progress: Progress | None,
) -> Iterator[ChunkResult]:
    """The results of all chunks, in order; as `source_chunks.run_chunks`.

    Args:
        chunks: of one context.
        runner: of the tasks.
        base: the folder that `source.path` is relative to.
        tables: of labels and groups.
        progress: called as (what, files done, files in all).
    """
    root, context = chunks[0].root, chunks[0].context
    with SpillFolder(root.parent) as folder:
        _leave(folder.path, chunks, tables)
        weights = [sum(file.size_bytes for file in chunk.files) for chunk in chunks]
        cut = cut_tasks(weights, workers=runner.workers)
        tasks = [
            Reading(
                folder=folder.path,
                root=root,
                source=context.source,
                base=base,
                facts=context.facts,
                chunks=tuple(chunks[place].number for place in places),
            )
            for places in cut
        ]
        done, total = 0, sum(len(chunk.files) for chunk in chunks)
        for answer in runner.ordered(read_chunks, tasks, what="read files"):
            for name in answer["results"]:
                result = _result(json.loads((folder.path / name).read_bytes()))
                done += len(result.counts)
                if progress is not None:
                    progress("reading files", done, total)
                yield result


def _leave(folder: Path, chunks: Sequence[Chunk], tables: Tables) -> None:
    """Put what the tasks read into the folder."""
    (folder / TABLES).write_text(json.dumps(tables))
    (folder / WITHDRAWN).write_bytes(chunks[0].withdrawn.to_bytes())
    for chunk in chunks:
        listed = [asdict(file) for file in chunk.files]
        (folder / _files_name(chunk.number)).write_text(json.dumps(listed, default=str))


def _files_name(number: int) -> str:
    return f"files-{number:05d}.json"


def read_chunks(task: Reading) -> Json:
    """Read chunks and stage their rows; names of the files that hold the results."""
    folder = SpillFolder.at(task.folder)
    attempt = folder.attempt("results")
    tables = json.loads((folder.path / TABLES).read_bytes())
    withdrawn = Withdrawn.from_bytes((folder.path / WITHDRAWN).read_bytes())
    context = Context.of(task.source, task.base, facts=task.facts, tables=tables)
    names = []
    for number in task.chunks:
        listed = json.loads((folder.path / _files_name(number)).read_bytes())
        chunk = Chunk(
            number=number,
            files=tuple(_source_file(one) for one in listed),
            root=task.root,
            context=context,
            withdrawn=withdrawn,
        )
        path = attempt.path / f"{number:05d}.json"
        path.write_text(json.dumps(_plain(read_chunk(chunk))))
        names.append(path.relative_to(folder.path).as_posix())
    return {"results": names}


def _source_file(body: dict[str, Any]) -> SourceFile:
    lists = {key: tuple(body[key]) for key in ("categories", "stamp")}
    beside = body["beside"]
    return SourceFile(**{**body, **lists, "beside": beside and Path(beside)})


def _plain(result: ChunkResult) -> Json:
    return {
        "staged": result.staged and asdict(result.staged),
        "counts": [asdict(count) for count in result.counts],
        "rejections": result.rejections.decode(),
    }


def _result(body: Json) -> ChunkResult:
    staged = body["staged"]
    return ChunkResult(
        staged=staged and StagedFile(**{**staged, "sources": tuple(staged["sources"])}),
        counts=tuple(FileCounts(**count) for count in body["counts"]),
        rejections=body["rejections"].encode(),
    )
