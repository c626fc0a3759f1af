"""Commands that train many models to learn something of the data; they run as Prefect flows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.commands.parts import (
    STORE,
    Address,
    AsJson,
    File,
    RunnerOption,
    Settings,
    Store,
    check_files,
    names,
    print_json,
    start_prefect,
    store_name,
)
from flows.runner import check_runner


def compare(
    file: File,
    /,
    *,
    strategies: Annotated[
        str, Parameter(help="Names with commas between, joined by + where several are one.")
    ] = "",
    minutes: Annotated[float, Parameter(help="That all of it may take.")] = 30.0,
    equal: Annotated[
        Literal["seconds", "steps", "updates"], Parameter(help="What all get the same of.")
    ] = "seconds",
    seeds: Annotated[int, Parameter(help="Of each that is trained in full.")] = 3,
    everything: Annotated[
        bool,
        Parameter(name="--all", help="Train all in full, not the best of a search.", negative=""),
    ] = False,
    workers: Annotated[int | None, Parameter(help="Trainings at once; else one a core.")] = None,
    stop_hopeless: Annotated[
        bool,
        Parameter(help="Stop a training when it is worse than most were by then.", negative=""),
    ] = False,
    reference: Annotated[
        Path | None, Parameter(help="A table of tokens of other text, for the strategy idf.")
    ] = None,
    store: Store = STORE,
    settings: Settings = (),
    runner: RunnerOption = "local",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Find out which way of handling long sequences works on this data."""
    check_files((file,), settings, tables=True)
    from flows.comparison.asked import Asked, check_asked
    from flows.pipeline_file import load
    from seqprep.parallel import default_workers

    asked = Asked(
        strategies=names(strategies),
        minutes=minutes,
        equal=equal,
        seeds=seeds,
        everything=everything,
        workers=default_workers() if workers is None else workers,
        stop_hopeless=stop_hopeless,
        reference=None if reference is None else str(reference.absolute()),
    )
    check_asked(load(file, overrides=settings), asked)
    check_runner(runner, address)
    start_prefect()
    from flows.compare import compare as flow
    from flows.comparison.print import print_comparison

    done = flow(
        file=str(file),
        store=store_name(store),
        settings=list(settings),
        asked=asked,
        runner=runner,
        address=address,
    )
    print_comparison(done)
    if as_json:
        print_json(done)


def lengths(
    file: File,
    /,
    *,
    rungs: Annotated[
        str, Parameter(help="Lengths in steps with commas between; else 8, 16, 32 and so on.")
    ] = "",
    keep: Annotated[
        Literal["tail", "head", "middle", "head_tail"] | None,
        Parameter(help="The part of a record that stays; else the tail."),
    ] = None,
    minutes: Annotated[float, Parameter(help="That all of it may take.")] = 30.0,
    seeds: Annotated[int, Parameter(help="Trainings of each length.")] = 3,
    workers: Annotated[int | None, Parameter(help="Trainings at once; else one a core.")] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Find out how long records must be: score, time and memory at a ladder of lengths."""
    check_files((file,), settings, tables=True)
    from flows.length_study.asked import AskedLengths, check_lengths, rungs_of
    from flows.pipeline_file import load
    from seqprep.parallel import default_workers

    asked = AskedLengths(
        rungs=rungs_of(rungs),
        keep=keep,
        minutes=minutes,
        seeds=seeds,
        workers=default_workers() if workers is None else workers,
    )
    check_lengths(load(file, overrides=settings), asked)
    start_prefect()
    from flows.length_study.print import print_lengths
    from flows.lengths import lengths as flow

    done = flow(file=str(file), store=store_name(store), settings=list(settings), asked=asked)
    print_lengths(done)
    if as_json:
        print_json(done)


def optimizers(
    file: File,
    /,
    *,
    optimizers: Annotated[
        str, Parameter(help="Names with commas between, as train.optimizer.name has them.")
    ] = "sgd,rmsprop,adam",
    clips: Annotated[
        str, Parameter(help="none, a norm like 1, or value:0.5, with commas between.")
    ] = "none,1",
    schedules: Annotated[
        str, Parameter(help="none, auto, or falling numbers like 100-10-1, with commas.")
    ] = "none,100-50-10-2-1",
    minutes: Annotated[float, Parameter(help="That all of it may take.")] = 90.0,
    full: Annotated[
        int | None, Parameter(help="Updates of each, whatever time they take.", negative="")
    ] = None,
    seeds: Annotated[int, Parameter(help="Of each variant.")] = 3,
    workers: Annotated[int | None, Parameter(help="Trainings at once; else one a core.")] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Hold optimisers against one another, with and without clipping and a segment schedule."""
    check_files((file,), settings, tables=True)
    from flows.optimizer_study.asked import Asked, check_asked
    from flows.pipeline_file import load
    from seqprep.parallel import default_workers

    asked = Asked(
        optimizers=names(optimizers),
        clips=names(clips),
        schedules=names(schedules),
        minutes=minutes,
        full=full,
        seeds=seeds,
        workers=default_workers() if workers is None else workers,
    )
    check_asked(load(file, overrides=settings), asked)
    start_prefect()
    from flows.optimizer_study.print import print_study
    from flows.optimizers import optimizers as flow

    done = flow(file=str(file), store=store_name(store), settings=list(settings), asked=asked)
    print_study(done)
    if as_json:
        print_json(done)


COMMANDS: tuple[Callable[..., None], ...] = (compare, lengths, optimizers)
"""In the order of the help text."""
