"""Every kernel on ragged rows does what a plain loop does."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqprep import kernels, marks, ragged
from seqprep.ragged import from_lists, to_lists
from seqprep.views import apply_view, view_lengths

ROWS = st.lists(st.lists(st.integers(0, 5), max_size=12), min_size=1, max_size=8)


def keys_of(rows: list[Any]) -> ragged.Keys:
    return ragged.row_keys(pa.array([f"r{number}" for number in range(len(rows))]))


def viewed(rows: list[list[int]], step: dict[str, Any], *, seed: int = 0, view: int = 0) -> Any:
    return to_lists(apply_view(from_lists(rows), step, keys_of(rows), seed=seed, view=view))


@given(ROWS, st.integers(1, 9))
def test_truncation_equals_the_slice(rows: list[list[int]], n: int) -> None:
    """Truncation would keep the wrong end: the most recent part is the last n steps (mistake 7)."""
    step = {"name": "truncate", "position": 0, "length": n}
    assert viewed(rows, {**step, "keep": "head"}) == [row[:n] for row in rows]
    assert viewed(rows, {**step, "keep": "tail"}) == [row[-n:] for row in rows]
    middle = [row[max(len(row) - n, 0) // 2 :][:n] for row in rows]
    assert viewed(rows, {**step, "keep": "middle"}) == middle
    both = [
        row if len(row) <= n else row[: (n + 1) // 2] + row[len(row) - n // 2 :] for row in rows
    ]
    assert viewed(rows, {**step, "keep": "head_tail"}) == both


@given(ROWS, st.integers(1, 9), st.integers(0, 99))
def test_random_truncation_is_a_contiguous_part(rows: list[list[int]], n: int, seed: int) -> None:
    """A random crop would tear steps apart or have another length than asked for."""
    numbered = [list(range(len(row))) for row in rows]
    step = {"name": "truncate", "position": 0, "length": n, "keep": "random"}
    for row, part in zip(numbered, viewed(numbered, step, seed=seed), strict=True):
        assert len(part) == min(n, len(row))
        assert part == list(range(part[0], part[0] + len(part))) if part else not row


@given(ROWS, st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_forbidden_overlap_gives_disjoint_pieces(
    rows: list[list[int]], pieces: int, piece: int, seed: int
) -> None:
    """Pieces would repeat steps although overlap is forbidden, or short records be filled up."""
    numbered = [list(range(len(row))) for row in rows]
    step = {
        "name": "subsequences",
        "position": 0,
        "pieces": pieces,
        "piece": piece,
        "overlap": "forbid",
    }
    for row, part in zip(numbered, viewed(numbered, step, seed=seed), strict=True):
        if len(row) <= pieces * piece:
            assert part == row
            continue
        assert len(part) == pieces * piece
        assert part == sorted(set(part))
        starts = part[::piece]
        assert part == [start + i for start in starts for i in range(piece)]


@given(ROWS, st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_allowed_overlap_keeps_order_and_never_fills_up(
    rows: list[list[int]], pieces: int, piece: int, seed: int
) -> None:
    """A record shorter than one piece would be repeated, or pieces stand out of order."""
    numbered = [list(range(len(row))) for row in rows]
    step = {
        "name": "subsequences",
        "position": 0,
        "pieces": pieces,
        "piece": piece,
        "overlap": "allow",
    }
    for row, part in zip(numbered, viewed(numbered, step, seed=seed), strict=True):
        if len(row) <= piece:
            assert part == row
            continue
        starts = part[::piece]
        assert starts == sorted(starts)
        assert part == [start + i for start in starts for i in range(piece)]


@given(ROWS, st.integers(1, 9), st.integers(0, 99))
def test_random_removal_keeps_the_order_and_the_exact_length(
    rows: list[list[int]], n: int, seed: int
) -> None:
    """Removal would shuffle steps or miss the length that was asked for."""
    numbered = [list(range(len(row))) for row in rows]
    step = {"name": "remove_steps", "position": 0, "length": n}
    for row, part in zip(numbered, viewed(numbered, step, seed=seed), strict=True):
        assert len(part) == min(n, len(row))
        assert part == sorted(set(part))


@given(ROWS, st.integers(1, 9), st.integers(1, 3), st.integers(0, 99))
def test_a_shift_takes_a_multiple_from_the_head_only(
    rows: list[list[int]], most: int, stride: int, seed: int
) -> None:
    """A shift would cut the signal's end, everything, or the reading frame."""
    numbered = [list(range(len(row))) for row in rows]
    step = {"name": "shift", "position": 0, "max": most, "stride": stride}
    for row, part in zip(numbered, viewed(numbered, step, seed=seed), strict=True):
        dropped = len(row) - len(part)
        assert part == row[dropped:]
        assert 0 <= dropped <= most and dropped % stride == 0
        assert part or not row


