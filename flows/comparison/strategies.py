"""The ways of handling long sequences that a comparison tries: one entry each of STRATEGIES.

A strategy starts from the plain pipeline (see `applied.plain`): the person's split, tokens, sizes
and optimiser, without any step or front that shortens a record. It adds steps to the recipe
(`shortening`) or changes keys of the training (`learning`). Whether it fits a domain and a task is
decided by the pipeline file's own checks; the entries know only what those cannot.
"""

from __future__ import annotations

from collections.abc import Callable

from flows.comparison import learning, shortening
from flows.comparison.strategy import Case, Found

STRATEGIES: dict[str, Callable[[Case], Found]] = {
    "full": learning.full,
    "exact": learning.exact,
    "truncate-head": shortening.truncate("head", "the first {} steps"),
    "truncate-tail": shortening.truncate("tail", "the last {} steps"),
    "truncate-head-tail": shortening.truncate("head_tail", "the first and the last of {} steps"),
    "summarize-light": shortening.summarize(
        "summarize-light",
        "without the 20 most frequent tokens and those in one record only",
        drop_top=20,
        min_records=2,
    ),
    "summarize-both-ends": shortening.summarize(
        "summarize-both-ends",
        "without the 100 most frequent tokens and those in fewer than 5 records",
        drop_top=100,
        min_records=5,
    ),
    "summarize-rare": shortening.summarize(
        "summarize-rare",
        "without tokens in more than a tenth of the records or in fewer than 3",
        max_share=0.1,
        min_records=3,
    ),
    "mutual-information": shortening.informative(
        "mutual_information", "the {:,} tokens that tell most about the class"
    ),
    "idf": shortening.idf,
    "random-steps": shortening.random_steps,
    "random-steps-each-epoch": shortening.random_steps_views,
    "random-pieces": shortening.random_pieces,
    "random-piece-each-epoch": shortening.random_pieces_views,
    "last-k": learning.last_k,
    "segments": learning.segments,
    "segment-schedule": learning.schedule,
    "windows": shortening.windows,
    "chunks": learning.chunks,
    "hierarchical": learning.hierarchical,
    "attention": learning.attention,
    "split": learning.split,
    "parallel-parts": learning.parallel,
    "strided-convolution": learning.strided,
    "block-means": shortening.block_means,
    "random-projection": shortening.projection,
    "spectrum": shortening.spectrum,
    "sax": shortening.sax,
    "hashing": shortening.hashing,
    "min-lstm": learning.min_lstm,
    "autoencoder-codes": learning.codes,
    "encoder-start": learning.encoder_start,
}
"""By name, in the order of the table."""
