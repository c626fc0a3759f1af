"""Commands that look at data: what its tokens are, what a recipe would do, what is there twice.

They start no server; `flows.cli` adds them to `seqprep`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.commands.parts import (
    STORE,
    AsJson,
    File,
    Settings,
    Store,
    at_least_one,
    check_files,
    guarded,
    print_json,
    store_name,
)
from seqprep.options.near_duplicates import NearDuplicates


def frequencies(
    file: File,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Write the table there: .parquet (for idf) or .csv.")
    ] = None,
    top: Annotated[int, Parameter(help="Ranks to show.")] = 20,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Count the tokens of the training rows; show where the cuts of the recipe fall."""
    at_least_one(top, "--top")
    check_files((file,), settings)
    guarded()
    from flows.explore.frequencies import frequencies as count

    done = count(str(file), store=store_name(store), settings=list(settings), out=out, top=top)
    if as_json:
        print_json(done)


def preview(
    file: File,
    /,
    *,
    records: Annotated[int, Parameter(help="Records to show before and after.")] = 10,
    out: Annotated[Path | None, Parameter(help="Folder for the plot; else the dataset's.")] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Show what a recipe would do to steps, tokens, lengths and records; nothing is prepared."""
    at_least_one(records, "--records")
    check_files((file,), settings)
    guarded()
    from flows.explore.preview import preview as look

    done = look(
        str(file), store=store_name(store), settings=list(settings), records=records, out=out
    )
    if as_json:
        print_json(done)


def duplicates(
    file: File,
    /,
    *,
    threshold: Annotated[
        float, Parameter(help="Smallest Jaccard index of shingles that counts as nearly equal.")
    ] = 0.8,
    shingle: Annotated[
        int | None, Parameter(help="Words (text, 5) or letters (dna, 16) of a shingle.")
    ] = None,
    hashes: Annotated[int, Parameter(help="Of a sketch: four bytes each for each record.")] = 128,
    examples: Annotated[int, Parameter(help="Pairs to show.")] = 10,
    out: Annotated[Path | None, Parameter(help="Write all pairs there: .parquet or .csv.")] = None,
    groups: Annotated[
        Path | None,
        Parameter(help="A .csv of the id and group of each record, for source.group."),
    ] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """List records that stand there twice, exactly or nearly, and on which sides of the split."""
    options = NearDuplicates(threshold=threshold, shingle=shingle, hashes=hashes)
    check_files((file,), settings)
    guarded()
    from flows.explore.duplicates import duplicates as find

    done = find(
        str(file),
        store=store_name(store),
        settings=list(settings),
        options=options,
        examples=examples,
        out=out,
        groups=groups,
    )
    if as_json:
        print_json(done)


def usefulness(
    file: File,
    /,
    *,
    by: Annotated[
        Literal["masking", "retraining"],
        Parameter(help="Score the trained model without the token, or train again without it."),
    ] = "masking",
    tokens: Annotated[
        int | None, Parameter(help="Candidates: 100 by masking, 5 by retraining.")
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="Write the table there; else in the dataset's folder.")
    ] = None,
    store: Store = STORE,
    settings: Settings = (),
    as_json: AsJson = False,
) -> None:
    """Take tokens out, one at a time, and see what the validation score loses."""
    if tokens is not None:
        at_least_one(tokens, "--tokens")
    check_files((file,), settings)
    guarded()
    from flows.explore.usefulness import usefulness as study

    done = study(
        str(file), store=store_name(store), settings=list(settings), by=by, tokens=tokens, out=out
    )
    if as_json:
        print_json(done)


COMMANDS: tuple[Callable[..., None], ...] = (preview, frequencies, duplicates, usefulness)
"""In the order of the help text."""
