"""Ingest and prepare through Prefect: by threads of one process, and on Dask with two workers.

On one machine a cluster can only cost: this is what its messages, its files between the passes and
its processes take, beside the same flows without it. All cases must give the same tables.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import Benchmark, Case, Facts, Settings, folder_mb, main
from benchmarks.inputs import documents

FILE_BYTES = 4e6
DATASET, RECIPE = "bench", "default"


def write_files(folder: Path, size_mb: float) -> None:
    """JSON lines in files of some 4 MB: files are what an ingest is cut by."""
    lines: list[str] = []
    made, number = 0, 0
    for text, label in documents(size_mb * 1e6):
        lines.append(json.dumps({"text": text, "label": label}) + "\n")
        made += len(lines[-1])
        if made >= FILE_BYTES:
            (folder / f"{number:04d}.jsonl").write_text("".join(lines))
            lines, made, number = [], 0, number + 1
    (folder / f"{number:04d}.jsonl").write_text("".join(lines))


def flows(*, cluster: str | None) -> Case:
    """The two flows, on a cluster that the flow starts, that is there, or none.

    Args:
        cluster: `temporary`, `existing` or None.
    """

    def case(settings: Settings) -> Any:
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        from flows.environment import quiet

        quiet(home=settings.out / "prefect")
        from prefect.client.orchestration import get_client

        from flows.cluster.temporary import temporary
        from flows.ingest import ingest
        from flows.pipeline_file import Pipeline
        from flows.prepare import prepare
        from seqprep.recipe import Prepare
        from seqprep.source import Field, Source

        source = Source(
            domain="text",
            path=str(settings.inputs),
            include="*.jsonl",
            text_column="text",
            label=Field(from_="column", column="label"),
        )
        steps = ({"summarize": {"drop_top": 50, "min_count": 2}}, {"truncate": {"length": 500}})
        spec = Pipeline(dataset=DATASET, source=source, prepare=Prepare(steps=steps))
        get_client(sync_client=True).hello()  # the server is there before the clock starts
        stack = ExitStack()
        where: dict[str, Any] = {"runner": "local" if cluster is None else "dask"}
        if cluster == "existing":
            where["address"] = stack.enter_context(temporary(settings.processes))

        def job() -> Facts:
            with stack:
                common = {"pipeline": spec, "store": str(settings.out / "store"), **where}
                read = ingest(**common)
                done = prepare(**common)
            return {
                "rows": sum(done["rows"].values()),
                "ingest_s": read["seconds"],
                "prepare_s": done["seconds"],
                "tables": tables(settings.out / "store"),
                "parquet_mb": folder_mb(settings.out / "store"),
            }

        return job

    return case


def tables(store: Path) -> str:
    """A digest of the files of both tables: their paths and SHA-256."""
    from seqprep.table import Table

    found = [
        (file.path, file.sha256)
        for name in ("sequences", f"examples-{RECIPE}")
        for file in Table(store / DATASET / name).files()
    ]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:8]


BENCHMARK = Benchmark(
    name="dask",
    title="Ingest and prepare on Dask",
    make=write_files,
    cases={
        "local": flows(cluster=None),
        "dask_existing": flows(cluster="existing"),
        "dask_temporary": flows(cluster="temporary"),
    },
    aims={},
    same=("tables",),
    size_mb=200,
    notes=(
        "Documents in files of 4 MB through the flows `ingest` and `prepare`. `local`: threads of "
        "one process. `dask_existing`: a scheduler and a worker process for each core of this "
        "machine, started before the clock. `dask_temporary`: the same, started by each flow. "
        "`ingest_s` and `prepare_s` are the stages by themselves, without Prefect and the start of "
        "a cluster. `tables` is a digest of both tables' files: it must be the same everywhere."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
