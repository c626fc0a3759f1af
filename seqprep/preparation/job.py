"""One job of preparation: which records, which options, and what follows from them.

Legend: R records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqprep.checks import parse_bytes
from seqprep.preparation.chain import Chain
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.schema import STEP_TASKS, Task
from seqprep.source import Domain
from seqprep.table import Table
from seqprep.token_table import TokenTable
from seqprep.tokens import Encoder
from seqprep.transforms.token_rule import TokenRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is prepared, and how.

    Args:
        table: of sequences. version: of it.
        domain, task, split, recipe: as in the pipeline file. tokens: of it, filled in.
        chain: its steps.
        channels: names of the values. rate_hz: of them. target_names: of per-step targets.
        step_classes: names of the codes in labelled steps.
        tables: of tokens, by the path that a step names.
        encoder: turns strings into tokens; None for values, and until work starts. byte_pairs:
            what it was fitted with, if so; before that, what an earlier version fitted for it.
    """

    table: Table
    version: int
    domain: Domain
    task: Task
    split: Split
    recipe: Prepare
    tokens: Tokens
    chain: Chain
    channels: tuple[str, ...]
    rate_hz: float | None
    target_names: tuple[str, ...]
    step_classes: tuple[str, ...]
    tables: Mapping[str, TokenTable] = field(default_factory=dict)
    encoder: Encoder | None = None
    byte_pairs: str | None = None

    @property
    def rules(self) -> tuple[TokenRule, ...]:
        """The steps that choose by token."""
        return tuple(step for step in self.chain.steps if isinstance(step, TokenRule))

    @property
    def width(self) -> int | None:
        """Channels of the values in `sequences`; None for strings."""
        return self.chain.forms[0].width

    @property
    def memory_bytes(self) -> int:
        """What the recipe gives."""
        return parse_bytes(self.recipe.memory, key="prepare.memory")

    @property
    def counts_tokens(self) -> bool:
        """Whether rows are tokens between the passes, and a vocabulary is fitted."""
        return self.chain.spilled.unit != "value"

    @property
    def target_width(self) -> int | None:
        """Channels of regressed steps; None for other targets."""
        return max(len(self.target_names), 1) if self.task == "regress_steps" else None

    @property
    def target_column(self) -> str | None:
        """The column of `sequences` with the targets, if the task has one."""
        if self.task in STEP_TASKS:
            return "targets"
        return "target_text" if self.task == "translate" else None
