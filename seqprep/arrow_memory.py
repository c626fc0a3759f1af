"""Which allocator Arrow's buffers come from.

Arrow's own one gives large buffers back to the system at once, grows them by copying, and gets
cleared pages again for the next one: of signals and bases that was a quarter of the processor time.
The C library's keeps what was freed and grows by moving pages; the process grew less, too
(`benchmarks/eeg.py`, `benchmarks/fasta.py`). Of many small strings, as text has, it is the slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from seqprep.source import Domain

CHOSEN = "ARROW_DEFAULT_MEMORY_POOL"
"""The variable by which a person chooses; then it stays with that."""


@contextmanager
def memory_for(domain: Domain) -> Iterator[None]:
    """Use the allocator that suits the content of a domain while the block runs.

    Arrow has one default for the process; a buffer goes back to where it came from.
    """
    before = pa.default_memory_pool()
    if domain == "text" or CHOSEN in os.environ:
        yield
        return
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