@given(ROWS, st.integers(0, 99))
def test_a_reverse_complement_turns_whole_rows(rows: list[list[int]], seed: int) -> None:
    """A view of the other strand would complement without reversing, or part of a row."""
    complement = [3, 2, 1, 0, 4, 5]
    step = {"name": "reverse_complement", "position": 0, "p": 0.5, "complement": complement}
    for row, part in zip(rows, viewed(rows, step, seed=seed), strict=True):
        assert part in (row, [complement[value] for value in reversed(row)])


STEPS: list[dict[str, Any]] = [
    {"name": "truncate", "position": 2, "length": 4, "keep": "random"},
    {"name": "subsequences", "position": 1, "pieces": 2, "piece": 2, "overlap": "forbid"},
    {"name": "subsequences", "position": 1, "pieces": 2, "piece": 2, "overlap": "allow"},
    {"name": "remove_steps", "position": 0, "length": 3},
    {"name": "shift", "position": 0, "max": 3, "stride": 1},
    {"name": "reverse_complement", "position": 0, "p": 0.5, "complement": list(range(50))},
]
DRAWS = 256
"""Rows of a test that compares draws: two apart agree in half of them at most (of strands)."""


def step_id(step: dict[str, Any]) -> str:
    """What pytest calls a step."""
    return " ".join(str(step[key]) for key in ("name", "overlap") if key in step)


@pytest.mark.parametrize("step", STEPS, ids=step_id)
@given(rows=ROWS, seed=st.integers(0, 9), view=st.integers(0, 9))
def test_lengths_are_known_before_rows_are_touched(
    step: dict[str, Any], rows: list[list[int]], seed: int, view: int
) -> None:
    """Batches are planned by lengths; a plan that differs from the rows would break them."""
    lengths = np.array([len(row) for row in rows])
    planned = view_lengths(lengths, step, keys_of(rows), seed=seed, view=view)
    assert planned.tolist() == [len(row) for row in viewed(rows, step, seed=seed, view=view)]


@pytest.mark.parametrize("step", STEPS, ids=step_id)
@given(rows=ROWS, seed=st.integers(0, 9))
def test_a_row_does_not_depend_on_its_neighbours(
    step: dict[str, Any], rows: list[list[int]], seed: int
) -> None:
    """A view would change with the order of rows, the chunk or the worker."""
    keys = keys_of(rows)
    together = to_lists(apply_view(from_lists(rows), step, keys, seed=seed, view=3))
    for number, row in enumerate(rows):
        alone = apply_view(from_lists([row]), step, keys[number : number + 1], seed=seed, view=3)
        assert to_lists(alone) == [together[number]]


@pytest.mark.parametrize("step", STEPS, ids=step_id)
def test_another_record_view_seed_or_place_draws_anew(step: dict[str, Any]) -> None:
    """Equal records would lose the same steps, all views be one, or the seed be ignored."""
    rows = [list(range(40)) for _ in range(DRAWS)]
    views = [viewed(rows, step, view=view) for view in range(4)]
    pairs = {
        "record": (views[0], views[0][1:] + views[0][:1]),
        "seed": (views[0], viewed(rows, step, seed=1)),
        "place": (views[0], viewed(rows, {**step, "position": 5})),
        **{f"view {a} and {b}": (views[a], views[b]) for a, b in combinations(range(4), 2)},
    }
    for what, (first, second) in pairs.items():
        same = sum(a == b for a, b in zip(first, second, strict=True))
        assert same < 0.65 * DRAWS, f"another {what}: {same} of {DRAWS} rows drew the same"


