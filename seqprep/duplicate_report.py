"""Which records of a dataset stand there twice, exactly or nearly, and on which sides of its split.

One pass over the sequences, which need not be prepared. Equal records (DNA: of either strand) are
told by their content hash; near ones by sketches (`near_duplicates`), of one record of each
content. Preparation keeps one of equal records, in the first of their splits (CONTRACT 8), so what
is told of near pairs is what is left after that. For text and DNA.

Memory: the sketches, and ids, labels and content hashes. Legend: R records, C contents, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seqprep import splits
from seqprep.errors import ConfigError
from seqprep.near_duplicates import (
    SHINGLES,
    Pairs,
    Signatures,
    components,
    dna_shingles,
    similar_pairs,
    sketch,
    word_shingles,
)
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.parallel import Progress, ordered
from seqprep.preparation.labels import number_values
from seqprep.ragged import Ints, Ragged, row_keys
from seqprep.recipe import Split
from seqprep.schema import CONTENT_COLUMN, SPLITS
from seqprep.source import Domain
from seqprep.table import Table

Shingler = Callable[..., Ragged]
_SHINGLERS: dict[str, Shingler] = {"dna": dna_shingles, "text": word_shingles}


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """What stands in a dataset more than once.

    Args:
        ids: `(R,)` of the records, in storage order. labels: `(R,)` strings or null.
        groups: `(R,)` names of what must not be torn, as they were ingested.
        placed: `(R,)` the split of each before duplicates are resolved; LEFT_OUT for none.
        content: `(R,)` the first record with the same content.
        pairs: near pairs of contents, by the number of their first record.
        group: `(R,)` the first record of the group that each belongs to, equal ones included.
    """

    ids: pa.ChunkedArray
    labels: pa.ChunkedArray
    groups: pa.ChunkedArray
    placed: splits.Codes
    content: Ints
    pairs: Pairs
    group: Ints

    @property
    def sides(self) -> splits.Codes:
        """`(R,)` the split in which preparation keeps each record's content; LEFT_OUT for none."""
        beyond = len(SPLITS)
        first = np.full(len(self.placed), beyond, dtype=np.int64)
        codes = np.where(self.placed == splits.LEFT_OUT, beyond, self.placed)
        np.minimum.at(first, self.content, codes)
        kept = first[self.content]
        return np.where(kept == beyond, splits.LEFT_OUT, kept).astype(np.int8)


def find_repeats(
    table: Table,
    version: int,
    *,
    domain: Domain,
    split: Split,
    base: Path,
    options: NearDuplicates = NearDuplicates(),
    workers: int = 1,
    progress: Progress | None = None,
) -> Repeats:
    """Read all records once and find what stands there twice.

    Args:
        table: of sequences.
        version: of it.
        domain: text or dna.
        split: as in the pipeline file.
        base: folder that `split.table` is relative to.
        options: what counts as nearly equal.
        workers: threads.
        progress: see `parallel.Progress`.

    Raises:
        ConfigError: for values, which have no shingles.
    """
    if domain not in _SHINGLERS:
        raise ConfigError(
            f"near-duplicates are found by letters or words, and domain: {domain} has values; "
            "equal records are left out by `prepare.duplicates: one` without this"
        )
    size = SHINGLES[domain] if options.shingle is None else options.shingle
    chunks = tuple(table.row_groups(version))
    listed = splits.read_listed(split, base=base)
    wanted = {"id", "group", "label", "content_hash", CONTENT_COLUMN[domain]}
    wanted |= set(splits.columns_needed(split))

    def one(number: int) -> tuple[pa.Table, splits.Codes, Signatures]:
        rows = table.read_group(*chunks[number], sorted(wanted))
        shingles = _SHINGLERS[domain](rows[CONTENT_COLUMN[domain]], size=size)
        codes = splits.assign(split, rows, listed=listed)
        kept = rows.select(["id", "group", "label", "content_hash"])
        return kept, codes, sketch(shingles, hashes=options.hashes)

    total = sum(file.rows for file in table.files(version))
    signatures = np.empty((total, options.hashes), dtype=np.uint32)
    parts: list[pa.Table] = []
    placed: list[splits.Codes] = []
    start = 0
    for rows, codes, found in ordered(one, range(len(chunks)), workers=workers):
        signatures[start : start + len(rows)] = found
        start += len(rows)
        parts.append(rows)
        placed.append(codes)
        if progress is not None:
            progress("sketch records", len(parts), len(chunks))
    records = pa.concat_tables(parts)
    codes = _whole(split, np.concatenate(placed), records["group"])
    return _related(records, codes, signatures, threshold=options.threshold)


def _whole(split: Split, placed: splits.Codes, groups: pa.ChunkedArray) -> splits.Codes:
    """Splits that need to know all groups: one of them left out."""
    if not split.leaves_one_out:
        return placed
    return splits.leave_out(split, placed, row_keys(groups), groups.unique().to_pylist())


