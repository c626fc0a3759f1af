r"""Tokens: JSON lines to word ids and counts in memory, beside Polars.

The job: read documents, split lower-cased text by NLTK's wordpunct rule (`\w+|[^\w\s]+`), number
the words, count each. No Parquet, no split, no cut: this is what tokenising takes of `words`. Every
run compares the tokens of all documents, and the counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Benchmark, Facts, Settings, main
from benchmarks.inputs import write_json_lines

PATTERN = r"\w+|[^\w\s]+"
FILE = "documents.jsonl"


def ours(settings: Settings) -> Any:
    """The reader of ingest and the encoder and counter of prepare, with threads for blocks."""
    import numpy as np
    import pandas  # noqa: F401  # Arrow loads it on first use; imports are not timed
    import pyarrow as pa

    from seqprep.frequency import count_tokens
    from seqprep.frequency_counter import ChunkCounts, FrequencyCounter
    from seqprep.new_files import read_records
    from seqprep.parallel import ordered
    from seqprep.recipe import Tokens
    from seqprep.source import Source
    from seqprep.tokens.encoded import Encoded
    from seqprep.tokens.encoder import encode

    source = Source(domain="text", path=str(settings.inputs), text_column="text")
    rule = Tokens(unit="word")

    def texts() -> Iterator[pa.ChunkedArray]:
        for rows, _ in read_records(source, [settings.inputs / FILE]):
            yield rows["text"]

    def one(text: pa.ChunkedArray) -> tuple[Encoded, ChunkCounts]:
        found = encode(text, rule)
        every = np.ones(len(found.ids), dtype=bool)
        counts = count_tokens(found.ids, every, num_tokens=len(found.tokens))
        return found, ChunkCounts(tokens=found.tokens, counts=counts, rows=len(found.ids))

    def job() -> Facts:
        parts = []
        maps: dict[int, Any] = {}
        counter = FrequencyCounter(maps)
        for number, (found, counted) in enumerate(
            ordered(one, texts(), workers=settings.processes)
        ):
            counter.add(counted, chunk=number)
            parts.append(found.ids)
        frequency, ranks = counter.finish()
        ids = [ranks[number][part.values] for number, part in enumerate(parts)]
        lengths = [part.lengths for part in parts]
        return facts(lengths, ids, frequency.counts, lambda: frequency.tokens)

    return job


def polars_expert(settings: Settings) -> Any:
    """The streaming engine cuts and numbers block by block; counts of the codes by NumPy."""
    import numpy as np
    import polars  # noqa: F401  # imports are not timed

    def job() -> Facts:
        words = polars_words(settings.inputs / FILE)["words"]
        lengths = words.list.len().to_numpy()
        flat = words.explode(empty_as_null=False)
        codes = flat.to_physical().to_numpy()
        counts = np.bincount(codes)
        return facts([lengths], [codes], counts, lambda: spelt(flat))

    return job


def polars_documented(settings: Settings) -> Any:
    """As Polars' documentation shows: a frame, a column of lists, `explode`, `value_counts`."""
    import numpy as np
    import polars as pl

    def job() -> Facts:
        frame = pl.read_ndjson(settings.inputs / FILE)
        words = frame.select(pl.col("text").str.to_lowercase().str.extract_all(PATTERN))["text"]
        flat = words.explode(empty_as_null=False).cast(pl.Categorical)
        table = flat.value_counts()
        counts = np.zeros(int(table[flat.name].to_physical().max()) + 1, np.int64)
        counts[table[flat.name].to_physical().to_numpy()] = table["count"].to_numpy()
        codes, lengths = flat.to_physical().to_numpy(), words.list.len().to_numpy()
        return facts([lengths], [codes], counts, lambda: spelt(flat))

    return job


def polars_words(path: Path, *, keep: Sequence[str] = ()) -> Any:
    """A frame with `words`, a list of categories for each document, and other columns as read."""
    import polars as pl

    cut = pl.col("text").str.to_lowercase().str.extract_all(PATTERN)
    words = cut.cast(pl.List(pl.Categorical)).alias("words")
    return pl.scan_ndjson(path).select(words, *keep).collect(engine="streaming")


def spelt(words: Any) -> Any:
    """The categories that occur, in the order of their codes."""
    found = words.unique()
    return found[found.to_physical().arg_sort()].cast(str).to_arrow()


def facts(
    lengths: Sequence[Any], ids: Sequence[Any], counts: Any, tokens: Callable[[], Any]
) -> Facts:
    """What was found; the digest is made when the clock has stopped.

    Args:
        lengths: words of all documents, in parts.
        ids: their numbers, likewise.
        counts: of each number.
        tokens: gives the strings of all numbers that occur, in order.
    """
    return {
        "rows": sum(map(len, lengths)),
        "words": sum(map(len, ids)),
        "digest": lambda: digest(lengths, ids, counts, tokens()),
    }


def digest(lengths: Sequence[Any], ids: Sequence[Any], counts: Any, tokens: Any) -> str:
    """The same for the same words in all documents and the same counts, however numbered."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = tokens.cast(pa.large_string())
    order = pc.sort_indices(strings.cast(pa.large_binary())).to_numpy()
    used = np.flatnonzero(counts)[order]
    places = np.zeros(len(counts), np.int64)
    places[used] = np.arange(len(used))
    found = hashlib.sha256("\0".join(strings.take(pa.array(order)).to_pylist()).encode())
    for arrays in (lengths, (places[part] for part in ids), [counts[used]]):
        for array in arrays:
            found.update(np.ascontiguousarray(array, dtype=np.int64))
    return found.hexdigest()[:8]


BENCHMARK = Benchmark(
    name="tokens",
    title="Words by themselves: JSON lines to ids and counts",
    make=write_json_lines,
    cases={"ours": ours, "polars_expert": polars_expert, "polars_documented": polars_documented},
    aims={"polars_expert": 1.0},
    same=("rows", "words", "digest"),
    size_mb=100,
    notes=(
        "The documents of `words`, read, lower-cased, cut by NLTK's wordpunct rule, numbered and "
        "counted, all in memory. Ours reads with ingest's reader, which also checks for odd bytes "
        "and hashes every document, and numbers words by frequency. `polars_expert` reads and cuts "
        "in the streaming engine and numbers by categories; `polars_documented` does so in frames "
        "in memory. `digest` is of the words of every document and their counts: a run in which it "
        "differs fails. All may use as many threads as there are processes; the documents are "
        "ASCII."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
