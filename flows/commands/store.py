"""Commands that show, and look after, what is stored: `show`, `verify`, `gc`, `remove`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.commands.parts import AsJson, Dataset, InStore, print_json, stored_at

Apply = Annotated[bool, Parameter(help="Do it; without it only say what would go.", negative="")]


def show(
    path: Annotated[
        Path | None, Parameter(help="A store, a dataset, or a folder of predictions; else `store`.")
    ] = None,
    /,
    *,
    store: InStore = None,
    as_json: AsJson = False,
) -> None:
    """Show datasets, their versions and what made them."""
    from flows.prediction.show import describe_predictions, print_predictions
    from flows.show import describe
    from flows.show_print import print_description
    from seqprep.upkeep.leftovers import predictions_of

    place = stored_at(path, store)
    is_inbox = bool(predictions_of(place))
    described = describe_predictions(place) if is_inbox else describe(place)
    if as_json:
        print_json(described)
    elif is_inbox:
        print_predictions(described)
    else:
        print_description(described)


def verify(
    path: Annotated[
        Path | None, Parameter(help="A store, a dataset, predictions or a bundle; else `store`.")
    ] = None,
    /,
    *,
    store: InStore = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of a store or a bundle against its hash."""
    from flows.maintain import verify_path

    done = verify_path(stored_at(path, store))
    print(f"{done['files']:,} files are what was committed")
    if done["unsealed"]:
        print(f"{done['unsealed']:,} files of a log have no digest; the next commit gives them one")
    if as_json:
        print_json(done)


def gc(
    path: Annotated[
        Path | None, Parameter(help="A store, or one dataset of it; else `store`.")
    ] = None,
    /,
    *,
    store: InStore = None,
    keep: Annotated[int, Parameter(help="Newest versions of each table that stay.")] = 2,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Give up old versions, and delete files that no version, training or model needs."""
    from flows.maintain import collect_path, print_collected

    done = collect_path(stored_at(path, store), keep=keep, apply=apply)
    print_collected(done)
    if as_json:
        print_json({"datasets": done})


def remove(
    path: Dataset,
    /,
    *,
    store: InStore = None,
    ids: Annotated[
        tuple[str, ...], Parameter(name="--id", help="A record's id.", negative="")
    ] = (),
    groups: Annotated[
        tuple[str, ...], Parameter(name="--group", help="All records of a group.", negative="")
    ] = (),
    erase: Annotated[
        bool, Parameter(help="Delete every version, shard and state that holds it.", negative="")
    ] = False,
    models: Annotated[
        bool, Parameter(help="With --erase: models that were trained on it, too.", negative="")
    ] = False,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Withdraw records for good: the rows go, and no later ingest brings them back."""
    from flows.maintain import print_removed, remove_records

    done = remove_records(
        stored_at(path, store), ids=ids, groups=groups, erase=erase, models=models, apply=apply
    )
    print_removed(done)
    if as_json:
        print_json(done)


COMMANDS: tuple[Callable[..., None], ...] = (show, verify, gc, remove)
