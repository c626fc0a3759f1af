"""Labels and groups of many records at once, as `FieldReader.find` finds them one by one.

Use it where a reader has whole columns. A null stands for a record without a value, and `find` says
why there is none.

Legend: R records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.hashing import string_bytes
from seqprep.ingestion.fields import FieldError, FieldReader
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.record_builder import FieldRejectionError, parse_label

_TEXT = r"""[A-Za-z0-9_ =:;,/@%&!<>'"~#-]|\\[dDwWsSb.|()\[\]{}*+?^$\\/-]|\."""
_CLASS = (
    r"\[\^?(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9_ =:;,/.|+*?(){}]|\\[dws.\\\]\[-])+-?\]"
)
_RUN = rf"(?:(?:{_TEXT}|{_CLASS})(?:[*+?]\??|\{{[0-9]{{1,3}}(?:,[0-9]{{0,3}})?\}}\??)?)*"
_PLAIN = re.compile(rf"\^?(?:{_RUN}|\((?:\?P<[a-z]+>)?{_RUN}(?:\|{_RUN})*\))*\$?")
"""Patterns that mean the same to Python and to Rust, for printable ASCII: no flags, no group in
another one and none that is repeated, no look around."""
_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"


def find_column(
    reader: FieldReader,
    file: SourceFile,
    *,
    ids: pa.StringArray,
    names: pa.StringArray | None = None,
    headers: pa.StringArray | None = None,
    cells: pa.StringArray | None = None,
) -> pa.StringArray:
    """The value of each record, `(R,)`; null where `reader.find` raises.

    Args:
        reader: of the label or group.
        file: the records' source file.
        ids: of each record.
        names: of each, for `from: table`.
        headers: of each, for `from: header`.
        cells: what stands in its column, for `from: column`.
    """
    match reader.given.from_:
        case "header":
            assert headers is not None
            texts = headers
        case "column":
            assert cells is not None
            texts = cells
        case "table":
            names = pa.repeat("", len(ids)) if names is None else names
            texts = _looked_up(reader.table, names, ids, file.path)
        case _:
            try:
                return pa.repeat(reader.find(file), len(ids))
            except FieldError:
                return pa.nulls(len(ids), pa.string())
    return _shaped(reader, texts)


def label_numbers(labels: pa.StringArray) -> pa.DoubleArray:
    """The number that each label is, `(R,)`; null where `parse_label` raises.

    >>> label_numbers(pa.array(["1.5", " 2 ", "much", "inf", None])).to_pylist()
    [1.5, 2.0, None, None, None]
    """
    plain = pc.match_substring_regex(labels, _NUMBER)
    numbers = pc.if_else(plain, labels, None).cast(pa.float64())
    if numbers.null_count == labels.null_count:
        return numbers
    return pc.coalesce(numbers, map_distinct(_number, labels, kind=pa.float64()))


def _number(label: str) -> float | None:
    try:
        return parse_label(label)
    except FieldRejectionError:
        return None


def _looked_up(
    table: Mapping[str, str], names: pa.StringArray, ids: pa.StringArray, path: str
) -> pa.StringArray:
    found = _values(table, names)
    if found.null_count:
        found = pc.coalesce(found, _values(table, ids))
    if found.null_count and path in table:
        found = found.fill_null(table[path])
    return found


def _values(table: Mapping[str, str], keys: pa.StringArray) -> pa.StringArray:
    # The table is hashed already; Arrow would hash all of it again for each block of records.
    return pa.array(map(table.get, keys.to_pylist()), pa.string(), size=len(keys))


def _shaped(reader: FieldReader, texts: pa.StringArray) -> pa.StringArray:
    given = reader.given
    if given.pattern is not None:
        texts = first_groups(texts, given.pattern)
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if given.values is not None:
        texts = map_distinct(given.values.get, texts)
    return texts


def first_groups(texts: pa.StringArray, pattern: str) -> pa.StringArray:
    r"""The first group of the pattern in each text, `(R,)`; null where it is not found.

    >>> first_groups(pa.array(["a chr=12", "b", "c"]), r"chr=(\d+)").to_pylist()
    ['12', None, None]
    """
    if _PLAIN.fullmatch(pattern) and _is_printable(texts):
        try:
            found = pl.Series(pl.from_arrow(texts)).str.extract(pattern, 1)
            return found.to_arrow().cast(pa.string())
        except pl.exceptions.ComputeError:
            pass  # too large for Rust
    search = re.compile(pattern).search

    def first(text: str) -> str | None:
        found = search(text)
        return found and found[1]

    return map_distinct(first, texts)


def _is_printable(texts: pa.StringArray) -> bool:
    """Whether all is printable ASCII or tabs."""
    letters, _ = string_bytes(texts)
    return bool((((letters >= 32) & (letters < 127)) | (letters == 9)).all())


def map_distinct(
    function: Callable[[Any], object], values: pa.Array, *, kind: pa.DataType | None = None
) -> pa.Array:
    """What the function makes of each value, `(R,)`; null of null. It sees each value once.

    Args:
        function: from a value to one of the kind, or None.
        values: of any kind that Arrow can hash.
        kind: of the result, text by default.

    >>> map_distinct(str.upper, pa.array(["a", None, "a"])).to_pylist()
    ['A', None, 'A']
    """
    coded = values.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    made = pa.array(map(function, distinct), kind or pa.string(), size=len(distinct))
    return made.take(coded.indices)
