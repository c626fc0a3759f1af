"""Values of one column of a row group, encoded a page at a time (Parquet's encodings).

Small integers are numbers in a dictionary of those that occur, packed into 1, 2, 4, 8 or 16 bits;
floats are split into streams of bytes, which zstd shortens best; strings stand one behind the other
after their lengths; all else stands plain.
Source: https://parquet.apache.org/docs/file-format/data-pages/encodings/

Legend: N values of a column, V distinct ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.bases import Letters
from seqprep.hashing import Ints
from seqprep.kernels import to_offsets
from seqprep.parquet.thrift import varint, zigzag

PLAIN, RLE, DELTA_LENGTH, RLE_DICTIONARY, BYTE_STREAM_SPLIT = 0, 3, 6, 8, 9
_NEAR = 16
"""Numbers so near to each other are looked for one by one."""
_TO_TOP = 1 << 24 | 1 << 18 | 1 << 12 | 1 << 6
"""Shifts each of four bytes to its place in the highest one."""
_WORDS = 2**16
"""Words that are packed at a time."""
NO_LETTERS: Letters = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Encoder:
    """How the values of a column are written.

    Args:
        encoding: of its data pages, by Parquet's number.
        encode: the bytes of values start..stop; of strings their lengths.
        dictionary: its page, and how many values stand in it.
        letters: of strings, what follows the bytes. edges: `(N + 1,)` where each starts there.
    """

    encoding: int
    encode: Callable[[int, int], bytes | memoryview]
    dictionary: tuple[bytes, int] | None = None
    letters: Letters = field(default_factory=lambda: NO_LETTERS)
    edges: Ints | None = None

    def letters_of(self, start: int, stop: int) -> Letters:
        """The letters of strings start..stop; none of other values."""
        if self.edges is None:
            return NO_LETTERS
        return self.letters[self.edges[start] : self.edges[stop]]


def encoder(values: pa.Array | pa.ChunkedArray) -> Encoder:
    """The encoder of N values without nulls; only floats may come in chunks."""
    kind = values.type
    if pa.types.is_float32(kind):
        return _floats(values.chunks if isinstance(values, pa.ChunkedArray) else [values])
    assert isinstance(values, pa.Array), kind
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _strings(values)
    numbers = values.to_numpy(zero_copy_only=False)
    if pa.types.is_int8(kind):
        return _coded(numbers, _distinct_bytes(numbers))
    if pa.types.is_int16(kind):
        return _coded(numbers, _distinct_words(numbers))
    return Encoder(PLAIN, lambda start, stop: numbers[start:stop].tobytes())


def _strings(values: pa.Array) -> Encoder:
    """Lengths and letters, which are not copied."""
    count, (_, places, data) = len(values), values.buffers()
    starts = np.frombuffer(places, np.int32) if places is not None else np.zeros(1, np.int32)
    edges = starts[values.offset : values.offset + count + 1].astype(np.int64)
    letters = NO_LETTERS
    if data is not None and data.size:
        letters = np.frombuffer(data, np.uint8)[edges[0] : edges[-1]]
    edges -= edges[0]
    sizes = np.diff(edges)
    return Encoder(
        DELTA_LENGTH,
        lambda start, stop: deltas(sizes[start:stop]),
        letters=letters,
        edges=edges,
    )


def deltas(numbers: Ints) -> bytes:
    """Integers as differences from each other: DELTA_BINARY_PACKED, with whole bytes for each.

    Blocks of 128 differences, above the least one, in four parts; the last block has only the parts
    that hold some.
    """
    first = int(numbers[0]) if len(numbers) else 0
    head = varint(128) + varint(4) + varint(len(numbers)) + zigzag(first)
    steps = np.diff(numbers)
    if not len(steps):
        return head
    least = int(steps.min())
    steps = steps - least
    size = next(size for size in (0, 1, 2, 4, 8) if int(steps.max()) < 256**size)
    blocks = -(-len(steps) // 128)
    parts = -(-len(steps) // 32) - 4 * (blocks - 1)
    packed = np.zeros((blocks, 128 * size), np.uint8)
    if size:
        packed.view(f"<u{size}").reshape(-1)[: len(steps)] = steps
    before = np.frombuffer(zigzag(least) + bytes([8 * size] * 4), np.uint8)
    raw = np.concatenate([np.broadcast_to(before, (blocks, len(before))), packed], axis=1)
    # Parts without a number have no width, and are not there.
    raw[-1, len(before) - 4 + parts : len(before)] = 0
    return head + raw.tobytes()[: raw.size - (4 - parts) * 32 * size]


def _floats(chunks: Sequence[pa.Array]) -> Encoder:
    """Streams of the lowest bytes, the next ones, and so on, taken from where the chunks lie."""
    parts = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    edges = to_offsets(np.array([len(part) for part in parts], np.int64))

    def encode(start: int, stop: int) -> memoryview:
        streams = np.empty((4, stop - start), np.uint8)
        first = int(np.searchsorted(edges, start, side="right")) - 1
        last = int(np.searchsorted(edges, stop, side="left"))
        for part, edge in zip(parts[first:last], edges[first:last].tolist(), strict=True):
            some = part[max(start - edge, 0) : stop - edge].view(np.uint8).reshape(-1, 4)
            place = max(edge - start, 0)
            streams[:, place : place + len(some)] = some.T
        return streams.reshape(-1).data

    return Encoder(BYTE_STREAM_SPLIT, encode)


def _distinct_bytes(numbers: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Those that occur, sorted; each look goes over what is not known yet."""
    found: set[int] = set()
    for start in range(0, len(numbers), 2**20):
        block = numbers[start : start + 2**20]
        low, high = int(block.min()), int(block.max())
        if high - low < _NEAR:
            found.update(n for n in range(low, high + 1) if n in found or (block == n).any())
            continue
        rest = block.tobytes().translate(None, _as_bytes(found))
        while rest:
            found.update(np.frombuffer(rest[:4096], np.int8).tolist())
            rest = rest.translate(None, _as_bytes(found))
    return np.array(sorted(found), np.int8)