@pytest.mark.parametrize("step", STEPS, ids=step_id)
def test_draws_repeat_in_any_order_of_rows(step: dict[str, Any]) -> None:
    """A rerun, another order of records or a worker of its own would draw other views."""
    rows = [list(range(n % 50)) for n in range(DRAWS)]
    order = np.random.default_rng(0).permutation(DRAWS)
    first = viewed(rows, step, seed=1, view=3)
    assert viewed(rows, step, seed=1, view=3) == first
    shuffled = ragged.take(from_lists(rows), order)
    found = to_lists(apply_view(shuffled, step, keys_of(rows)[order], seed=1, view=3))
    assert found == [first[number] for number in order]


@pytest.mark.parametrize("step", STEPS, ids=step_id)
def test_a_view_for_each_row_equals_that_view_for_all(step: dict[str, Any]) -> None:
    """Stored views (a number a row) and drawn ones (one number) would not be the same."""
    rows = [list(range(40)) for _ in range(DRAWS)]
    views = np.arange(DRAWS) % 3
    mixed = apply_view(from_lists(rows), step, keys_of(rows), seed=0, view=views)
    singles = [viewed(rows, step, view=view) for view in range(3)]
    assert to_lists(mixed) == [singles[view][n] for n, view in enumerate(views)]


STARTS = combinations_with_replacement(range(6), 2)
OUTCOMES: list[dict[tuple[int, ...], int]] = [
    {tuple(range(a, a + 4)): 1 for a in range(4)},
    {(a, a + 1, b, b + 1): 1 for a, b in combinations(range(6), 2) if b - a >= 2},
    {(a, a + 1, b, b + 1): 1 + (a != b) for a, b in STARTS},
    dict.fromkeys(combinations(range(7), 3), 1),
    {tuple(range(a, 7)): 1 for a in range(4)},
    {tuple(range(7)): 1, tuple(range(6, -1, -1)): 1},
]
"""What each of STEPS makes of 7 steps, and how often beside the others."""


@pytest.mark.parametrize(
    ("step", "shares"), list(zip(STEPS, OUTCOMES, strict=True)), ids=map(step_id, STEPS)
)
def test_every_outcome_is_as_likely_as_it_should_be(
    step: dict[str, Any], shares: dict[tuple[int, ...], int]
) -> None:
    """Some places would be kept more often than others.

    Sorting independent draws of disjoint pieces favours placements without neighbours; keys that
    are alike for all records remove the same places of each.
    """
    rows = 30_000
    steps = ragged.Ragged(np.tile(np.arange(7), rows), np.arange(rows + 1) * 7)
    keys = ragged.mix(np.arange(rows, dtype=np.uint64), 1)
    found = Counter(map(tuple, to_lists(apply_view(steps, step, keys, seed=0, view=0))))
    assert found.keys() == shares.keys()
    expected = {kept: rows * share / sum(shares.values()) for kept, share in shares.items()}
    chi_squared = sum((found[kept] - many) ** 2 / many for kept, many in expected.items())
    assert chi_squared < stats.chi2.isf(0.0005, len(shares) - 1), found


@given(ROWS, st.integers(1, 9), st.integers(0, 99))
def test_long_rows_are_worked_on_in_blocks_with_the_same_result(
    rows: list[list[int]], n: int, seed: int
) -> None:
    """A chromosome would lose other steps than a short row by the same draws."""
    removal = {"name": "remove_steps", "position": 0, "length": n}
    strand = {**STEPS[-1], "complement": [3, 2, 1, 0, 4, 5]}
    numbered = [list(range(len(row))) for row in rows]
    table = from_lists(rows)

    def results() -> list[Any]:
        found = [viewed(numbered, removal, seed=seed), viewed(rows, strand, seed=seed)]
        firsts = ragged.keep(table, ragged.first_marks(table.values, table.offsets))
        return [*found, to_lists(firsts)]

    whole = results()
    for block in (1, 2, 5):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(marks, "BLOCK", block)
            assert results() == whole


@given(ROWS)
def test_first_occurrences_equal_a_set(rows: list[list[int]]) -> None:
    """`first_only` would keep a repeat, or lose a token that another row holds."""
    table = from_lists(rows)
    kept = ragged.keep(table, ragged.first_marks(table.values, table.offsets))
    assert to_lists(kept) == [list(dict.fromkeys(row)) for row in rows]


