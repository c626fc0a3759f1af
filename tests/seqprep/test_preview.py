"""A preview says what preparation then does, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.length_counts import quantiles
from seqprep.preparation.opened import opened
from seqprep.preparation.totals import named
from seqprep.prepare import plan_job, prepare
from seqprep.preview import Preview, by_label, choose, make_preview, some_tokens
from seqprep.recipe import Prepare, Split
from seqprep.schema import SPLITS
from seqprep.source import Field, Source
from seqprep.source_sample import read_sample
from seqprep.splits import LEFT_OUT
from seqprep.transforms import build_steps
from tests.sources import write_files
from tests.synthetic import documents, write_sequences

STEPS = (
    {"summarize": {"drop_top": 3, "min_count": 2, "max_vocab": 20}},
    {"truncate": {"length": 12, "keep": "tail"}},
    {"subsequences": {"pieces": 1, "piece": 5, "views": 2}},
)


def previewed(
    store: Path,
    rows: list[dict[str, Any]],
    *,
    recipe: Prepare,
    folder: Path,
    domain: str = "text",
    chunk_rows: int = 7,
    params: dict[str, Any] | None = None,
    **options: Any,
) -> Preview:
    table = write_sequences(store, rows, domain=domain, chunk_rows=chunk_rows, **(params or {}))
    job = plan_job(
        table,
        None,
        build_steps(recipe),
        domain=domain,  # type: ignore[arg-type]
        task="classify",
        split=Split(),
        recipe=recipe,
        tables={},
    )
    folder.mkdir(exist_ok=True)
    keys: dict[str, Any] = {"records": 4, "train_seed": 0, "workers": 2, **options}
    with opened(job, base=store, workers=1) as (job, roster):
        return make_preview(job, roster, folder=folder, **keys)


def test_it_says_what_preparation_then_does(tmp_path: Path) -> None:
    """A person would choose a recipe by figures that it does not give."""
    recipe = Prepare(steps=STEPS)
    found = previewed(tmp_path, documents(120), recipe=recipe, folder=tmp_path / "scratch")
    assert not list(tmp_path.glob("synthetic/examples-*"))
    assert not list((tmp_path / "scratch").iterdir())
    done = prepare(
        dataset="synthetic",
        store=tmp_path,
        domain="text",
        task="classify",
        split=Split(),
        recipe=recipe,
        workers=1,
    )
    assert named(found.totals.rows) == done.rows
    assert quantiles(found.totals.lengths) == done.length_quantiles["after"]
    assert sorted(found.after.tolist()) == sorted(np.repeat(*found.totals.lengths.present).tolist())
    assert len(found.fitted.vocabulary) + 2 == done.vocab_size
    assert found.emptied == done.emptied
    assert by_label(found.roster) == done.labels
    unknown = found.totals.unknown / np.maximum(found.totals.steps, 1)
    assert dict(zip(SPLITS, unknown.tolist(), strict=True)) == pytest.approx(done.oov_rate)


def test_each_step_is_told_with_what_it_takes(tmp_path: Path) -> None:
    """The share would be given to another step, or views counted as growth."""
    records = [
        {"text": f"the the a{n} b{n} c{n} d{n}", "label": "xy"[n % 2], "group": f"g{n}"}
        for n in range(40)
    ]
    steps = (
        {"truncate": {"length": 5}},
        {"summarize": {"drop_top": 1}},
        {"subsequences": {"pieces": 1, "piece": 1, "views": 2}},
        {"shift": {"max": 1, "when": "train"}},
    )
    found = previewed(tmp_path, records, recipe=Prepare(steps=steps), folder=tmp_path / "s")
    one, two, three, four = found.effects
    assert (one.name, one.options) == ("truncate", {"length": 5})
    assert (one.steps_before, one.steps_after, one.rows_after) == (240, 200, 40)
    assert (two.steps_before, two.steps_after) == (200, 120)
    training = int((found.roster.splits == 0).sum())
    assert (three.rows_before, three.steps_before) == (2 * training, 6 * training)
    assert three.steps_after == 2 * training
    assert four.drawn and four.steps_before == 5 * training
    assert 0 < four.removed_share < 0.5
    cut = found.cuts[0]
    frequency = found.encoding.frequency
    assert frequency is not None
    told = some_tokens(frequency.tokens, cut.removed, frequency.counts, most=3)
    assert told == {"most": [("the", 2 * training)], "least": []}


def test_records_from_all_sides_are_shown(tmp_path: Path) -> None:
    """Ten records of one class of the training rows would tell little, or others each time."""
    found = previewed(tmp_path, documents(200), recipe=Prepare(), folder=tmp_path / "s", records=6)
    roster = found.roster
    assert roster.labels is not None
    cells = {(int(roster.splits[n]), int(roster.labels[n])) for n in found.chosen}
    assert len(cells) == 6
    assert choose(roster, 6).tolist() == found.chosen.tolist()
    keys = {int(key) for _, table in found.rows for key in table["key"].to_numpy().view(np.uint64)}
    assert keys == {int(roster.records.keys[n]) for n in found.chosen}


def test_large_data_are_sampled_in_whole_chunks(tmp_path: Path) -> None:
    """A preview would take as long as the preparation that it should spare."""
    records = documents(140)
    found = previewed(
        tmp_path, records, recipe=Prepare(), folder=tmp_path / "s", most_steps=6000, chunk_rows=10
    )
    assert found.all_chunks == 14
    assert 0 < found.chunks < 14
    assert len(found.before) == (found.roster.splits != LEFT_OUT).sum() <= 10 * found.chunks
    assert all(found.roster.splits[number] != LEFT_OUT for number in found.chosen)


def test_values_are_previewed_too(tmp_path: Path) -> None:
    """Signals would have no preview."""
    records = [
        {"values": [float(n + v) for v in range(2 * (10 + n % 5))], "label": "xy"[n % 2]}
        for n in range(60)
    ]
    recipe = Prepare(steps=({"windows": {"length": 4}},))
    params = {"channels": ["a", "b"]}
    found = previewed(
        tmp_path, records, recipe=recipe, folder=tmp_path / "s", domain="eeg", params=params
    )
    assert found.cuts == [] and found.encoding.frequency is None
    assert found.before.sum() == sum(10 + n % 5 for n in range(60))
    assert found.effects[0].rows_after == int(found.totals.rows.sum()) == 3 * 36 + 4 * 24 - 12 + 12
    assert set(found.after.tolist()) <= {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("step", "window", "short"),
    [
        ({"spectrum": {"window_s": 0.12, "stride_s": 0.06}}, 12, 24),
        ({"spectrum": {"window_s": 0.5, "stride_s": 0.5}}, 50, 60),
        ({"band_power": {"bands": {"a": [20, 40]}, "window_s": 0.1, "stride_s": 0.1}}, 10, 0),
        ({"project": {"window": 11, "features": 2}}, 11, 12),
        ({"windows": {"length": 13}}, 13, 36),
        ({"block_means": {"block": 50}}, 0, 0),
    ],
)
def test_rows_that_fill_no_window_are_counted(
    tmp_path: Path, step: dict[str, Any], window: int, short: int
) -> None:
    """Windows longer than every record would make one step of mostly zeros, and look all right."""
    records = [{"values": [float(n), *range(9 + n // 12)], "label": "xy"[n % 2]} for n in range(60)]
    recipe, params = Prepare(steps=(step,)), {"channels": ["a"], "rate_hz": 100.0}
    found = previewed(
        tmp_path, records, recipe=recipe, folder=tmp_path / "s", domain="eeg", params=params
    )
    (effect,) = found.effects
    assert (effect.window, effect.short_rows, effect.rows_before) == (window, short, 60)


def test_a_source_is_sampled_evenly_and_whole_where_it_is_small(tmp_path: Path) -> None:
    """A preview would need an ingest, or see the first class only."""
    files: dict[str, bytes | str] = {
        f"{'ab'[n // 20]}/{n:02d}.txt": f"text {n} " * 100 for n in range(40)
    }
    write_files(tmp_path / "in", files)
    source = Source(domain="text", path=str(tmp_path / "in"))
    whole = read_sample(source, base=tmp_path, folder=tmp_path / "one", max_bytes=2**20)
    assert (whole.rows, whole.files, whole.whole) == (40, 40, True)
    lines = "".join(f">r{n}\n{'ACGT' * 100}\n" for n in range(500))
    write_files(tmp_path / "dna", {"x.fa": lines, "y.fa": lines})
    dna = Source(domain="dna", path=str(tmp_path / "dna"), label=Field(from_="file"))
    part = read_sample(dna, base=tmp_path, folder=tmp_path / "two", max_bytes=1000)
    assert not part.whole or part.rows == 1000
    rows = part.table.read_group(*next(iter(part.table.row_groups(0))))
    assert set(rows["source"].to_pylist()) == {"x.fa", "y.fa"}
