"""Small stores for tests of what is stored: ingested, prepared, with runs of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from seqprep.ingest import Ingested, ingest
from seqprep.prepare import Prepared, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Field, Source
from tests.sources import write_files

SECRET = "xylophagous"
"""A word that one record alone holds."""
SECRET_ID = "neg/ann-0.txt#0"
RECIPE = Prepare(tokens=Tokens(unit="word"), buckets=2)
SPLIT = Split(train=0.6, validation=0.2, test=0.2, seed=1)
"""With this seed ann is in training."""
DAY_S = 25 * 3600


def documents_of(people: str = "ann bob cyd dee eve fay gus hal ivy joe", each: int = 2) -> Any:
    """Documents of some people; the first one of ann holds the secret."""
    files: dict[str, bytes | str] = {}
    for place, name in enumerate(people.split()):
        for number in range(each):
            label = ("neg", "pos")[(place + number) % 2]
            words = f"w{place} w{number} common text of {name} {number}"
            files[f"{label}/{name}-{number}.txt"] = words
    files["neg/ann-0.txt"] = f"common {SECRET} text"
    return files


def source_of(root: Path) -> Source:
    """Documents under `root/in`, grouped by the person in the file's name."""
    return Source(
        domain="text", path=str(root / "in"), group=Field(from_="path", pattern=r"/(\w+)-")
    )


def ingested(root: Path, files: Any = None, **options: Any) -> Ingested:
    """Write files and ingest all of them into `root/store/d`."""
    write_files(root / "in", files or {})
    return ingest(source_of(root), dataset="d", store=root / "store", **options)


def prepared(root: Path, recipe: Prepare = RECIPE, **options: Any) -> Prepared:
    """Prepare the newest version."""
    return prepare(
        **{
            "dataset": "d",
            "store": root / "store",
            "domain": "text",
            "task": "classify",
            "split": SPLIT,
            "recipe": recipe,
            "workers": 1,
            **options,
        }
    )


def add_run(root: Path, done: Prepared, name: str = "run") -> Path:
    """The folder of a training on a preparation, as far as data is concerned."""
    folder = root / "store" / "d" / "models" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"snapshot": done.snapshot}))
    (folder / "lock").touch()
    return folder


def stored_texts(root: Path) -> Iterator[tuple[Path, str]]:
    """All that a store holds as text: file by file, Parquet unpacked."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            if path.suffix == ".parquet":
                yield path, str(pq.ParquetFile(path).read().to_pylist())
            yield path, path.read_bytes().decode("latin-1")
