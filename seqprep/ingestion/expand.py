"""Reading a source file's content: gzip expanded, checked and capped; UTF-8 or not.

Python's own gzip module accepts anything after the last member that it can skip and knows no limit;
this reader takes all of a file or says what is wrong with it.
Source: RFC 1952 (gzip); the BGZF section of the SAM specification for block gzip.
"""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Callable, Iterator

from seqprep.errors import InputError
from seqprep.ingestion.files import SourceFile

BLOCK_BYTES = 2**20
MAGIC = b"\x1f\x8b"
_BGZF_EXTRA = b"BC\x02\x00"


class SourceStream(io.RawIOBase):
    """The expanded bytes of a source file, in order.

    Args:
        file: the source file; gzip is known by its first two bytes.
        max_expanded_bytes: a compressed file that gives more is refused.

    Raises:
        InputError: on reading, if the gzip data is cut, damaged, followed by junk or too large.
    """

    def __init__(self, file: SourceFile, *, max_expanded_bytes: int) -> None:
        self.file = file
        self._cap = max_expanded_bytes
        self._raw = file.open()
        self._held = self._raw.read(BLOCK_BYTES)
        self.compressed = self._held[:2] == MAGIC
        if not self.compressed and file.path.lower().endswith(".gz"):
            self._raw.close()
            raise InputError(
                "is named .gz but does not hold gzip data; compress or rename it", file=file.path
            )
        self._bgzf = _BGZF_EXTRA in self._held[10:18]
        self._member = zlib.decompressobj(wbits=31)
        self._in_member = False
        self._last_size = 0
        self._expanded = 0
        self.members = 0
        self._ready = b""

    def readable(self) -> bool:
        """Always true."""
        return True

    def close(self) -> None:
        """Close the file below, too."""
        self._raw.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with what comes next; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._ready:
            self._ready = self.next_block()
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks of about a megabyte."""
        while block := self.next_block():
            yield block

    def next_block(self) -> bytes:
        """The next megabyte or so; empty at the end."""
        if not self.compressed:
            block, self._held = self._held, b""
            return block or self._raw.read(BLOCK_BYTES)
        while True:
            data = self._held or self._raw.read(BLOCK_BYTES)
            self._held = b""
            if not data:
                self._check_end()
                return b""
            block = self._expand(data)
            if block:
                return block

    def _expand(self, data: bytes) -> bytes:
        if not self._in_member:
            data = self._start_member(data)
            if not data:
                return b""
        try:
            block = self._member.decompress(data, BLOCK_BYTES)
        except zlib.error as error:
            self._fail(f"the gzip data is damaged ({error}); get the file again")
        self._expanded += len(block)
        self._last_size += len(block)
        if self._expanded > self._cap:
            self._fail(
                f"expands to more than source.max_expanded_bytes = {self._cap} bytes; raise it if "
                "you trust the file"
            )
        if self._member.eof:
            self._held = self._member.unused_data
            self._in_member = False
        else:
            self._held = self._member.unconsumed_tail
        return block

    def _start_member(self, data: bytes) -> bytes:
        # Tape blocks are padded with zeros; gzip itself accepts those.
        data = data.lstrip(b"\0") if self.members else data
        if not data:
            return b""
        if len(data) < 2:
            data += self._raw.read(BLOCK_BYTES)
        if data[:2] != MAGIC:
            self._fail(
                "something that is not gzip follows the compressed data; cut it off or get the "
                "file again"
            )
        self._member = zlib.decompressobj(wbits=31)
        self._in_member, self._last_size = True, 0
        self.members += 1
        return data

    def _check_end(self) -> None:
        if self._in_member:
            self._fail("the gzip data ends in the middle; get the file again")
        if self._bgzf and self._last_size:
            self._fail(
                "the block gzip file lacks its end mark, so blocks are missing; get it again"
            )

    def tell_members(self, notice: Notice | None) -> None:
        """Give notice if there were several members: a cut between two of them looks whole."""
        if notice is not None and self.members > 1 and not self._bgzf:
            notice("several_gzip_members")

    def _fail(self, message: str) -> None:
        raise InputError(message, file=self.file.path, reason="bad_gzip")


Notice = Callable[[str], None]
"""Called with the name of an oddity that was found."""


def read_bytes(file: SourceFile, *, max_expanded_bytes: int, notice: Notice | None = None) -> bytes:
    """All of the content at once, for files that hold one record."""
    with SourceStream(file, max_expanded_bytes=max_expanded_bytes) as stream:
        data = b"".join(stream.blocks())
        stream.tell_members(notice)
    return data


def decode(data: bytes, *, encoding: str) -> tuple[str, bool]:
    r"""Text from bytes by the policy of `source.encoding`, and whether cp1252 had to be taken.

    A byte-order mark is obeyed and removed under `auto`.

    >>> decode(b"caf\xe9", encoding="auto")
    ('café', True)

    Raises:
        UnicodeError: if the bytes are not text in that encoding.
    """
    if encoding != "auto":
        text = data.decode(encoding)
        return text.removeprefix("\ufeff"), False
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name), False
    try:
        return data.decode("utf-8"), False
    except UnicodeDecodeError:
        return data.decode("cp1252"), True


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def stream_encoding(
    file: SourceFile, *, encoding: str, max_expanded_bytes: int
) -> tuple[str, bool]:
    """The codec of a whole table, found by reading it once, and whether it is a fallback.

    Raises:
        InputError: if `auto` finds neither a mark, nor UTF-8, nor cp1252.
    """
    if encoding != "auto":
        return encoding, False
    decoder = codecs.getincrementaldecoder("utf-8")()
    fallback = False
    with SourceStream(file, max_expanded_bytes=max_expanded_bytes) as stream:
        for number, block in enumerate(stream.blocks()):
            if number == 0:
                for mark, name in _MARKS:
                    if block.startswith(mark):
                        return {"utf-8": "utf-8-sig"}.get(name, name[:6]), False
            try:
                if not fallback:
                    decoder.decode(block)
                else:
                    block.decode("cp1252")
            except UnicodeDecodeError:
                fallback = True
        try:
            decoder.decode(b"", final=not fallback)
        except UnicodeDecodeError:
            fallback = True
    return ("cp1252", True) if fallback else ("utf-8", False)
