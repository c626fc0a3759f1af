"""Words by two tokenisers of NLTK that need no downloaded model: Treebank and casual.

`treebank` is `TreebankWordTokenizer` on the whole text: contractions and punctuation apart, but of
full stops only the last one, as it was made for single sentences; the way around that,
`word_tokenize`, needs a model that tells sentences apart. `casual` is `TweetTokenizer`: emoticons,
hashtags and addresses stay whole; `lowercase` spares emoticons.
Use them for contractions or for posts; `punct` (words.py) is about a hundred times faster. They are
slow Python, so beyond a few megabytes they run in spawned processes.

Source: https://www.nltk.org/api/nltk.tokenize.treebank.html and
https://www.nltk.org/api/nltk.tokenize.casual.html
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.errors import SeqprepError
from seqprep.ragged import Ragged
from seqprep.tokens.encoded import Encoded, merge

BATCH_BYTES = 2**18
"""About so much text is one task: a third of a second."""
POOL_BYTES = 4 * 2**20
"""Up to so much text nothing is started: a process needs two seconds to start."""
PIECE = 2**16
"""Casual texts beyond so many characters are cut at line ends, which no casual word crosses."""


class NltkWords:
    """Encodes chunks, in processes once there is enough to do; close it after use.

    Args:
        tokenizer: `treebank` or `casual`.
        lowercase: before the cut; casual: after it, emoticons left alone.
        workers: processes; with 1 all is done in this one.
    """

    def __init__(self, tokenizer: str, *, lowercase: bool, workers: int) -> None:
        self._cut = functools.partial(cut_words, tokenizer=tokenizer, lowercase=lowercase)
        self._workers = workers
        self._seen_bytes = 0
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def encode(self, content: pa.Array | pa.ChunkedArray) -> Encoded:
        """Words of each record, the same for any number of processes."""
        pool = self._started(int(content.nbytes))
        parts: list[Encoded] = []
        waiting: deque[Future[Encoded]] = deque()
        for texts in text_batches(content, size_bytes=BATCH_BYTES):
            if pool is None:
                parts.append(self._cut(texts))
                continue
            waiting.append(pool.submit(self._cut, texts))
            if len(waiting) > self._workers:
                parts.append(waiting.popleft().result())
        return merge([*parts, *(future.result() for future in waiting)])

    @property
    def runs_apart(self) -> bool:
        """Whether processes have been started."""
        return self._pool is not None

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _started(self, size_bytes: int) -> ProcessPoolExecutor | None:
        with self._lock:
            self._seen_bytes += size_bytes
            if self._workers > 1 and self._pool is None and self._seen_bytes > POOL_BYTES:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._workers, mp_context=spawn)
            return self._pool


def text_batches(content: pa.Array | pa.ChunkedArray, *, size_bytes: int) -> Iterator[list[str]]:
    """The texts in batches of about `size_bytes`, at least one, cut by their sizes alone."""
    _, offsets = ragged.string_bytes(content)
    share = (offsets[:-1] - offsets[0]) // size_bytes
    cuts = (np.flatnonzero(np.diff(share)) + 1).tolist()
    for start, stop in itertools.pairwise([0, *cuts, len(content)]):
        yield content.slice(start, stop - start).to_pylist()


def cut_words(texts: list[str], *, tokenizer: str, lowercase: bool) -> Encoded:
    """Words of some texts; runs in a process of its own.

    Raises:
        SeqprepError: if NLTK gives up on a text.
    """
    cut = _cutter(tokenizer, lowercase=lowercase)
    rows = []
    for text in texts:
        try:
            rows.append(cut(text))
        except TimeoutError as error:
            raise SeqprepError(
                f"tokens.tokenizer: {tokenizer}: NLTK gave up on a text of {len(text)} characters "
                f"that starts {text[:40]!r}: {error}; use `tokenizer: punct`, or take it out"
            ) from error
    words = _strings(list(itertools.chain.from_iterable(rows)))
    coded = words.dictionary_encode()
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    ids = coded.indices.to_numpy(zero_copy_only=False)
    return Encoded(ids=Ragged(ids, ragged.to_offsets(lengths)), tokens=coded.dictionary)


def _strings(words: list[str]) -> pa.Array:
    try:
        return pa.array(words, pa.large_string())
    except UnicodeEncodeError:  # half a surrogate pair, which casual makes of `&#xD800;`
        safe = [word.encode(errors="replace").decode() for word in words]
        return pa.array(safe, pa.large_string())


@functools.cache
def _cutter(tokenizer: str, *, lowercase: bool) -> Callable[[str], list[str]]:
    # Imported here: it takes more than a second that no other tokeniser should pay.
    from nltk.tokenize import TreebankWordTokenizer, TweetTokenizer

    match tokenizer:
        case "treebank":
            treebank = TreebankWordTokenizer()
            return lambda text: treebank.tokenize(text.lower() if lowercase else text)
        case "casual":
            casual = TweetTokenizer(preserve_case=not lowercase)
            return lambda text: list(
                itertools.chain.from_iterable(map(casual.tokenize, line_pieces(text)))
            )
        case _:
            raise ValueError(f"tokenizer must be treebank or casual, got {tokenizer!r}")


def line_pieces(text: str) -> list[str]:
    """A long text cut after line ends: NLTK gives up after seconds, whatever the text."""
    edges = [0]
    while len(text) - edges[-1] > PIECE:
        start = edges[-1]
        end = text.rfind("\n", start, start + PIECE) + 1 or text.find("\n", start + PIECE) + 1
        if not end or end == len(text):
            break
        edges.append(end)
    return [text[start:stop] for start, stop in itertools.pairwise([*edges, len(text)])]
