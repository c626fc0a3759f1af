"""Thrift's compact protocol, as far as Parquet's headers and footers need it; writing only.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A value on its way into a message: its type's number and its bytes."""

    kind: int
    raw: bytes


TRUE, FALSE = Value(1, b""), Value(2, b"")


def varint(number: int) -> bytes:
    r"""Seven bits a byte, low ones first.

    >>> varint(300)
    b'\xac\x02'
    """
    raw = bytearray()
    while number > 127:
        raw.append(number & 127 | 128)
        number >>= 7
    raw.append(number)
    return bytes(raw)


def zigzag(number: int) -> bytes:
    """A number of either sign as a `varint`: 0, -1, 1, -2 are 0, 1, 2, 3."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def i8(number: int) -> Value:
    """A byte."""
    return Value(3, bytes([number & 255]))


def i16(number: int) -> Value:
    """An integer of 16 bits."""
    return Value(4, zigzag(number))


def i32(number: int) -> Value:
    """An integer of 32 bits; also an enumeration."""
    return Value(5, zigzag(number))


def i64(number: int) -> Value:
    """An integer of 64 bits."""
    return Value(6, zigzag(number))


def binary(raw: bytes) -> Value:
    """Bytes, or a string in UTF-8."""
    return Value(8, varint(len(raw)) + raw)


def items(values: Sequence[Value]) -> Value:
    """A list of values of one type, at least one."""
    kind, count = values[0].kind, len(values)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return Value(9, head + b"".join(value.raw for value in values))


def struct(fields: dict[int, Value | None]) -> Value:
    r"""A message; fields are numbered from 1, in order, and those that are None are left out.

    >>> struct({1: i32(3), 3: None, 4: TRUE}).raw
    b'\x15\x061\x00'
    """
    raw, last = bytearray(), 0
    for number, value in fields.items():
        if value is not None:
            assert 0 < number - last < 16, (last, number)
            raw.append((number - last) << 4 | value.kind)
            raw += value.raw
            last = number
    raw.append(0)
    return Value(12, bytes(raw))
