"""Which columns of a signal's table are channels, time, targets, label and group."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from seqprep.domains.signal_layout import Layout, SignalError
from seqprep.domains.signal_time import TimeColumn, find_time, named_time, rises_evenly
from seqprep.errors import InputError
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context
from seqprep.source import Source


class Picked(NamedTuple):
    """Positions of columns.

    Args:
        channels: of values, in the order of `names`.
        names: of the channels; positions as text where there is no header.
        time: none or one. targets: per-step targets.
        cells: of `label` and `group`. kept: of the columns to keep, by name.
        per_second: units of `time` in a second.
    """

    channels: list[int]
    names: tuple[str, ...]
    time: list[int]
    targets: list[int]
    cells: dict[str, int]
    kept: dict[str, int]
    per_second: int


def pick_columns(layout: Layout, context: Context, file: SourceFile) -> Picked:
    """Where each column that a source asks for stands in this file.

    Raises:
        SignalError: if a channel is missing.
        InputError: if a name occurs twice, or names are asked of a file without a header.
    """
    source = context.source
    check_names(layout, file)
    cells, kept, targets = {}, {}, []
    for key, reader in (("label", context.label), ("group", context.group)):
        if reader is not None and reader.column is not None:
            cells[key] = find_column(layout, reader.column, file)
    if not context.predicting:
        kept = {name: find_column(layout, name, file) for name in source.keep}
        targets = [find_column(layout, name, file) for name in target_names(source)]
    taken = {*targets, *cells.values(), *kept.values()}
    clock = _time_column(layout, context, file, taken)
    time = [] if clock is None else [clock.place]
    channels = _channels(layout, context, file, taken | set(time))
    if not channels:
        raise SignalError("wrong_channels", layout.header_line, "no column is left for values")
    _check_apart(layout, channels, time + targets, file)
    names = tuple(layout.names[place] if layout.names else str(place) for place in channels)
    if "" in names:
        raise InputError(
            "a column has no name (a row number, perhaps?); list the channels in source.channels",
            file=file.path,
            line=max(1, layout.first_line - 1),
            reason="unnamed_channel",
        )
    per_second = 1 if clock is None else clock.per_second
    return Picked(channels, names, time, targets, cells, kept, per_second)


def _check_apart(layout: Layout, channels: list[int], others: list[int], file: SourceFile) -> None:
    """Refuse a column that is a channel twice, or also the time or a target."""
    for number, place in enumerate(channels):
        if place in others or place in channels[:number]:
            name = layout.names[place] if layout.names else str(place)
            other = "also the time or a target" if place in others else "listed twice"
            raise InputError(
                f"channel {name!r} is {other}; change source.channels, source.time_column (none: "
                "no column is the time) or source.target",
                file=file.path,
                line=layout.header_line,
                reason="duplicate_channel",
            )


def target_names(source: Source) -> tuple[str | int, ...]:
    """The per-step target columns that are asked for."""
    return () if source.target is None else source.target.names


def _channels(layout: Layout, context: Context, file: SourceFile, taken: set[int]) -> list[int]:
    """Those asked for; else those of the first file, where this file has them and no others."""
    wanted = context.source.channels
    known = context.facts.channels
    if context.predicting and not wanted:
        # What stands beside the channels of the training does not matter: labels, for example.
        wanted = known
    if wanted:
        return [find_column(layout, name, file) for name in wanted]
    if context.predicting:
        taken = taken | _unread(layout, context.source)
    rest = [place for place in range(layout.width) if place not in taken]
    names = [layout.names[place] if layout.names else str(place) for place in rest]
    if known and set(names) == set(known):
        return [rest[names.index(name)] for name in known]
    return rest


def _unread(layout: Layout, source: Source) -> set[int]:
    """Label, group, target and kept columns that may stand in a file to predict."""
    fields = [field for field in (source.label, source.group) if field and field.from_ == "column"]
    asked = {*source.keep, *target_names(source), *(field.column for field in fields)}
    named = {place for place, name in enumerate(layout.names or ()) if name in asked}
    return named | {place for place in asked if isinstance(place, int)}


def check_names(layout: Layout, file: SourceFile) -> None:
    """Refuse a header with a name that occurs twice.

    Raises:
        InputError: naming it.
    """
    if layout.names is None:
        return
    twice = [name for name, count in Counter(layout.names).items() if count > 1 and name]
    if twice:
        raise InputError(
            f"the column name {twice[0]!r} occurs twice in the header; rename one",
            file=file.path,
            line=max(1, layout.first_line - 1),
            reason="duplicate_channel",
        )


def _time_column(
    layout: Layout, context: Context, file: SourceFile, taken: set[int]
) -> TimeColumn | None:
    """The time: what is asked for, else found by its name among what nothing else takes."""
    wanted, known = context.source.time_column, context.facts.channels
    if wanted == "none":
        return None
    if wanted != "auto":
        return named_time(layout, find_column(layout, wanted, file))
    found = find_time(layout, others={*taken, *known})
    if found is None and _is_bare_time(layout, context, taken):
        return TimeColumn(0, 1)
    return found


def _is_bare_time(layout: Layout, context: Context, taken: set[int]) -> bool:
    """Whether the first column is called `t` and is the time, not a channel of that name."""
    if layout.width < 2 or not layout.names or layout.names[0] != "t" or 0 in taken:
        return False
    known = context.facts.channels
    if {"t", 0} & {*context.source.channels, *known}:
        return False
    # Beside the dataset's channels it could be none, even where it has a gap.
    return bool(known and not context.predicting) or rises_evenly(layout)


def find_column(layout: Layout, name: str | int, file: SourceFile) -> int:
    """Where a column stands.

    Raises:
        SignalError: if this file lacks it.
        InputError: if it has no header and the column was asked for by name.
    """
    if isinstance(name, str) and layout.names is None:
        if not name.isdecimal():
            raise InputError(
                f"has no header, so there is no column {name!r}; give its position, from 0",
                file=file.path,
                line=layout.first_line,
                reason="no_column",
            )
        name = int(name)
    if isinstance(name, int) and 0 <= name < layout.width:
        return name
    if layout.names is not None and name in layout.names:
        return layout.names.index(str(name))
    has = ", ".join(layout.names[:20]) if layout.names else f"{layout.width} columns"
    raise SignalError("wrong_channels", layout.header_line, f"has no column {name!r}; it has {has}")