def _as_bytes(numbers: set[int]) -> bytes:
    return bytes(number & 255 for number in numbers)


def _distinct_words(numbers: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    occurs = np.zeros(2**16, dtype=bool)
    for start in range(0, len(numbers), 2**20):  # NumPy makes 64-bit copies of the places
        occurs[numbers[start : start + 2**20].view(np.uint16)] = True
    return np.sort(np.flatnonzero(occurs).astype(np.uint16).view(np.int16))


def _coded(numbers: npt.NDArray[Any], known: npt.NDArray[Any]) -> Encoder:
    width = next(bits for bits in (1, 2, 4, 8, 16) if len(known) <= 2**bits)
    places = np.zeros(2 ** (8 * numbers.itemsize), np.uint8 if width <= 8 else np.uint16)
    places[known.view(f"u{numbers.itemsize}")] = np.arange(len(known))
    table = places.tobytes()
    # The numbers of bases follow each other: a difference takes a tenth of the time of a table.
    run = 0 < len(known) == int(known[-1]) - int(known[0]) + 1

    def encode(start: int, stop: int) -> bytes:
        part = numbers[start:stop]
        if run and numbers.itemsize == 1 and width == 2 and known[0] >= 0:
            return _packed(part.view(np.uint8), width, low=int(known[0]))
        if run and numbers.itemsize == 1:
            indices = (part - known[0]).view(np.uint8)
        elif numbers.itemsize == 1:
            indices = np.frombuffer(part.tobytes().translate(table), np.uint8)
        else:
            indices = np.take(places, part.view(np.uint16))
        return _packed(indices, width)

    return Encoder(RLE_DICTIONARY, encode, (known.astype("<i4").tobytes(), len(known)))


def _packed(indices: npt.NDArray[Any], width: int, *, low: int = 0) -> bytes:
    """One bit-packed run behind its width; a group is eight values, the last one filled up.

    Args:
        indices: `(N,)` above `low`.
        width: bits of each.
        low: what is taken off each, for a width of 2.
    """
    groups = -(-len(indices) // 8)
    head = bytes([width]) + varint(groups << 1 | 1)
    if width == 2:
        return head + _pairs_of_bits(indices, low, groups)
    spare = 8 * groups - len(indices)
    if spare:
        indices = np.concatenate([indices, np.zeros(spare, indices.dtype)])
    return head + _bits(indices, width)


def _pairs_of_bits(values: npt.NDArray[np.uint8], low: int, groups: int) -> bytes:
    """Two bits of each `(N,)` value above `low`, four values a byte, the first in the lowest bits.

    Four bytes are one number, of which one product shifts each byte to its place in the highest
    byte. To take `low` off them is to take its product off. In blocks that stay in the cache.
    """
    out = np.zeros(2 * groups, np.uint8)
    whole = len(values) // 4
    words = np.ascontiguousarray(values[: 4 * whole]).view("<u4")
    memory = np.empty(min(_WORDS, whole), "<u4")
    less = np.uint32(low * 0x01010101 * _TO_TOP & 0xFFFFFFFF)
    for start in range(0, whole, _WORDS):
        some = words[start : start + _WORDS]
        product = memory[: len(some)]
        np.multiply(some, np.uint32(_TO_TOP), out=product)
        np.subtract(product, less, out=product)
        out[start : start + len(some)] = product.view(np.uint8)[3::4]
    for place, value in enumerate(values[4 * whole :].tolist()):
        out[whole] |= value - low << 2 * place
    return out.tobytes()


def _bits(indices: npt.NDArray[Any], width: int) -> bytes:
    """Whole groups with the first value in the lowest bits."""
    if width == 1:
        return np.packbits(indices, bitorder="little").tobytes()
    if width == 4:
        two = np.ascontiguousarray(indices).view("<u2")
        return (two | two >> 4).astype(np.uint8).tobytes()
    return indices.tobytes()