@given(ROWS)
def test_empty_rows_get_one_step(rows: list[list[int]]) -> None:
    """A record left without steps would vanish or shift its neighbours."""
    filled = ragged.fill_empty(from_lists(rows), 9)
    assert to_lists(filled) == [row or [9] for row in rows]


@given(ROWS, st.data())
def test_take_equals_a_list_of_rows(rows: list[list[int]], data: st.DataObject) -> None:
    """Rows would be mixed when they are reordered or repeated."""
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    taken = ragged.take(from_lists(rows), np.array(wanted, dtype=np.int64))
    assert to_lists(taken) == [rows[number] for number in wanted]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_keys_follow_from_the_string_alone(ids: list[str]) -> None:
    """A record's draws would change with the chunk it is read in."""
    together = ragged.row_keys(pa.array(ids, pa.string()))
    alone = [int(ragged.row_keys(pa.array([id_]))[0]) for id_ in ids]
    assert together.tolist() == alone
    sliced = ragged.row_keys(pa.array(["x", *ids], pa.string()).slice(1))
    assert sliced.tolist() == alone


@given(ROWS, st.data())
def test_cut_equals_slices_in_order(rows: list[list[int]], data: st.DataObject) -> None:
    """Spans that overlap, stand out of order or are empty take another way than the common ones."""
    pieces = data.draw(st.integers(1, 3))
    drawn = [
        [sorted(data.draw(st.tuples(*[st.integers(0, len(row))] * 2))) for _ in range(pieces)]
        for row in rows
    ]
    starts = np.array([[start for start, _ in row] for row in drawn], dtype=np.int64)
    sizes = np.array([[stop - start for start, stop in row] for row in drawn], dtype=np.int64)
    expected = [
        [step for start, stop in spans for step in row[start:stop]]
        for row, spans in zip(rows, drawn, strict=True)
    ]
    assert to_lists(ragged.cut(from_lists(rows), starts, sizes)) == expected


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.float32, np.float64])
def test_rows_and_spans_of_any_width(shape: tuple[int, ...], kind: type[np.generic]) -> None:
    """Rows are copied as bytes: a wrong width would mix steps or channels."""
    flat = np.random.default_rng(0).normal(size=(12, *shape)) * 50
    rows = ragged.Ragged(flat.astype(kind)[1:], np.array([0, 4, 4, 11]))
    taken = ragged.take(rows, np.array([2, 0, 1, 2]))
    np.testing.assert_array_equal(
        taken.values, rows.values[[*range(4, 11), *range(4), *range(4, 11)]]
    )
    cut = ragged.cut(rows, np.array([[1], [0], [2]]), np.array([[2], [0], [4]]))
    np.testing.assert_array_equal(cut.values, rows.values[[1, 2, 6, 7, 8, 9]])
    assert cut.values.dtype == kind


@given(st.data())
def test_look_up_equals_indexing(data: st.DataObject) -> None:
    """Tables of bytes are looked up another way than others."""
    kind = data.draw(st.sampled_from([np.int8, np.int16, np.int32]))
    table = np.array(data.draw(st.lists(st.integers(-9, 99), min_size=1, max_size=128)), dtype=kind)
    places = np.array(
        data.draw(st.lists(st.integers(0, len(table) - 1))),
        dtype=data.draw(st.sampled_from([np.int8, np.int32])),
    )
    found = kernels.look_up(table, places)
    assert found.tolist() == table[places].tolist()
    assert found.dtype == kind


@given(ROWS, st.data(), st.integers(-100, 9))
def test_groups_are_padded_to_their_own_longest(
    rows: list[list[int]], data: st.DataObject, fill: int
) -> None:
    """A batch would hold a neighbour's steps, or be as long as the longest of all."""
    inner = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    edges = [0, *inner, len(rows)]
    groups = ragged.pad_groups(from_lists(rows), np.array(edges), fill=fill)
    assert len(groups) == len(edges) - 1
    for dense, start, stop in zip(groups, edges, edges[1:], strict=False):
        longest = max(map(len, rows[start:stop]), default=0)
        assert dense.shape == (stop - start, longest)
        assert dense.tolist() == [row + [fill] * (longest - len(row)) for row in rows[start:stop]]


