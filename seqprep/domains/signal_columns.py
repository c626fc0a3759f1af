"""Which columns of a signal's table are channels, time, targets, label and group."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from seqprep.domains.signal_tables import Layout, SignalError
from seqprep.errors import InputError
from seqprep.files import SourceFile
from seqprep.records import Context

TIME_NAMES = ("time", "times", "timestamp", "timestamps", "second", "seconds", "time_s")


class Picked(NamedTuple):
    """Positions of columns.

    Args:
        channels: of values, in the order of `names`.
        names: of the channels; positions as text where there is no header.
        time: none or one. targets: per-step targets.
        cells: of `label` and `group`. kept: of the columns to keep, by name.
    """

    channels: list[int]
    names: tuple[str, ...]
    time: list[int]
    targets: list[int]
    cells: dict[str, int]
    kept: dict[str, int]


def pick_columns(layout: Layout, context: Context, file: SourceFile) -> Picked:
    """Where each column that a source asks for stands in this file.

    Raises:
        SignalError: if a channel is missing.
        InputError: if a name occurs twice, or names are asked of a file without a header.
    """
    source = context.source
    _check_names(layout, file)
    time = _time_column(layout, context, file)
    targets = (
        []
        if source.target is None
        else [
            place
            for name in source.target.names
            if (place := _place(layout, name, file, optional=context.predicting)) is not None
        ]
    )
    cells, kept = {}, {}
    for key, reader in (("label", context.label), ("group", context.group)):
        if reader is not None and reader.column is not None:
            cells[key] = _needed(layout, reader.column, file)
    for name in () if context.predicting else source.keep:
        kept[name] = _needed(layout, name, file)
    if source.channels:
        channels = [_needed(layout, name, file) for name in source.channels]
    else:
        taken = {*time, *targets, *cells.values(), *kept.values(), *_unread(layout, context)}
        channels = [place for place in range(layout.width) if place not in taken]
    if not channels:
        raise SignalError("wrong_channels", None, "no column is left for values")
    names = tuple(layout.names[place] if layout.names else str(place) for place in channels)
    if not source.channels:
        channels, names = _in_known_order(channels, names, context.facts.channels)
        _refuse_unnamed(names, file, layout)
    return Picked(channels, names, time, targets, cells, kept)


def _in_known_order(
    channels: list[int], names: tuple[str, ...], known: tuple[str, ...]
) -> tuple[list[int], tuple[str, ...]]:
    """The same channels in the first file's order, where they are the same."""
    if not known or set(names) != set(known):
        return channels, names
    place = dict(zip(names, channels, strict=True))
    return [place[name] for name in known], known


def _unread(layout: Layout, context: Context) -> list[int]:
    """Label, group and kept columns that may stand in a file to predict and are no channels."""
    if not context.predicting or layout.names is None:
        return []
    source = context.source
    asked = [*source.keep]
    for field in (source.label, source.group):
        if field is not None and field.from_ == "column" and field.column is not None:
            asked.append(str(field.column))
    return [layout.names.index(name) for name in asked if name in layout.names]


def _check_names(layout: Layout, file: SourceFile) -> None:
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


def _refuse_unnamed(names: tuple[str, ...], file: SourceFile, layout: Layout) -> None:
    if "" in names:
        raise InputError(
            "a column has no name (a row number, perhaps?); list the channels in source.channels",
            file=file.path,
            line=max(1, layout.first_line - 1),
            reason="unnamed_channel",
        )


def _time_column(layout: Layout, context: Context, file: SourceFile) -> list[int]:
    wanted = context.source.time_column
    if wanted == "none":
        return []
    if wanted != "auto":
        return [_needed(layout, wanted, file)]
    for place, name in enumerate(layout.names or ()):
        if name.lower() in TIME_NAMES:
            return [place]
    return []


def _needed(layout: Layout, name: str | int, file: SourceFile) -> int:
    place = _place(layout, name, file, optional=False)
    assert place is not None
    return place


def _place(layout: Layout, name: str | int, file: SourceFile, *, optional: bool) -> int | None:
    if isinstance(name, int):
        if 0 <= name < layout.width:
            return name
    elif layout.names is None:
        if name.isdecimal():
            return _place(layout, int(name), file, optional=optional)
        if not optional:
            raise InputError(
                f"has no header, so there is no column {name!r}; give its position, from 0",
                file=file.path,
                line=layout.first_line,
                reason="no_column",
            )
    elif name in layout.names:
        return layout.names.index(name)
    if optional:
        return None
    has = ", ".join(layout.names[:20]) if layout.names else f"{layout.width} columns"
    raise SignalError("wrong_channels", None, f"has no column {name!r}; it has {has}")
