"""Strategies applied to a person's pipeline: what stays, what goes, what does not fit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from flows.comparison.applied import choose, is_plain, names_of, plain, recipe_name, with_options
from flows.comparison.asked import Asked, check_asked
from flows.comparison.strategies import STRATEGIES
from flows.comparison.strategy import Case
from flows.pipeline_file import Pipeline, load
from seqprep.errors import ConfigError
from seqprep.transforms import TRANSFORMS
from tests.conftest import ROOT

WORDS = Case(
    task="classify",
    unit="word",
    steps=800,
    vocab_size=20_000,
    rate_hz=None,
    channels=0,
    hidden=32,
    reference="other.parquet",
)
LETTERS = replace(WORDS, unit="kmer", vocab_size=66, reference=None)
SIGNAL = replace(LETTERS, unit="value", vocab_size=None, rate_hz=64.0, channels=4)
CASES = {"text": WORDS, "dna": LETTERS, "eeg": SIGNAL}
SHORTENING = ("truncate", "summarize", "subsequences", "remove_steps", "windows", "idf")


def sample(name: str) -> Pipeline:
    return load(Path(ROOT / "data" / f"{name}.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_the_plain_pipeline_shortens_nothing_and_keeps_the_rest(name: str) -> None:
    """Would break if a strategy's score were also that of the file's own way of shortening."""
    spec = sample(name)
    bare = plain(spec)
    assert not {next(iter(step)) for step in bare.prepare.steps} & set(SHORTENING)
    assert bare.train.model.front.conv == ()
    assert bare.train.backpropagation.mode == "full"
    assert (bare.source, bare.split, bare.prepare.tokens) == (
        spec.source,
        spec.split,
        spec.prepare.tokens,
    )
    assert bare.train.optimizer == spec.train.optimizer
    assert bare.train.model.hidden == spec.train.model.hidden
    assert plain(bare) == bare
    assert is_plain(bare) and not is_plain(spec)


def test_augmentation_of_other_kinds_stays_behind_a_strategys_steps() -> None:
    """Would break if the other strand were no longer learnt, or stood before what is stored."""
    chosen, _ = choose(["truncate-tail"], LETTERS, plain(sample("dna")))
    names = [next(iter(step)) for step in chosen["truncate-tail"][1].prepare.steps]
    assert names == ["truncate", "reverse_complement", "shift"]


@pytest.mark.parametrize("name", CASES)
def test_every_strategy_fits_or_says_why(name: str) -> None:
    """Would break if a strategy did not build, or fell away without a reason a person knows."""
    chosen, refused = choose(names_of(None), CASES[name], plain(sample(name)))
    assert set(chosen) | set(refused) == set(STRATEGIES)
    assert not set(chosen) & set(refused)
    assert all(why and "steps[0]" not in why for why in refused.values())
    assert next(iter(chosen)) == "full"


def test_every_known_way_is_a_strategy() -> None:
    """Would break if a way of handling length were lost, which no one would then miss."""
    assert set(STRATEGIES) == {
        *("full", "exact", "truncate-head", "truncate-tail", "truncate-head-tail"),
        *("summarize-light", "summarize-both-ends", "summarize-rare", "mutual-information", "idf"),
        *("random-steps", "random-steps-each-epoch", "random-pieces", "random-piece-each-epoch"),
        *("last-k", "segments", "segment-schedule", "windows", "chunks", "hierarchical"),
        *("attention", "split", "parallel-parts", "strided-convolution", "block-means"),
        *("random-projection", "spectrum", "sax", "hashing", "min-lstm"),
        *("autoencoder-codes", "encoder-start"),
    }


def test_every_strategy_fits_some_domain() -> None:
    """Would break if an entry could never be chosen."""
    fitting = {
        strategy
        for name, case in CASES.items()
        for strategy in choose(names_of(None), case, plain(sample(name)))[0]
    }
    assert fitting == set(STRATEGIES)


def test_each_strategy_is_another_pipeline() -> None:
    """Would break if two names trained the same."""
    for name, case in CASES.items():
        chosen, _ = choose(names_of(None), case, plain(sample(name)))
        bodies = [
            (replace(own, prepare=replace(own.prepare, recipe="same")), strategy.pretraining)
            for strategy, own in chosen.values()
        ]
        assert len({repr(body) for body in bodies}) == len(bodies), name


def test_strategies_joined_by_plus_do_both() -> None:
    """Would break if one half of a combination were lost."""
    chosen, _ = choose(["truncate-tail+attention"], WORDS, plain(sample("text")))
    _, own = chosen["truncate-tail+attention"]
    assert own.prepare.steps == ({"truncate": {"length": 200, "keep": "tail"}},)
    assert own.train.model.pooling == ("attention",)


def test_strategies_with_the_same_steps_share_their_rows() -> None:
    """Would break if each combination with a model prepared and stored the same rows again."""
    names = ["truncate-tail", "truncate-tail+attention", "truncate-tail+summarize-rare"]
    chosen, _ = choose(names, WORDS, plain(sample("text")))
    one, two, other = (chosen[name][1].prepare for name in names)
    assert one == two
    assert other.recipe not in (one.recipe, plain(sample("text")).prepare.recipe)


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("truncate-head+truncate-tail", "both a truncate step"),
        ("last-k+segments", "both decide train.backpropagation"),
        ("hierarchical+split", "both decide train.model.name"),
        ("attention+attention", "stands there twice"),
        ("full+attention", "full changes nothing"),
        ("autoencoder-codes+windows", "autoencoder-codes trains an autoencoder"),
    ],
)
def test_parts_that_contradict_each_other_are_refused_before_anything_is_read(
    name: str, both: str
) -> None:
    """Would break if one half silently won over the other."""
    with pytest.raises(ConfigError, match=re.escape(f"strategy {name!r}: ") + f".*{both}"):
        check_asked(sample("text"), Asked(strategies=(name,)))


def test_no_way_looks_ahead_where_the_file_may_not() -> None:
    """Would break if a way won by reading the future that its target is made of."""
    spec = sample("prices")
    assert not spec.train.model.bidirectional
    case = replace(SIGNAL, task=spec.source.task, channels=1)
    chosen, _ = choose(names_of(None), case, plain(spec))
    assert len(chosen) > 3
    assert not any(own.train.model.bidirectional for _, own in chosen.values())
    assert {own.train.model.noise for _, own in chosen.values()} == {spec.train.model.noise}


def test_recipes_of_long_combinations_have_names_of_their_own() -> None:
    """Would break if two ways whose names begin alike were trained on the same rows."""
    long = "summarize-both-ends+random-piece-each-epoch+strided-convolution+truncate-"
    names = [recipe_name(long + end) for end in ("head", "tail")]
    assert names[0] != names[1] and max(map(len, names)) <= 64


def test_a_recipe_with_a_name_of_the_comparisons_own_is_refused() -> None:
    """Would break if the file's own rows and those of a strategy took each other's place."""
    spec = sample("text")
    spec = replace(spec, prepare=replace(spec.prepare, recipe="compare-full"))
    with pytest.raises(ConfigError, match=r"prepare\.recipe 'compare-full': names that begin"):
        check_asked(spec, Asked())


def test_idf_needs_a_reference_and_says_how_to_get_one() -> None:
    """Would break if the person never learnt of a way that needs a table of theirs."""
    bare = plain(sample("text"))
    _, refused = choose(["idf"], replace(WORDS, reference=None), bare)
    assert "--reference" in refused["idf"] and "seqprep frequencies" in refused["idf"]
    chosen, _ = choose(["idf"], WORDS, bare)
    assert chosen["idf"][1].prepare.steps == ({"idf": {"reference": "other.parquet", "tau": 1.0}},)


@pytest.mark.parametrize(("channels", "letters"), [(1, 8), (4, 8), (7, 3)])
def test_letters_of_all_channels_make_few_tokens(channels: int, letters: int) -> None:
    """Would break if a recording of several channels got a vocabulary that nothing can learn."""
    found = STRATEGIES["sax"](replace(SIGNAL, channels=channels))
    assert not isinstance(found, str)
    assert found.steps == ({"sax": {"block": 4, "alphabet": letters}},)


def test_letters_of_too_many_channels_do_not_fit() -> None:
    """Would break if the strategy failed in its preparation instead."""
    why = STRATEGIES["sax"](replace(SIGNAL, channels=14))
    assert why == "even 3 letters of 14 channels are more than 4,096 different tokens"


def test_an_unknown_strategy_names_those_that_there_are() -> None:
    """Would break if a slip of the pen compared less than was asked for."""
    with pytest.raises(ConfigError, match="unknown strategy 'truncate-tial'; choose from full"):
        choose(["truncate-tial"], WORDS, plain(sample("text")))


def test_hashed_text_has_no_options_of_embeddings() -> None:
    """Would break if a person's embedding size made a strategy of values impossible."""
    spec = sample("text")
    assert spec.train.model.embedding == 32
    wide = with_options(spec, {"model.embedding": 64})
    chosen, refused = choose(["hashing"], WORDS, plain(wide))
    assert "hashing" in chosen, refused


@pytest.mark.parametrize("name", ["movie_reviews", "bonn", "cpat", "cpat_matched", "muse_sessions"])
def test_the_real_pipelines_can_be_compared(name: str) -> None:
    """Would break if one of the files that results are reported of chose on test rows, or not."""
    spec = load(ROOT / "data" / "real" / f"{name}.yaml")
    check_asked(spec, Asked())
    assert plain(spec).split == spec.split
    named = set(spec.split.validation) if isinstance(spec.split.validation, tuple) else set()
    assert not named & set(spec.split.test if isinstance(spec.split.test, tuple) else ())


def test_steps_that_strategies_use_are_transforms() -> None:
    """Would break if a renamed transform silently refused its strategy."""
    for case in CASES.values():
        for make in STRATEGIES.values():
            found = make(case)
            if not isinstance(found, str):
                assert all(next(iter(step)) in TRANSFORMS for step in found.steps)
