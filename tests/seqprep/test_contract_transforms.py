"""What every entry of TRANSFORMS must do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.frequency import Frequency
from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Symbols
from seqprep.ragged import from_lists, to_lists
from seqprep.recipe import Prepare, Tokens
from seqprep.splits import TEST, TRAIN
from seqprep.token_table import TokenTable
from seqprep.transforms import TRANSFORMS, build_steps, check_chain, name_of
from seqprep.transforms.options import ViewOptions
from seqprep.vocabulary import build_vocabulary, complement_ranks, decide

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "band_power": [
        {"bands": {"slow": [1, 3], "fast": [3, 4]}, "window_s": 1, "stride_s": 0.5},
        {"bands": {"slow": [1, 3]}, "window_s": 0.5, "stride_s": 0.5, "relative": True},
    ],
    "bandpass": [
        {"low_hz": 1, "high_hz": 3},
        {"high_hz": 2, "order": 2, "phase": "causal"},
        {"low_hz": 0.5},
    ],
    "block_means": [{"block": 2}],
    "differences": [{"n": 2}, {"n": 3, "first": "drop"}],
    "hash": [{"block": 2, "features": 8}, {"n": 3, "block": 4, "features": 5}],
    "idf": [{"reference": "general.parquet", "tau": 1.0}],
    "notch": [{"at_hz": 2}, {"at_hz": 1, "harmonics": 3, "phase": "causal"}],
    "one_hot": [{}],
    "paa": [{"segments": 3}, {"block": 2}],
    "project": [{"window": 3, "stride": 2, "features": 4}, {"window": 2, "features": 3}],
    "remove_steps": [{"length": 3}, {"length": 3, "views": 2}],
    "resample": [{"to_hz": 3}, {"to_hz": 20}],
    "reverse_complement": [{"p": 0.5}, {"views": 1}],
    "sax": [{"block": 2, "alphabet": 3}, {"block": 1}],
    "shift": [{"max": 2}, {"max": 2, "views": 2, "original": "drop"}],
    "spectrum": [
        {"window_s": 1, "stride_s": 0.5, "max_hz": 3},
        {"window_s": 0.25, "stride_s": 0.25, "log": False, "taper": "boxcar"},
    ],
    "subsequences": [
        {"pieces": 2, "piece": 2},
        {"pieces": 2, "piece": 2, "overlap": "allow", "views": 2},
    ],
    "summarize": [{"drop_top": 1, "min_count": 2}, {"first_only": True}, {"max_vocab": 2}],
    "truncate": [{"length": 3, "keep": "tail"}, {"length": 3, "keep": "random", "views": 2}],
    "usefulness": [
        {"keep": 2},
        {"by": "chi_squared", "keep": 1},
        {"by": "removal", "keep": 1, "scores": "general.parquet"},
    ],
    "windows": [{"length": 3, "stride": 2}],
}
CASES = [(name, options) for name, every in OPTIONS.items() for options in every]
DRAWING: dict[str, list[dict[str, Any]]] = {
    "remove_steps": [{"length": 9}],
    "reverse_complement": [{"p": 0.5}],
    "shift": [{"max": 5}],
    "subsequences": [{"pieces": 2, "piece": 3, "overlap": way} for way in ("forbid", "allow")],
    "truncate": [{"length": 9, "keep": "random"}],
}
"""Techniques that draw for each row, so that two draws agree in half of the rows at most."""
SELECTING = [case for case in CASES if TRANSFORMS[case[0]].kind in ("selects", "views", "cuts")]
FREQUENCY = Frequency(
    tokens=pa.array(["AC", "GT", "AA", "CG"]),
    counts=np.array([9, 5, 2, 1]),
    records=np.array([4, 3, 2, 1]),
    num_records=4,
    by_label=np.array([[2, 2], [2, 1], [2, 0], [0, 1]]),
    label_totals=np.array([2, 2]),
)
TABLES = {
    "general.parquet": TokenTable(
        tokens=pa.array(["AC", "GT"]),
        columns={"records": np.array([90, 1]), "drop": np.array([0.1, 0.3])},
        num_records=100,
        sha256="",
    )
}
FORM = Form(unit="kmer")
VALUES = Form(unit="value", channels=("left", "right"), rate_hz=8.0)
ROWS = [[0, 1, 2, 3, 0, 1], [], [2], [0, 3, 3, 1, 2, 2, 1]]


def chunk_of(rows: list[list[int]], *, split: int = TRAIN) -> Chunk:
    """Rows whose per-step targets are a hundred times the number of the row plus the place."""
    steps = from_lists(rows)
    targets = from_lists([[100 * n + i for i in range(len(row))] for n, row in enumerate(rows)])
    zeros = np.zeros(len(rows), np.int64)
    return Chunk(
        steps=steps,
        targets=targets,
        keys=ragged.row_keys(pa.array([f"r{n}" for n in range(len(rows))])),
        rows=np.arange(len(rows)),
        splits=np.full(len(rows), split, np.int8),
        views=zeros,
        windows=zeros,
    )


def with_values(chunk: Chunk) -> Chunk:
    """The same rows with two channels instead of tokens."""
    tokens = chunk.steps.values
    values = np.stack([tokens, tokens + 10], axis=1).astype(np.float32)
    return replace(chunk, steps=ragged.Ragged(values, chunk.steps.offsets))


def run(name: str, options: dict[str, Any], chunk: Chunk, *, seed: int = 0) -> Chunk:
    """One technique over rows of tokens, or of values where it takes no tokens."""
    steps = build_steps(Prepare(steps=({name: options},)))
    if "kmer" not in TRANSFORMS[name].units:
        chunk = with_values(chunk)
    form = FORM if chunk.steps.values.ndim == 1 else VALUES
    chain = Chain.of(steps, seed=seed, form=form)
    return chain.run(
        chunk,
        (*chain.early, *chain.late),
        vocabulary=build_vocabulary(FREQUENCY, steps, decided=decide(FREQUENCY, steps, TABLES)),
        complement=complement_ranks(FREQUENCY),
        strings=FREQUENCY.tokens,
    )


def described(chunk: Chunk) -> list[tuple[Any, ...]]:
    assert chunk.targets is not None
    numbers = zip(chunk.rows.tolist(), chunk.views.tolist(), chunk.windows.tolist(), strict=True)
    rows = zip(to_lists(chunk.steps), to_lists(chunk.targets), strict=True)
    return [(*a, tuple(b), tuple(c)) for a, (b, c) in zip(numbers, rows, strict=True)]


def test_every_transform_has_a_case() -> None:
    """A technique would be added without taking part in the contract."""
    assert OPTIONS.keys() == TRANSFORMS.keys()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_schema_and_records_are_kept(name: str, options: dict[str, Any]) -> None:
    """Keys, splits or targets would fall away, or a row lose its record."""
    result = run(name, options, chunk_of(ROWS))
    assert set(result.rows.tolist()) == set(range(len(ROWS)))
    assert result.targets is not None
    assert result.lengths.tolist() == result.targets.lengths.tolist()
    assert result.keys.tolist() == chunk_of(ROWS).keys[result.rows].tolist()
    if TRANSFORMS[name].kind in ("merges", "maps"):
        assert result.steps.values.dtype == (np.int32 if name == "sax" else np.float32)
    else:
        assert result.steps.values.dtype == np.int64


@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case not in SELECTING], ids=str
)
def test_the_form_says_how_wide_the_values_are(name: str, options: dict[str, Any]) -> None:
    """The names of channels in the snapshot would not fit the rows that a model reads."""
    (step,) = build_steps(Prepare(steps=({name: options},)))
    tokens = "kmer" in TRANSFORMS[name].units
    form = step.outcome(
        replace(FORM, vocabulary=tuple(FREQUENCY.tokens.to_pylist())) if tokens else VALUES
    )
    result = run(name, options, chunk_of(ROWS))
    if form.unit == "value":
        assert result.steps.values.shape[1] == len(form.channels) == len(set(form.channels))
        assert np.isfinite(result.steps.values).all()
    else:
        assert isinstance(step, Symbols)
        assert result.steps.values.max() < len(step.symbols(VALUES))
    assert form.unit == step.gives("kmer" if tokens else "value")


@pytest.mark.parametrize(("name", "options"), CASES)
def test_records_are_never_mixed(name: str, options: dict[str, Any]) -> None:
    """A step of one record would land in another; its target says where it came from."""
    result = run(name, options, chunk_of(ROWS))
    assert result.targets is not None
    for row, targets in zip(result.rows.tolist(), to_lists(result.targets), strict=True):
        assert all(target // 100 == row for target in targets)


@pytest.mark.parametrize(("name", "options"), SELECTING)
def test_targets_follow_their_steps(name: str, options: dict[str, Any]) -> None:
    """Labels would stay behind while steps move (mistake 5)."""
    result = run(name, options, chunk_of(ROWS))
    complement = complement_ranks(FREQUENCY)
    assert result.targets is not None
    for row, steps, targets in zip(
        result.rows.tolist(), to_lists(result.steps), to_lists(result.targets), strict=True
    ):
        came_from = [ROWS[row][target % 100] for target in targets]
        turned = [int(complement[value]) for value in came_from]
        capped = [value if value < 2 else len(FREQUENCY) for value in came_from]
        assert steps in (came_from, turned, capped)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_order_is_kept(name: str, options: dict[str, Any]) -> None:
    """Rows would come out in another order, or steps of a row be shuffled or turned round.

    The other strand alone is read backwards, and only as a view; of pieces that may overlap, each
    goes forward, and none begins before the one in front of it.
    """
    result = run(name, options, chunk_of(ROWS))
    assert result.rows.tolist() == sorted(result.rows.tolist())
    assert result.targets is not None
    for view, targets in zip(result.views.tolist(), to_lists(result.targets), strict=True):
        forward = sorted(targets)
        if name == "reverse_complement" and (view or not options.get("views")):
            assert targets in (forward, forward[::-1])
        elif options.get("overlap") == "allow" and view and len(targets) > options["piece"]:
            starts = targets[:: options["piece"]]
            assert starts == sorted(starts)
            assert targets == [start + i for start in starts for i in range(options["piece"])]
        else:
            assert targets == forward


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_seed_gives_the_same_bytes(name: str, options: dict[str, Any]) -> None:
    """A rerun would give other rows."""
    first, second = (run(name, options, chunk_of(ROWS), seed=5) for _ in range(2))
    assert first.steps.values.tobytes() == second.steps.values.tobytes()
    assert described(first) == described(second)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_chunks_do_not_matter(name: str, options: dict[str, Any]) -> None:
    """The size of chunks, or who works on them, would change the rows."""
    whole = described(run(name, options, chunk_of(ROWS)))
    chunk = chunk_of(ROWS)
    parts = [described(run(name, options, chunk.take(np.array([n])))) for n in range(len(ROWS))]
    assert whole == [row for part in parts for row in part]


def test_every_technique_that_draws_has_a_case() -> None:
    """A random technique would be added whose draws nobody compares."""
    drawing = {name for name, kind in TRANSFORMS.items() if issubclass(kind, ViewOptions)}
    assert drawing == DRAWING.keys()


def drawn(
    name: str, options: dict[str, Any], *, seed: int = 0, **columns: Any
) -> list[tuple[int, ...]]:
    """The places of the steps that a technique takes of each of 256 equal records."""
    chunk = replace(chunk_of([[0, 1, 2, 3] * 5] * 256), **columns)
    targets = run(name, options, chunk, seed=seed).targets
    assert targets is not None
    return [tuple(target % 100 for target in row) for row in to_lists(targets)]


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name, every in DRAWING.items() for options in every],
    ids=str,
)
def test_draws_follow_from_record_window_view_and_seed_alone(
    name: str, options: dict[str, Any]
) -> None:
    """Equal records, windows or views would lose the same steps, or the seed be ignored."""
    first = drawn(name, options)
    others = {
        "record": first[1:] + first[:1],
        "window": drawn(name, options, windows=np.ones(256, np.int64)),
        "view": drawn(name, options, views=np.ones(256, np.int64)),
        "seed": drawn(name, options, seed=1),
    }
    for what, other in others.items():
        same = sum(a == b for a, b in zip(first, other, strict=True))
        assert same < 0.65 * 256, f"another {what}: {same} of 256 rows drew the same"
    keys = chunk_of([[]] * 256).keys[::-1]
    assert drawn(name, options, keys=keys) == first[::-1]


def test_the_matrix_of_a_projection_follows_from_the_seed_alone() -> None:
    """Records would be projected each by its own matrix, or the seed be ignored."""
    options = {"window": 4, "features": 2}
    first, other = (run("project", options, chunk_of([ROWS[3]] * 2), seed=n) for n in range(2))
    blocks = [chunk.steps.values.reshape(2, -1).tolist() for chunk in (first, other)]
    assert blocks[0][0] == blocks[0][1] != blocks[1][0]
    same = run("project", {**options, "seed": 0}, chunk_of([ROWS[3]] * 2), seed=1)
    assert described(same) == described(first)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("rows", [[[]], [[1]], [[], []]])
def test_lengths_nought_and_one_pass(
    name: str, options: dict[str, Any], rows: list[list[int]]
) -> None:
    """The shortest records would raise or vanish."""
    result = run(name, options, chunk_of(rows))
    assert set(result.rows.tolist()) == set(range(len(rows)))


@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case[1].get("views")], ids=str
)
def test_only_training_rows_are_augmented(name: str, options: dict[str, Any]) -> None:
    """Validation or test would be scored on views, or training lose its whole records."""
    views = options["views"]
    training = run(name, options, chunk_of(ROWS))
    first = 1 if options.get("original") == "drop" else 0
    assert training.views.tolist() == list(range(first, views + 1)) * len(ROWS)
    held = run(name, options, chunk_of(ROWS, split=TEST))
    assert to_lists(held.steps) == ROWS
    assert not held.views.any()


@pytest.mark.parametrize(
    ("name", "options"), [case for case in SELECTING if "value" in TRANSFORMS[case[0]].units]
)
def test_values_pass_where_they_are_allowed(name: str, options: dict[str, Any]) -> None:
    """A step that takes values would break their channels apart."""
    result = run(name, options, with_values(chunk_of(ROWS)))
    expected = run(name, options, chunk_of(ROWS))
    assert result.steps.values[:, 0].tolist() == expected.steps.values.tolist()
    assert result.steps.values[:, 1].tolist() == (expected.steps.values + 10).tolist()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"truncat": {"length": 3}}, "did you mean 'truncate'"),
        ({"truncate": {"lenght": 3}}, "did you mean 'length'"),
        ({"truncate": {}}, "missing option: 'length'"),
        ({"truncate": {"length": 0}}, "whole number >= 1 step, got 0"),
        ({"truncate": {"length": 3, "keep": "end"}}, "must be one of head, tail"),
        ({"truncate": {"length": 3, "views": 2}}, "views need `keep: random`"),
        ({"subsequences": {"piece": 3, "views": 2, "when": "train"}}, "remove `views`"),
        ({"subsequences": {"piece": 3, "original": "drop"}}, "only with `views`"),
        ({"windows": {"length": 3, "stride": 4}}, "stride must be <= length = 3"),
        ({"summarize": {"max_share": 2}}, r"must be in \(0, 1\], got 2"),
        ({"reverse_complement": {"p": 0}}, r"must be in \(0, 1\], got 0"),
        ({"truncate": 5}, "needs its options"),
        ({"paa": {}}, "either `segments`"),
        ({"paa": {"segments": 3, "block": 2}}, "either `segments`"),
        ({"block_means": {"block": 2, "targets": "first"}}, "one of last, mean, majority"),
        ({"sax": {"alphabet": 27}}, "must be <= 26 letters, got 27"),
        ({"project": {"window": 2, "stride": 3, "features": 1}}, "must be <= window = 2"),
        ({"hash": {"block": 0, "features": 8}}, "hash.block must be a whole number >= 1 token"),
        ({"differences": {"n": 0}}, "differences.n must be a whole number >= 1 step"),
        ({"bandpass": {}}, "needs `low_hz`, `high_hz` or both"),
        ({"bandpass": {"low_hz": 9, "high_hz": 8}}, "low_hz must be < high_hz = 8, got 9"),
        ({"notch": {"at_hz": "50"}}, "at_hz must be a number > 0 Hz, got '50'"),
        ({"resample": {"to_hz": 0}}, "to_hz must be a number > 0 Hz, got 0"),
        ({"spectrum": {"window_s": 1, "stride_s": 2}}, "stride_s must be <= window_s = 1"),
        ({"spectrum": {"window_s": 1, "stride_s": 1, "taper": "tri"}}, "one of hann, hamming"),
        (
            {"band_power": {"bands": {"a": [3, 1]}, "window_s": 1, "stride_s": 1}},
            r"bands.a must be \[low, high\] in hertz",
        ),
        ({"band_power": {"bands": {}, "window_s": 1, "stride_s": 1}}, "must be names with"),
    ],
)
def test_wrong_options_say_what_is_right(step: dict[str, Any], message: str) -> None:
    """A mistake in a recipe would surface as a traceback, or hours later."""
    with pytest.raises(ConfigError, match=message):
        build_steps(Prepare(steps=(step,)))


@pytest.mark.parametrize(
    ("steps", "domain", "task", "message"),
    [
        ([{"summarize": {}}], "eeg", "classify", "given steps of unit value"),
        ([{"sax": {}}, {"bandpass": {"low_hz": 1}}], "eeg", "classify", "given steps of unit symb"),
        ([{"one_hot": {}}, {"hash": {"block": 2, "features": 2}}], "dna", "classify", "unit value"),
        (
            [{"block_means": {"block": 2, "targets": "mean"}}],
            "eeg",
            "label_steps",
            "needs task: regress_steps, got task: label_steps",
        ),
        (
            [{"sax": {"targets": "majority"}}],
            "eeg",
            "regress_steps",
            "needs task: label_steps, got task: regress_steps",
        ),
        ([{"one_hot": {}}, {"sax": {}}], "dna", "classify", "values that were made of tokens"),
        (
            [{"sax": {"alphabet": 2}}, {"one_hot": {}}, {"sax": {"alphabet": 2}}],
            "eeg",
            "classify",
            "values that were made of tokens",
        ),
        ([{"reverse_complement": {}}], "text", "classify", "works on kmer"),
        ([{"reverse_complement": {}}], "dna", "translate", "belongs to the strand"),
        ([{"windows": {"length": 3}}], "dna", "translate", "belongs to the whole record"),
        (
            [{"windows": {"length": 9}}, {"windows": {"length": 3}}],
            "dna",
            "classify",
            "windows of windows",
        ),
        (
            [{"windows": {"length": 9}}, {"truncate": {"length": 3}}],
            "eeg",
            "label_steps",
            "could not be put back",
        ),
        (
            [{"shift": {"max": 1, "when": "train"}}, {"truncate": {"length": 3}}],
            "dna",
            "classify",
            "must be the last of a chain",
        ),
        (
            [{"shift": {"max": 1, "views": 2}}, {"subsequences": {"piece": 3, "views": 3}}],
            "dna",
            "classify",
            "must be equal",
        ),
    ],
)
def test_impossible_chains_are_refused_with_the_reason(
    steps: list[dict[str, Any]], domain: Any, task: Any, message: str
) -> None:
    """Work would start on a chain that cannot give a result."""
    with pytest.raises(ConfigError, match=message):
        check_chain(build_steps(Prepare(steps=tuple(steps))), domain, task, Tokens())


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_a_step_knows_its_name(name: str) -> None:
    """Snapshots would name another kernel than the step that was asked for."""
    (step,) = build_steps(Prepare(steps=({name: OPTIONS[name][0]},)))
    assert name_of(step) == name
    assert name_of(step) == type(step).name  # type: ignore[attr-defined]


def test_windows_know_their_record_and_place() -> None:
    """A window would lose its record, its number, or the record's last steps."""
    result = run("windows", {"length": 3, "stride": 2}, chunk_of([[0, 1, 2, 3, 0], [1]]))
    assert to_lists(result.steps) == [[0, 1, 2], [2, 3, 0], [1]]
    assert result.rows.tolist() == [0, 0, 1]
    assert result.windows.tolist() == [0, 1, 0]
