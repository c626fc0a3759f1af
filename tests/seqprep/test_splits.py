"""Which split a record is in, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seqprep import split_checks, splits
from seqprep.errors import ConfigError
from seqprep.ragged import row_keys
from seqprep.recipe import Prepare, Split, Tokens, resolve_tokens
from seqprep.schema import SPLITS
from seqprep.splits import LEFT_OUT, TEST, TRAIN, VALIDATION

GOLDEN = [int(code) for code in "010000000000000000100022"]
GROUPS = st.lists(st.text(max_size=6), min_size=1, max_size=20, unique=True)


def table(groups: list[str], **columns: list[Any]) -> pa.Table:
    ids = [f"a/f{n}.txt#0" for n in range(len(groups))]
    every: dict[str, list[Any]] = {
        "id": ids,
        "name": [f"n{n}" for n in range(len(groups))],
        "group": groups,
        "source": [id_.partition("#")[0] for id_ in ids],
        "header": [None] * len(groups),
        "attributes": [None] * len(groups),
        **columns,
    }
    return pa.table({key: pa.array(value, pa.string()) for key, value in every.items()})


def assigned(split: Split, rows: pa.Table, base: Path = Path(".")) -> list[int]:
    return splits.assign(split, rows, listed=splits.read_listed(split, base=base)).tolist()


@given(GROUPS, GROUPS, st.integers(0, 3))
def test_new_data_never_moves_a_group(old: list[str], new: list[str], seed: int) -> None:
    """A record of yesterday's test would train tomorrow's model."""
    split = Split(seed=seed)
    before = dict(zip(old, assigned(split, table(old)), strict=True))
    every = list(dict.fromkeys([*new, *old]))
    after = dict(zip(every, assigned(split, table(every)), strict=True))
    assert all(after[group] == place for group, place in before.items())


def test_where_groups_fall_is_fixed_for_ever() -> None:
    """A new version of this code would move every group; these places must not change."""
    found = assigned(Split(), table([f"g{n}" for n in range(24)]))
    assert found == GOLDEN


def test_shares_are_about_right() -> None:
    """A share would be taken of something else than groups."""
    found = np.array(assigned(Split(), table([f"g{n}" for n in range(4000)])))
    shares = [(found == code).mean() for code in (TRAIN, VALIDATION, TEST)]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)


def test_records_of_a_group_stay_together() -> None:
    """Windows of one subject would be on both sides of a split (mistake 9)."""
    groups = [f"s{n % 5}" for n in range(50)]
    for split in (Split(), Split(by="folds", count=3), Split(by="folds", of="group")):
        codes = splits.assign(split, table(groups))
        assert split_checks.check_groups(codes, row_keys(pa.array(groups))) is None


def test_path_values_come_from_the_pattern() -> None:
    """`cv9..` would train although it is listed for testing."""
    rows = table(["a", "b", "c"], source=["pos/cv1.txt", "pos/cv8.txt", "neg/cv9.txt"])
    split = Split(by="path", pattern=r"cv(\d)", validation=("8",), test=("9",))
    assert assigned(split, rows) == [TRAIN, VALIDATION, TEST]


def test_path_values_without_pattern_are_folders_or_files() -> None:
    """`test` would also take the folder `tests`, or miss the files under it."""
    rows = table(["a", "b", "c", "d"], source=["test/a.txt", "tests/a.txt", "x.txt", "dev/y/z.txt"])
    split = Split(by="path", validation=("dev",), test=("test", "x.txt"))
    assert assigned(split, rows) == [TEST, TRAIN, TEST, VALIDATION]


def test_columns_and_headers_decide() -> None:
    """The dataset's own split would be ignored."""
    attributes = [json.dumps({"a b": value}) for value in ("t", "d", "x")]
    rows = table(["a", "b", "c"], attributes=attributes, header=["r chr1", "r chr2", "r chr3"])
    by_column = Split(by="column", column="a b", train=("t",), validation=("d",), test=("e",))
    assert assigned(by_column, rows) == [TRAIN, VALIDATION, LEFT_OUT]
    by_header = Split(by="header", pattern="chr(.)", validation=("2",), test=("3",))
    assert assigned(by_header, rows) == [TRAIN, VALIDATION, TEST]


def test_a_table_finds_records_by_name_id_or_path(tmp_path: Path) -> None:
    """A list of ids made for the dataset would match nothing."""
    listed = "who;x\n".replace(";", ",") + "n0,train\na/f1.txt#0,dev\na/f2.txt,test\n"
    (tmp_path / "splits.csv").write_text(listed)
    split = Split(
        by="table", table="splits.csv", key="who", column="x", validation=("dev",), test=("test",)
    )
    assert assigned(split, table(["a", "b", "c"]), tmp_path) == [TRAIN, VALIDATION, TEST]
    with pytest.raises(ConfigError, match="no column 'z'; it has who, x"):
        assigned(
            Split(by="table", table="splits.csv", key="who", column="z", test=("t",)),
            table(["a"]),
            tmp_path,
        )


