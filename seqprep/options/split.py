"""What a person writes about the split: which records train, validate and test (CONTRACT 7).

Every key under `split` in the pipeline file, checked as far as can be without reading data.
Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

from seqprep.checks import at_least, check_pattern
from seqprep.errors import ConfigError
from seqprep.schema import SPLITS

Names = tuple[str, ...]
_VALUES = ("path", "header", "column", "table")
_ONLY_BY: dict[str, tuple[str, ...]] = {
    "seed": ("hash", "folds", *_VALUES),
    "pattern": _VALUES,
    "column": ("column", "table"),
    "table": ("table",),
    "key": ("table",),
    "count": ("folds",),
    "fold": ("folds",),
    "of": ("folds",),
    "gap": ("time",),
}
"""Where each option of a split has a meaning; elsewhere it is refused, not ignored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which rows train, validate and test (CONTRACT 7). A group is in one split only.

    Args:
        by: `hash` of the group with shares; `path`, `header`, `column` or `table` with lists of
            values; `folds`; or `time` for per-step labels in long recordings.
        train: share of groups, or values; not named: what the others leave.
        validation: share, or values; not named with values: hashed from training groups.
        test: share, or values.
        seed: of the hash.
        pattern: for path and header, and optional elsewhere: its first group is the value.
        column: for column and table: the column with the value.
        table: a CSV or TSV file relative to the pipeline file; key: its column of ids, names of
            FASTA records, files or groups.
        count: folds, to which groups are hashed; fold: which one tests, from 0.
        of: `record` or `group`; with `group` and no count, one group is left out in each fold:
            `fold` counts the groups in the order of their names, so new groups shift it, and
            `Prepared.held_out` names the group.
        gap: steps between two splits of one recording, for by: time.
    """

    by: Literal["hash", "path", "header", "column", "table", "folds", "time"] = "hash"
    train: float | Names | None = None
    validation: float | Names | None = None
    test: float | Names | None = None
    seed: int = 0
    pattern: str | None = None
    column: str | None = None
    table: str | None = None
    key: str | None = None
    count: int | None = None
    fold: int = 0
    of: Literal["record", "group"] = "record"
    gap: int = 0

    def __post_init__(self) -> None:
        self._check_meaning()
        self._check_pattern()
        if self.by in ("hash", "time"):
            self._check_shares()
        elif self.by == "folds":
            self._check_folds()
        else:
            self._check_values()
        at_least(self.gap, 0, key="split.gap")

    @property
    def leaves_one_out(self) -> bool:
        """Whether each fold tests on one whole group."""
        return self.by == "folds" and self.count is None

    def _check_meaning(self) -> None:
        for field in fields(self):
            ways = _ONLY_BY.get(field.name)
            if ways is None or self.by in ways or getattr(self, field.name) == field.default:
                continue
            raise ConfigError(
                f"split.{field.name} has a meaning only with by: {' or '.join(ways)}; remove it, "
                f"got by: {self.by}"
            )

    def _check_pattern(self) -> None:
        if self.pattern is None:
            return
        check_pattern(self.pattern, key="split.pattern")
        # Escaped characters first, so that `\(?=` is read as a bracket.
        for found in re.finditer(r"\\(.)|\(\?(?:[=!>]|<[=!]|P=)", self.pattern):
            if found[1] is None or found[1] in "123456789":
                raise ConfigError(
                    f"split.pattern {self.pattern!r}: {found[0]} (look-around or a reference to a "
                    "group) cannot be used; match the value with a group, e.g. 'cv(\\d)'"
                )
        if re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"split.pattern needs a group that holds the value, e.g. 'cv(\\d)', got "
                f"{self.pattern!r}"
            )

    def _check_shares(self) -> None:
        given = [getattr(self, name) for name in SPLITS]
        if all(share is None for share in given):
            for name, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
                object.__setattr__(self, name, share)
            return
        if not all(isinstance(share, int | float) for share in given):
            raise ConfigError(
                f"split by {self.by} needs shares for train, validation and test, e.g. 0.8, 0.1, "
                f"0.1; got {given}"
            )
        if any(share < 0 for share in given) or not abs(sum(given) - 1) <= 1e-9:
            raise ConfigError(
                f"split: train + validation + test must be 1 with none below 0, got "
                f"{' + '.join(str(share) for share in given)} = {sum(given):g}"
            )
        if self.train == 0:
            raise ConfigError("split.train must be > 0: nothing could be learnt, got 0")

    def _check_folds(self) -> None:
        if self.count is None and self.of != "group":
            raise ConfigError("split by folds needs `count`, or `of: group` to leave one group out")
        if self.count is not None:
            at_least(self.count, 2, key="split.count")
            if not 0 <= self.fold < self.count:
                raise ConfigError(f"split.fold must be in 0..{self.count - 1}, got {self.fold}")
        at_least(self.fold, 0, key="split.fold")
        if (
            isinstance(self.validation, tuple | list)
            or self.train is not None
            or self.test is not None
        ):
            raise ConfigError(
                "split by folds takes `count`, `fold`, `of` and a share for `validation` only"
            )
        if self.validation is not None and not 0 <= self.validation < 1:
            raise ConfigError(
                "split.validation must be a share of the training groups in [0, 1), got "
                f"{self.validation}"
            )

    def _check_values(self) -> None:
        for name in SPLITS:
            value = getattr(self, name)
            if isinstance(value, int | float) and not (name == "validation" and 0 <= value < 1):
                raise ConfigError(
                    f"split by {self.by}: {name} must be a list of values, got {value!r}"
                )
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if self.test is None:
            raise ConfigError(f"split by {self.by} needs `test`: a list of values")
        seen: dict[str, str] = {}
        for name in SPLITS:
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else ():
                if item in seen:
                    raise ConfigError(f"split: {item!r} is in both {seen[item]} and {name}")
                seen[item] = name
        if self.by in ("column", "table") and self.column is None:
            raise ConfigError(f"split by {self.by} needs `column`")
        if self.by == "table" and (self.table is None or self.key is None):
            raise ConfigError("split by table needs `table` (a CSV file) and `key` (its id column)")
