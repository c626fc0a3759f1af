"""Bases packed at two bits each: any reader gets them back, and zstd keeps what it packs better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep import bases
from seqprep.bases import are_bases, other_strand
from seqprep.parquet import letters
from seqprep.parquet.letters import BLOCK, LEAST, WITH_CODES, pack_letters
from seqprep.parquet.writer import PageWriter

CODEC = pa.Codec("zstd", compression_level=1)


def drawn(count: int, alphabet: bytes = b"ACGT", *, seed: int = 0) -> np.ndarray:
    """`(count,)` letters, each as likely."""
    places = np.random.default_rng(seed).integers(0, len(alphabet), count)
    return np.frombuffer(alphabet, np.uint8)[places]


def unpacked(frame: bytes, size: int) -> bytes:
    """What Arrow's zstd finds in a frame."""
    found: bytes = CODEC.decompress(frame, decompressed_size=size, asbytes=True)
    return found


@given(
    st.lists(
        st.tuples(st.sampled_from([b"ACGT", b"N", WITH_CODES, b"GC"]), st.integers(1, 3 * 1024)),
        min_size=8,
        max_size=20,
    ),
    st.binary(max_size=40),
)
def test_frames_unpack_to_what_was_packed(parts: list[tuple[bytes, int]], head: bytes) -> None:
    """Otherwise bases, runs of N, ambiguity codes or their edges would come back as others."""
    text = np.concatenate([drawn(LEAST), *(drawn(count, kind) for kind, count in parts)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(letters, "BLOCK", 4096)
        patch.setattr(letters, "_MOST_BITS", 8)
        patch.setattr(letters, "_SAMPLE", 1)
        frame = pack_letters(head, text, CODEC)
    assert frame is not None
    assert unpacked(frame, len(head) + len(text)) == head + text.tobytes()


@pytest.mark.parametrize("count", [LEAST, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 777])
def test_bases_take_two_bits_each(count: int) -> None:
    """Otherwise DNA would take a fifth more, as zstd alone packs it."""
    text = drawn(count)
    frame = pack_letters(b"", text, CODEC)
    assert frame is not None
    assert unpacked(frame, count) == text.tobytes()
    assert 8 * len(frame) / count < 2.05 < 8 * CODEC.compress(text.tobytes()).size / count


@pytest.mark.parametrize(
    "text",
    [
        np.tile(drawn(1000), 100),
        drawn(LEAST - 1),
        drawn(100_000, WITH_CODES),
        np.frombuffer(b"To be, or not to be, that is the question. " * 1000, np.uint8),
        np.concatenate([drawn(100_000), np.frombuffer(b"*", np.uint8), drawn(50_000)]),
    ],
    ids=["repeats", "short", "many codes", "words", "another letter"],
)
def test_what_zstd_packs_better_is_left_to_it(text: np.ndarray) -> None:
    """Otherwise repeats would grow a hundredfold, and other letters would be lost."""
    assert pack_letters(b"", text, CODEC) is None


def test_readers_of_parquet_find_the_bases(tmp_path: Path) -> None:
    """Otherwise only Arrow's decoder of zstd would be known to take the frames."""
    lengths = np.random.default_rng(1).integers(0, 60_000, 100)
    content = [drawn(count, seed=number).tobytes() for number, count in enumerate(lengths)]
    content[7] += b"N" * 200_000 + drawn(300_000, b"ACGTRY").tobytes()
    table = pa.table({"bases": [part.decode() for part in content]})
    path = tmp_path / "a.parquet"
    with PageWriter(path, table.schema) as writer:
        writer.write_table(pa.concat_tables([table.slice(0, 40), table.slice(40)]))
    assert pq.ParquetFile(path, page_checksum_verification=True).read().equals(table)
    assert pl.read_parquet(path)["bases"].to_list() == table["bases"].to_pylist()
    assert path.stat().st_size < 0.27 * sum(map(len, content))


@given(st.binary(max_size=300), st.sampled_from([8, 64, 2**18]))
def test_the_other_strand_is_the_reverse_complement(raw: bytes, block: int) -> None:
    """Otherwise a record and its other strand would count as two."""
    text = bytes(b"ACGT"[byte % 4] for byte in raw)
    found = np.frombuffer(text, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases, "_BLOCK", block)
        assert (
            other_strand(found).tobytes() == text.translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1]
        )
        assert are_bases(found)


@given(st.integers(0, 299), st.integers(0, 255), st.sampled_from([8, 64, 2**18]))
def test_any_other_letter_is_seen(place: int, letter: int, block: int) -> None:
    """Otherwise an N would be packed as a base."""
    text = drawn(300).copy()
    text[place] = letter
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases, "_BLOCK", block)
        assert are_bases(text) == (letter in b"ACGT")