def test_padding_marks_nothing_by_value() -> None:
    """A real step that is zero would be taken for padding (mistake 2); lengths are the mask."""
    rows = from_lists([[0, 0, 3], [0]])
    assert ragged.pad_groups(rows, np.array([0, 2]))[0].tolist() == [[0, 0, 3], [0, 0, 0]]
    assert rows.lengths.tolist() == [3, 1]


@given(ROWS, st.lists(st.integers(0, 7), max_size=20), st.integers(1, 40), st.sampled_from([1, 3]))
def test_rows_copied_in_blocks_equal_the_rows(
    rows: list[list[int]], named: list[int], block: int, features: int
) -> None:
    """Rows would be torn where one block ends, or empty ones lost."""
    named = [number % len(rows) for number in named]
    steps = np.repeat(from_lists(rows).values[:, None], features, axis=1).astype(np.int16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_COPIED_BYTES", block)
        copied = kernels.copy_rows(steps, from_lists(rows).offsets, np.array(named, np.int64))
    assert copied.tolist() == [[step] * features for number in named for step in rows[number]]


@pytest.mark.parametrize("kind", [np.int8, np.int32])
def test_looking_up_in_place_equals_an_index(kind: type[np.generic]) -> None:
    """Ids would be looked up twice, or those of another block."""
    table = np.array([3, 1, 0, 2], dtype=kind)
    places = np.arange(2**18 + 5).astype(kind) & 3
    expected = table[places]
    assert (kernels.look_up(table, places) == expected).all()
    assert kernels.look_up(table, places, out=places) is places
    assert (places == expected).all()


@given(ROWS, st.data(), st.integers(-100, 9), st.sampled_from([1, 3]))
def test_named_rows_are_padded_as_if_they_lay_in_that_order(
    rows: list[list[int]], data: st.DataObject, fill: int, features: int
) -> None:
    """What lies behind a row, its neighbour or the end of all, would stand in its padding."""
    places = data.draw(st.permutations(range(len(rows)))) if rows else []
    order = np.array(places, np.int64)
    inner = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    edges = np.array([0, *inner, len(rows)])
    some = from_lists(rows)
    some = ragged.Ragged(np.repeat(some.values[:, None], features, axis=1), some.offsets)
    found = ragged.pad_groups(some, edges, rows=order, fill=fill)
    plain = ragged.pad_groups(ragged.take(some, order), edges, fill=fill)
    assert [dense.tolist() for dense in found] == [dense.tolist() for dense in plain]


def test_a_little_padding_is_written_over_what_was_copied_with_a_row() -> None:
    """Of twenty rows of 30 steps one has 28: two steps of its neighbour would stay, or none be."""
    for short in (7, 19):  # in the middle of the steps, and where they end
        rows = [[100 * n + step for step in range(28 if n == short else 30)] for n in range(20)]
        order = np.arange(20)[::-1].copy()
        some = from_lists(rows)
        dense = ragged.pad_groups(some, np.array([0, 20]), rows=order, fill=-1)[0].tolist()
        assert dense == [rows[n] + [-1] * (30 - len(rows[n])) for n in order]


@given(ROWS, st.data())
def test_spans_are_copied_in_any_order_and_over_one_another(
    rows: list[list[int]], data: st.DataObject
) -> None:
    """Spans that overlap or go back would be copied from another place, or refused."""
    steps = from_lists(rows).values
    span = st.tuples(st.integers(0, len(steps)), st.integers(0, len(steps)))
    spans = [(min(pair), max(pair)) for pair in data.draw(st.lists(span, max_size=9))]
    starts = np.array([start for start, _ in spans], np.int64)
    sizes = np.array([stop - start for start, stop in spans], np.int64)
    wanted = [step for start, stop in spans for step in steps[start:stop].tolist()]
    assert kernels.copy_spans(steps, starts, sizes).tolist() == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_COPIED_BYTES", 16)  # in blocks, as large ones are
        assert kernels.copy_spans(steps, starts, sizes).tolist() == wanted


def test_a_span_behind_the_end_is_refused() -> None:
    """Arrow would copy memory that is not ours."""
    with pytest.raises(IndexError, match="step 4 of 3"):
        kernels.copy_spans(np.arange(3), np.array([0, 2]), np.array([1, 2]))
