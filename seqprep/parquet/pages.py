"""Pages of a column: a header, and content that zstd packs.

Source: https://github.com/apache/parquet-format (parquet.thrift, PageHeader)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import pyarrow as pa

from seqprep.bases import Letters
from seqprep.parquet.letters import pack_letters
from seqprep.parquet.thrift import Value, i32, struct
from seqprep.parquet.values import NO_LETTERS

ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Page:
    """A page on its way to the file: its header, its content, and the size of both, unpacked."""

    head: bytes
    packed: bytes
    size_bytes: int


def pack_page(
    raw: bytes, letters: Letters = NO_LETTERS, *, kind: int, header: dict[int, Value | None]
) -> Page:
    """Pack content with its checksum.

    Args:
        raw: levels and values, or a dictionary.
        letters: of strings, behind `raw`.
        kind: of page, by Parquet's number.
        header: the fields that this kind adds.
    """
    size_bytes = len(raw) + len(letters)
    if size_bytes >= 2**31:
        raise ValueError(f"a value of {size_bytes} bytes: Parquet holds less than 2 GB of each")
    codec = pa.Codec("zstd", compression_level=ZSTD_LEVEL)  # several threads pack at once
    packed = pack_letters(raw, letters, codec)
    if packed is None:
        whole = b"".join([raw, letters.data]) if len(letters) else raw
        packed = codec.compress(whole, asbytes=True)
    checksum = zlib.crc32(packed)
    fields = {
        1: i32(kind),
        2: i32(size_bytes),
        3: i32(len(packed)),
        4: i32(checksum - 2**32 if checksum >= 2**31 else checksum),
        **header,
    }
    head = struct(fields).raw
    return Page(head, packed, len(head) + size_bytes)
