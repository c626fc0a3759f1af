"""Padding of length buckets: the exact dynamic programme beside quantiles and a geometric row.

Nothing is timed: every row is padded to the limit of its bucket, and the share of padding counts.
`--datasets FOLDER` (or SEQPREP_DATASETS) takes the lengths of the public datasets; without it
lengths are generated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import RESULTS, environment, facts_line
from seqprep.buckets import best_limits, bin_lengths, padded_steps, padding_share
from seqprep.ingest import ingest
from seqprep.ragged import Ints
from seqprep.recipe import Tokens
from seqprep.schema import CONTENT_COLUMN
from seqprep.source import Domain, Field, Source
from seqprep.table import Table
from seqprep.tokens import encode

Limits = tuple[int, ...]
BUCKETS = (4, 8, 16)
WORDS = Tokens(unit="word")
REAL: dict[str, tuple[Domain, str, Tokens | None]] = {
    "CPAT transcripts, bases": ("dna", "dna_cpat_coding_noncoding", None),
    "movie reviews, words": ("text", "text_movie_reviews", WORDS),
    "BBC news, words": ("text", "text_bbc_news", WORDS),
    "Muse recordings, samples": ("eeg", "eeg_muse_mental_state/recordings", None),
}


def dynamic(lengths: Ints, count: int) -> Limits:
    """The limits with least padding."""
    return best_limits(*bin_lengths(lengths), count=count)


def quantile(lengths: Ints, count: int) -> Limits:
    """Limits at equal shares of the rows."""
    shares = np.arange(1, count + 1) / count
    return _rising(np.quantile(lengths, shares, method="higher"))


def geometric(lengths: Ints, count: int) -> Limits:
    """Limits that grow by a constant factor from the shortest row to the longest."""
    low, high = int(lengths.min()), int(lengths.max())
    return _rising(np.ceil(np.geomspace(low, high, count + 1)[1:]))


def _rising(limits: Sequence[float] | np.ndarray) -> Limits:
    return tuple(sorted({int(limit) for limit in limits}))


WAYS: dict[str, Callable[[Ints, int], Limits]] = {
    "dynamic programme": dynamic,
    "quantiles": quantile,
    "geometric": geometric,
}


def share(lengths: Ints, limits: Limits) -> float:
    """Padding when each row is padded to its bucket's limit."""
    limits = (*limits[:-1], max(limits[-1], int(lengths.max())))
    return padding_share(int(lengths.sum()), padded_steps(lengths, limits))


def generated() -> Iterator[tuple[str, Ints]]:
    """Lengths of three shapes."""
    rng = np.random.default_rng(0)
    yield "lognormal", np.maximum(rng.lognormal(6, 0.9, 20_000).astype(np.int64), 1)
    yield "uniform", rng.integers(1, 5000, 20_000)
    both = np.concatenate([rng.poisson(80, 15_000), rng.poisson(2500, 5_000)])
    yield "two peaks", np.maximum(both, 1)


def real(datasets: Path) -> Iterator[tuple[str, Ints]]:
    """Lengths of the public datasets, in the unit that is trained on."""
    for name, (domain, folder, tokens) in REAL.items():
        with tempfile.TemporaryDirectory() as store:
            source = Source(domain=domain, path=str(datasets / folder), label=Field(from_="file"))
            ingest(source, dataset="d", store=Path(store))
            yield name, _lengths(Table(Path(store) / "d" / "sequences"), domain, tokens)


def _lengths(table: Table, domain: Domain, tokens: Tokens | None) -> Ints:
    column = "length" if tokens is None else CONTENT_COLUMN[domain]
    parts = [table.read_group(*group, [column])[column] for group in table.row_groups()]
    if tokens is None:
        return np.concatenate([part.to_numpy() for part in parts]).astype(np.int64)
    return np.concatenate([encode(part, tokens).ids.lengths for part in parts])


def measure(found: Iterator[tuple[str, Ints]]) -> list[dict[str, object]]:
    """Padding of every way for each distribution and number of buckets."""
    rows = []
    for name, lengths in found:
        whole = padding_share(int(lengths.sum()), len(lengths) * int(lengths.max()))
        for count in BUCKETS:
            shares = {way: share(lengths, limits(lengths, count)) for way, limits in WAYS.items()}
            rows.append(
                {"lengths": name, "rows": len(lengths), "buckets": count, "one": whole, **shares}
            )
    return rows


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """The table of results."""
    head = ["lengths", "rows", "buckets", "padded to the longest", *WAYS, "quantiles, times ours",
            "geometric, times ours"]  # fmt: skip
    lines = [
        "## Length buckets: share of padding",
        "",
        "Nothing is timed: every row is padded to the limit of its bucket.",
        "",
        facts_line(environment()),
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        ours, *others = (float(str(row[way])) for way in WAYS)
        cells = [row["lengths"], f"{row['rows']:,}", row["buckets"], f"{row['one']:.1%}"]
        cells += [f"{ours:.1%}", *(f"{other:.1%}" for other in others)]
        cells += [f"{other / ours:.2f}" if ours > 1e-4 else "" for other in others]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path, default=os.environ.get("SEQPREP_DATASETS"))
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    options, _ = parser.parse_known_args(arguments)
    found = generated() if options.datasets is None else real(Path(options.datasets))
    rows = measure(found)
    text = markdown(rows)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "buckets.json").write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "buckets.md").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