def _related(
    records: pa.Table, placed: splits.Codes, signatures: Signatures, *, threshold: float
) -> Repeats:
    number = number_values(records["content_hash"])[0]
    _, firsts, place = np.unique(number, return_index=True, return_inverse=True)
    content = firsts[place].astype(np.int64)
    firsts = np.sort(firsts)
    found = similar_pairs(signatures[firsts], threshold=threshold)
    pairs = Pairs(left=firsts[found.left], right=firsts[found.right], similarity=found.similarity)
    near = components(pairs, total=len(records))
    return Repeats(
        ids=records["id"],
        labels=records["label"],
        groups=records["group"],
        placed=placed,
        content=content,
        pairs=pairs,
        group=near[content],
    )


def summary(found: Repeats, *, examples: int) -> dict[str, Any]:
    """Numbers of what stands there twice, and some examples, as plain JSON.

    Args:
        found: in a dataset.
        examples: pairs of each kind to name, those across splits first, the likest first.
    """
    copies = np.flatnonzero(found.content != np.arange(len(found.content)))
    sizes = np.bincount(found.group, minlength=len(found.group))
    contents = np.bincount(found.group[np.unique(found.content)], minlength=len(found.group))
    exact = Pairs(left=found.content[copies], right=copies, similarity=np.ones(len(copies)))
    return {
        "records": len(found.content),
        "contents": len(found.content) - len(copies),
        "exact": {
            "copies": len(copies),
            "contents": len(np.unique(found.content[copies])),
            **_sides(exact, found.placed, found, examples),
        },
        "near": {
            "pairs": len(found.pairs),
            "groups": int((contents > 1).sum()),
            "records": int(sizes[contents > 1].sum()),
            "largest": int(sizes[contents > 1].max(initial=0)),
            **_sides(found.pairs, found.sides, found, examples),
        },
    }


def _sides(pairs: Pairs, sides: splits.Codes, found: Repeats, examples: int) -> dict[str, Any]:
    """How many pairs lie within and across splits, with other labels, and examples of them."""
    left, right = sides[pairs.left], sides[pairs.right]
    inside = (left != splits.LEFT_OUT) & (right != splits.LEFT_OUT)
    across = inside & (left != right)
    low, high = np.minimum(left, right), np.maximum(left, right)
    names = [(one, two) for one in range(3) for two in range(one, 3)]
    by_splits = {
        f"{SPLITS[one]}-{SPLITS[two]}": int((inside & (low == one) & (high == two)).sum())
        for one, two in names
    }
    labels = number_values(found.labels)[0]
    differs = labels[pairs.left] != labels[pairs.right]
    order = np.lexsort((pairs.right, pairs.left, -pairs.similarity, ~across))[:examples]
    return {
        "across_splits": int(across.sum()),
        "other_label": int(differs.sum()),
        "by_splits": {name: count for name, count in by_splits.items() if count},
        "examples": pair_table(found, pairs, sides, rows=order).to_pylist(),
    }


def pair_table(
    found: Repeats, pairs: Pairs, sides: splits.Codes, *, rows: Ints | None = None
) -> pa.Table:
    """A row a pair: ids, splits and labels of both, and how like they are.

    Args:
        found: in a dataset.
        pairs: of records.
        sides: `(R,)` the split of each record.
        rows: of the pairs; default all.
    """
    rows = np.arange(len(pairs)) if rows is None else rows
    names = pa.array([*SPLITS, None], pa.string())
    columns: dict[str, Any] = {}
    for side in ("left", "right"):
        places = getattr(pairs, side)[rows]
        columns[side] = found.ids.take(pa.array(places)).combine_chunks()
        columns[f"{side}_split"] = names.take(pa.array(sides[places].astype(np.int64) % 4))
        columns[f"{side}_label"] = found.labels.take(pa.array(places)).combine_chunks()
    columns["similarity"] = pairs.similarity[rows]
    columns["group"] = found.ids.take(pa.array(found.group[pairs.left[rows]])).combine_chunks()
    return pa.table(columns)


def all_pairs(found: Repeats) -> pa.Table:
    """Every pair: a content's first record with each copy (`kind` exact), and the near ones."""
    copies = np.flatnonzero(found.content != np.arange(len(found.content)))
    exact = Pairs(left=found.content[copies], right=copies, similarity=np.ones(len(copies)))
    tables = [
        pair_table(found, exact, found.placed).append_column("kind", _text("exact", len(exact))),
        pair_table(found, found.pairs, found.sides).append_column(
            "kind", _text("near", len(found.pairs))
        ),
    ]
    return pa.concat_tables(tables)


def group_table(found: Repeats) -> pa.Table:
    """Every record's `id` and `group`: that of the first record it hangs together with.

    Records hang together that are like each other or are in one group already, through any chain,
    so that no group is torn for the sake of another.
    """
    number = number_values(found.groups)[0]
    _, firsts, place = np.unique(number, return_index=True, return_inverse=True)
    every = np.arange(len(number))
    left, right = np.concatenate([found.group, firsts[place]]), np.concatenate([every, every])
    links = Pairs(left=left, right=right, similarity=np.ones(len(right)))
    together = components(links, total=len(number))
    names = found.groups.take(pa.array(together)).combine_chunks()
    return pa.table({"id": found.ids.combine_chunks(), "group": names})


def _text(word: str, count: int) -> pa.Array:
    return pa.array([word] * count, pa.string())