def test_records_without_the_column_train() -> None:
    """A file of records that lack the column would stop what the other files decide."""
    split = Split(by="column", column="fold", test=("1",))
    rows = table(["a", "b"])
    assert not splits.names_any(split, rows, None) and splits.names_any(Split(), rows, None)
    assert set(assigned(replace(split, validation=("2",)), rows)) == {TRAIN}


def test_folds_test_every_group_once() -> None:
    """A group would be tested twice, or never, over all folds."""
    groups = [f"g{n}" for n in range(40)]
    tested = [
        {g for g, code in zip(groups, codes, strict=True) if code == TEST}
        for codes in (
            assigned(Split(by="folds", count=4, fold=fold), table(groups)) for fold in range(4)
        )
    ]
    assert sorted(group for fold in tested for group in fold) == sorted(groups)


def test_one_group_is_left_out_by_name() -> None:
    """Leaving subject b out would leave out another, or a part."""
    groups = ["b", "a", "c", "b"]
    keys = row_keys(pa.array(groups))
    split = Split(by="folds", of="group", fold=1, validation=0.0)
    codes = splits.assign(split, table(groups))
    found = splits.leave_out(split, codes, keys, ["a", "b", "c"])
    assert found.tolist() == [TEST, TRAIN, TRAIN, TEST]
    with pytest.raises(ConfigError, match=r"in 0..2: there are 3 groups \(a, b, c\), got 5"):
        splits.leave_out(Split(by="folds", of="group", fold=5), codes, keys, ["a", "b", "c"])


def test_validation_not_named_is_hashed_from_training_groups() -> None:
    """Test rows would choose the epoch, or the choice change with the test list."""
    groups = [f"g{n}" for n in range(400)]
    sources = [f"{n % 10}.txt" for n in range(400)]
    split = Split(by="path", pattern=r"(\d)", test=("9",))
    codes = np.array(assigned(split, table(groups, source=sources)))
    assert ((codes == TEST) == (np.arange(400) % 10 == 9)).all()
    assert 15 < (codes == VALIDATION).sum() < 65


