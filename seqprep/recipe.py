"""What a person writes about preparation: the recipe, with its tokens and its split.

Frozen dataclasses with every key under `split` and `prepare` in the pipeline file. They check what
can be checked without reading data, and refuse by name what is not built yet. Standard library
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seqprep.checks import at_least, bytes_at_least, check_name
from seqprep.errors import ConfigError
from seqprep.options.drift import Drift
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.options.split import Split
from seqprep.options.tokens import Tokens, resolve_tokens

__all__ = ["Prepare", "Split", "Tokens", "resolve_tokens"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepare:
    """How cleaned records become training examples (CONTRACT 12).

    Args:
        recipe: a name; it owns one `examples` table.
        tokens: how content becomes steps.
        steps: the techniques, in order: each one key of TRANSFORMS with its options.
        target_tokens: how `target_text` becomes target ids, for task: translate.
        target_steps: steps on the target text: `truncate`.
        duplicates: `one` keeps one copy of equal records, `keep` keeps all inside one split.
        near_duplicates: whether nearly equal records are looked for, and told.
        scale: signals: `channel` (over the training rows), `record` (each row by itself), `none`.
        buckets: how many length buckets, or their upper limits in steps.
        memory: bytes that preparation may take beside its base, e.g. 512MB; the longest record
            comes on top, up to five times what its steps take where they are widest.
        seed: of the random steps and of the order of rows in shards.
        shard_bytes: about how large a shard may get before compression.
        drift: how far new data may move before a refit is advised.
    """

    recipe: str = "default"
    tokens: Tokens = Tokens()
    steps: tuple[dict[str, dict[str, Any]], ...] = ()
    target_tokens: Tokens = Tokens(unit="character", lowercase=False)
    target_steps: tuple[dict[str, dict[str, Any]], ...] = ()
    duplicates: Literal["one", "keep"] = "one"
    near_duplicates: NearDuplicates = NearDuplicates()
    scale: Literal["channel", "record", "none"] = "channel"
    buckets: int | tuple[int, ...] = 8
    memory: str | int = "512MB"
    seed: int = 0
    shard_bytes: str | int = "64MB"
    drift: Drift = Drift()

    def __post_init__(self) -> None:
        check_name(self.recipe, key="prepare.recipe")
        if isinstance(self.buckets, bool):
            raise ConfigError(
                f"prepare.buckets must be a number of buckets or their limits, got {self.buckets}"
            )
        if isinstance(self.buckets, int):
            at_least(self.buckets, 1, key="prepare.buckets")
        elif list(self.buckets) != sorted(set(self.buckets)) or min(self.buckets, default=0) < 1:
            raise ConfigError(
                f"prepare.buckets must be increasing limits >= 1 step, got {list(self.buckets)}"
            )
        bytes_at_least(self.memory, "64MB", key="prepare.memory")
        bytes_at_least(self.shard_bytes, "1B", key="prepare.shard_bytes")
        _check_target_tokens(self.target_tokens)
        for key in ("steps", "target_steps"):
            for index, step in enumerate(getattr(self, key)):
                if not isinstance(step, Mapping) or len(step) != 1:
                    raise ConfigError(
                        f"prepare.{key}[{index}] must be one technique with its options, "
                        f"e.g. `truncate: {{length: 400}}`, got {step!r}"
                    )


def _check_target_tokens(tokens: Tokens) -> None:
    if tokens.unit not in ("word", "character", "kmer"):
        raise ConfigError(
            "prepare.target_tokens.unit must be word, character or kmer: what is fitted or "
            f"measured serves inputs only; got {tokens.unit or 'none'}"
        )
    if tokens.tokenizer not in (None, "punct"):
        raise ConfigError(
            f"prepare.target_tokens.tokenizer must be punct: {tokens.tokenizer} serves inputs "
            "only; remove it"
        )
