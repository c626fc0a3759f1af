"""How many updates the trainings of the study get, and which texts name a variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.comparison.budget import training_s
from flows.comparison.pace import Pace
from flows.optimizer_study.asked import Asked, check_asked
from flows.optimizer_study.plan import Plan, make_plan
from flows.optimizer_study.variants import Variant, apply, clip_of, grid, schedule_of
from flows.pipeline_file import load
from models.options.checks import JobError
from seqprep.errors import ConfigError
from tests.conftest import ROOT

WHOLE = Pace(update_s=0.4, around_s=8.0, judge_s=0.2, update_steps=20_000, epoch_updates=12)
SHORT = Pace(update_s=0.04, around_s=8.0, judge_s=0.2, update_steps=2_400, epoch_updates=100)
PACES = {"none": WHOLE, "100-10-1": SHORT}
VARIANTS = grid(["sgd", "adam"], ["none", "1"], ["none", "100-10-1"])


def plan(**changes: Any) -> Plan:
    asked: dict[str, Any] = {"patience": 20, "seeds": 3, "workers": 2, "seconds": 5400.0}
    return make_plan(PACES, VARIANTS, **{**asked, "spent_s": 60.0, "full": None, **changes})


def test_the_most_updates_of_two_digits_fit_the_time() -> None:
    """Would break if 90 minutes became three hours, or half of them were left unused."""
    made = plan()
    assert made.trainings == 24
    assert 0.8 * 5400 < made.seconds < 0.9 * 5400
    assert made.updates % 100 == 0
    assert made.window == 12


def test_half_the_workers_give_about_half_the_updates() -> None:
    """Would break if the prediction did not know what runs beside what.

    A little more: with one worker no core is left idle beside the last training.
    """
    alone, both = plan(workers=1).updates, plan().updates
    assert both / 2 <= alone <= 0.6 * both


def test_a_training_is_not_split_over_the_workers() -> None:
    """Would break if one training, or the last of a round, took twice what was foretold."""
    asked = {"patience": 20, "seeds": 1, "seconds": 600.0, "spent_s": 0.0, "full": None}
    made = make_plan(PACES, VARIANTS[:1], workers=2, **asked)
    assert training_s(WHOLE, made.updates) <= made.seconds <= 0.9 * 600


def test_segments_are_cheap_only_as_long_as_the_schedule_must_wait() -> None:
    """Would break if whole rows at a schedule's end came as a surprise."""
    few, many = plan(full=2100), plan(full=4100)
    more_s = 2000 * (0.4 + 0.2 / 12)
    last_s = more_s / 2  # of the last training, beside which one of the two workers is idle
    assert many.seconds - few.seconds == pytest.approx(24 / 2 * more_s + last_s, rel=0.01)


def test_a_number_of_updates_that_a_person_gives_stands() -> None:
    """Would break if --full were cut to what fits; the prediction says what it costs."""
    made = plan(full=12_345)
    assert made.updates == 12_345 and made.seconds > 5400


def test_too_little_time_is_refused_with_what_is_enough() -> None:
    """Would break if a study began that cannot end in time."""
    with pytest.raises(ConfigError, match="too short for 8 variants and 3 seeds") as caught:
        plan(seconds=120.0)
    enough = float(str(caught.value).split(" each need ")[1].split(";")[0])
    assert plan(seconds=60 * enough).updates >= 20


def test_a_variant_changes_the_optimiser_the_clipping_and_the_schedule_alone() -> None:
    """Would break if a file's own clipping stayed in the variant without."""
    spec = load(ROOT / "data/study.yaml")
    variant = Variant(optimizer="rmsprop", clip="value:0.5", schedule="10-1")
    train = apply(spec, variant, updates=50, seed=3).train
    assert (train.optimizer.name, train.optimizer.lr) == ("rmsprop", spec.train.optimizer.lr)
    assert (train.optimizer.clip_norm, train.optimizer.clip_value) == (None, 0.5)
    assert (train.backpropagation.schedule, train.backpropagation.patience) == ((10, 1), 20)
    assert (train.updates, train.seed, train.model) == (50, 3, spec.train.model)
    plain = apply(spec, Variant(optimizer="sgd"), updates=50, seed=3).train
    assert (plain.optimizer.clip_norm, plain.backpropagation.mode) == (None, "full")


def test_texts_that_name_nothing_are_refused() -> None:
    """Would break if a typing error became another study."""
    for text in ("0", "-1", "value:", "norm", "nan", "inf"):
        with pytest.raises(ConfigError, match="is no limit"):
            clip_of(text)
    for text in ("1-10", "10-10", "0", "ten", "10-", ""):
        with pytest.raises(ConfigError, match="is no schedule"):
            schedule_of(text, patience=20)
    with pytest.raises(ConfigError, match="name each once"):
        Asked(clips=("1", "1"))
    with pytest.raises(ConfigError, match="--seeds must be >= 1"):
        Asked(seeds=0)


def test_what_the_file_cannot_is_said_before_anything_runs(tmp_path: Path) -> None:
    """Would break if 90 minutes ended in a refusal, or a model of two directions in segments."""
    study = ROOT / "data/study.yaml"
    check_asked(load(study), Asked())
    with pytest.raises(ConfigError, match="unknown 'adm'; choose from sgd"):
        check_asked(load(study), Asked(optimizers=("adm",)))
    both = load(study, overrides=["train.model.bidirectional=true", "train.backpropagation={}"])
    with pytest.raises((ConfigError, JobError), match="bidirectional"):
        check_asked(both, Asked())
    with pytest.raises(ConfigError, match="does not do task 'translate'"):
        check_asked(load(ROOT / "data/translate.yaml"), Asked())