def by_seed(split: Split, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The splits of the same rows with seed 0 and with seed 1."""
    first, second = (np.array(assigned(replace(split, seed=seed), rows)) for seed in (0, 1))
    return first, second


def test_the_seed_draws_another_split_of_the_same_shares() -> None:
    """Scores over several seeds would all be of one split, and their spread too small."""
    first, second = by_seed(Split(), table([f"g{n}" for n in range(1000)]))
    for code, share in ((TRAIN, 0.8), (VALIDATION, 0.1), (TEST, 0.1)):
        assert np.mean(second == code) == pytest.approx(share, abs=0.04)
        both = np.mean((first == code) & (second == code))
        assert both == pytest.approx(share**2, abs=0.04)  # drawn anew, whoever was there before


@pytest.mark.parametrize(
    "split",
    [
        Split(by="path", pattern=r"(\d)", test=("9",)),
        Split(by="column", column="fold", test=("9",)),
        Split(by="folds", of="group"),
    ],
    ids=["path", "column", "one group left out"],
)
def test_the_seed_draws_validation_and_leaves_the_named_test_alone(split: Split) -> None:
    """Validation would be the same groups whatever the seed, or the dataset's test set move."""
    digits = [str(n % 10) for n in range(1000)]
    rows = table(
        [f"g{n}" for n in range(1000)],
        source=[f"{digit}.txt" for digit in digits],
        attributes=[json.dumps({"fold": digit}) for digit in digits],
    )
    first, second = by_seed(split, rows)
    assert ((first == TEST) == (second == TEST)).all()
    trains = first != TEST
    assert np.mean(second[trains] == VALIDATION) == pytest.approx(0.1, abs=0.04)
    both = (first == VALIDATION) & (second == VALIDATION)
    assert np.mean(both[trains]) == pytest.approx(0.01, abs=0.015)


def test_the_seed_draws_folds_and_their_validation() -> None:
    """Repeated cross-validation would repeat the same folds, or tune on the same groups."""
    first, second = by_seed(Split(by="folds", count=2), table([f"g{n}" for n in range(1000)]))
    assert np.mean((first == TEST) & (second == TEST)) == pytest.approx(0.25, abs=0.04)
    trains = (first != TEST) & (second != TEST)
    both = (first == VALIDATION) & (second == VALIDATION)
    assert np.mean(both[trains]) == pytest.approx(0.01, abs=0.025)
    assert np.mean(second[trains] == VALIDATION) == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(
    ("split", "groups", "message"),
    [
        (Split(), ["a"], "there are 1 groups .*name a `source.group`"),
        (Split(), ["a", "b", "c", "d"], "there are 4 groups .*by: folds, of: group, fold: 0"),
        (Split(by="path", test=("x",)), ["a", "b"], "leaves test without rows|leaves validation"),
    ],
)
def test_an_empty_split_is_refused_with_a_remedy(
    split: Split, groups: list[str], message: str
) -> None:
    """A score over no rows would be reported, or a traceback shown."""
    rows = table(groups)
    codes = splits.assign(split, rows)
    with pytest.raises(ConfigError, match=message):
        split_checks.check_filled(split, codes, row_keys(rows["group"]), task="classify")


def test_the_share_that_is_advised_works() -> None:
    """The remedy in the message would be refused in its turn."""
    groups = ["a", "b", "c", "d"]
    rows, keys = table(groups), row_keys(pa.array(groups))
    split = Split(by="folds", of="group", fold=0, validation=0.01)
    codes = splits.leave_out(split, splits.assign(split, rows), keys, groups)
    with pytest.raises(ConfigError, match=r"validation: 0\.\d") as caught:
        split_checks.check_filled(split, codes, keys, task="classify")
    share = float(str(caught.value).partition("validation: ")[2].split("`")[0])
    split = Split(by="folds", of="group", fold=0, validation=share)
    codes = splits.leave_out(split, splits.assign(split, rows), keys, groups)
    split_checks.check_filled(split, codes, keys, task="classify")


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=5),
    st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.0, 0.5), (0.34, 0.33, 0.33)]),
    st.integers(0, 20),
)
def test_time_cuts_in_order_with_gaps(
    lengths: list[int], shares: tuple[float, float, float], gap: int
) -> None:
    """The future would train on what tests it, or a gap be missing."""
    split = Split(by="time", gap=gap, **dict(zip(SPLITS, shares, strict=True)))
    starts, sizes = splits.time_spans(np.array(lengths), split)
    for row, length in enumerate(lengths):
        spans = [(a, a + n) for a, n in zip(starts[row], sizes[row], strict=True) if n]
        for (_, end), (start, _) in pairwise(spans):
            assert start - end >= gap
        assert all(0 <= start < end <= length for start, end in spans)


@given(st.integers(2, 12), st.integers(0, 30))
def test_the_split_that_is_advised_for_few_groups_works(count: int, seed: int) -> None:
    """A person would follow the message and be refused again."""
    groups = [f"s{n}" for n in range(count)]
    rows, keys = table(groups), row_keys(pa.array(groups))
    split = Split(seed=seed)
    try:
        split_checks.check_filled(split, splits.assign(split, rows), keys, task="regress")
    except ConfigError as error:
        advice = yaml.safe_load(str(error).partition("use ")[2].partition("}")[0] + "}")
        for fold in range(count):
            advised = Split(**{**advice, "fold": fold})
            codes = splits.assign(advised, rows)
            codes = splits.leave_out(advised, codes, keys, groups)
            split_checks.check_filled(advised, codes, keys, task="regress")


def test_folds_without_a_group_are_refused_at_the_first() -> None:
    """Running all folds would fail after hours, in the fold that nothing was hashed to."""
    groups = [f"subj{n:02d}" for n in range(12)]
    rows, keys = table(groups), row_keys(pa.array(groups))
    with pytest.raises(ConfigError, match=r"9 folds leave fold .* without rows.*of: group") as seen:
        split_checks.check_folds(Split(by="folds", count=9, validation=0.4), keys)
    fewer = int(str(seen.value).rpartition("count: ")[2])
    share = float(str(seen.value).partition("validation: ")[2].partition("}")[0])
    for fold in range(fewer):
        split = Split(by="folds", count=fewer, fold=fold, validation=0.4)
        split_checks.check_folds(split, keys)
        codes = splits.assign(split, rows)
        split_checks.check_filled(split, codes, keys, task="regress")
    for fold in range(12):
        split = Split(by="folds", of="group", fold=fold, validation=share)
        codes = splits.leave_out(split, splits.assign(split, rows), keys, groups)
        split_checks.check_filled(split, codes, keys, task="regress")


def test_tables_are_read_with_any_usual_separator(tmp_path: Path) -> None:
    """A table from a German spreadsheet would have one column called `who;x`."""
    split = Split(by="table", table="splits.csv", key="who", column="x", test=("test",))
    for text in ("who;x\nn0;test\n", "who,  x\nn0, test\n", "who\tx\nn0\ttest\n"):
        (tmp_path / "splits.csv").write_text(text)
        assert assigned(split, table(["a"]), tmp_path) == [TEST]


def test_duplicates_that_empty_a_split_are_named() -> None:
    """The message would speak of enough groups, and not say why none is left."""
    keys = row_keys(pa.array(["a", "b", "c"]))
    codes = np.array([TRAIN, VALIDATION, LEFT_OUT], dtype=np.int8)
    with pytest.raises(ConfigError, match=r"leaves test without rows.*, 1 of them left out as dup"):
        split_checks.check_filled(Split(), codes, keys, task="classify", left_out=1)


def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """The first of two lines would decide whether a record trains or tests."""
    (tmp_path / "splits.csv").write_text("who,x\nn0,train\nn0,test\nn1,test\nn1,test\n")
    split = Split(by="table", table="splits.csv", key="who", column="x", test=("test",))
    with pytest.raises(ConfigError, match="'n0' has several values: 'train', 'test'; keep one"):
        assigned(split, table(["a", "b"]), tmp_path)


def test_lines_without_a_key_contradict_nothing(tmp_path: Path) -> None:
    """A spreadsheet's empty cells would be told as a record with two values."""
    (tmp_path / "splits.csv").write_text("who,x\n,train\n,test\nn0,test\n")
    split = Split(by="table", table="splits.csv", key="who", column="x", test=("test",))
    assert assigned(split, table(["a"]), tmp_path) == [TEST]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "x"}, "split.column has a meaning only with by: column or table"),
        ({"pattern": "(x)"}, "split.pattern has a meaning only with by: path"),
        ({"count": 3}, "split.count has a meaning only with by: folds"),
        ({"of": "group"}, "split.of has a meaning only with by: folds"),
        ({"by": "time", "seed": 1}, "split.seed has a meaning only with"),
        ({"gap": 3}, "split.gap has a meaning only with by: time"),
        ({"by": "path", "test": ("a",), "pattern": "a"}, "split.pattern needs a group"),
        ({"by": "path", "test": ("a",), "pattern": "(?=a)(a)"}, "look-around"),
        ({"by": "path", "test": ("a",), "pattern": r"(a)\1"}, "reference to a group"),
        ({"by": "folds", "count": 3, "validation": 1.5}, r"split.validation .* in \[0, 1\)"),
        ({"by": "folds", "count": 3, "validation": -1}, r"split.validation .* in \[0, 1\)"),
        ({"train": 0.0, "validation": 0.5, "test": 0.5}, "split.train must be > 0"),
        ({"train": float("nan"), "validation": 0.5, "test": 0.5}, "must be 1"),
    ],
)
def test_options_without_meaning_are_refused(options: dict[str, Any], message: str) -> None:
    """A key would be ignored, and a person believe that it worked."""
    with pytest.raises(ConfigError, match=message):
        Split(**options)


def test_patterns_with_escaped_brackets_are_taken() -> None:
    """A right pattern would be refused as look-around."""
    for pattern in (r"\(?=(a)", r"(?P<v>a)", r"(?:a|b)(c)"):
        Split(by="path", pattern=pattern, test=("a",))


def test_tokens_and_buckets_without_meaning_are_refused() -> None:
    """Options would be ignored, or `true` be one bucket."""
    with pytest.raises(ConfigError, match=r"tokens.lowercase has a meaning only"):
        resolve_tokens("dna", Tokens(lowercase=False))
    with pytest.raises(ConfigError, match=r"tokens.max_vocab has no meaning"):
        resolve_tokens("eeg", Tokens(max_vocab=5))
    with pytest.raises(ConfigError, match=r"prepare.buckets must be a number"):
        Prepare(buckets=True)


def test_leaving_each_group_out_is_checked_before_the_first_fold() -> None:
    """A fold without validation would be met after hours of the folds before it."""
    groups = row_keys(pa.array([f"s{n}" for n in range(6)]))
    split = Split(by="folds", of="group")
    with pytest.raises(
        ConfigError, match=r"6 groups are left out in turn.*`validation: 0"
    ) as error:
        split_checks.check_left_out(split, groups)
    share = float(re.findall(r"validation: ([\d.]+)`", str(error.value))[0])
    split_checks.check_left_out(replace(split, validation=share), groups)
    split_checks.check_left_out(replace(split, validation=0), groups)
    for held in range(6):
        rest = np.delete(groups, held)
        codes = splits.hash_validation(
            replace(split, validation=share), np.full(5, TRAIN, dtype=np.int8), rest
        )
        assert {TRAIN, VALIDATION} <= set(codes.tolist())
