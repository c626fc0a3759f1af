"""Techniques that have a name and options but no code yet: using one says so by name.

Each class lists the options that the technique will take, so that a pipeline file written for it
gets the right message and the reference file can show what is to come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from seqprep.errors import NotBuiltError


class _Planned:
    """Refuses to be made."""

    __slots__ = ()
    name: ClassVar[str]

    def __post_init__(self) -> None:
        raise NotBuiltError(f"the step {self.name}")


@dataclass(frozen=True, kw_only=True)
class Paa(_Planned):
    """Means of blocks of a signal, piecewise aggregate approximation (P10).

    Args:
        block: steps a mean. targets: of the last step, the mean or the majority.
    """

    name: ClassVar[str] = "paa"
    block: int
    targets: Literal["last", "mean", "majority"] = "last"


@dataclass(frozen=True, kw_only=True)
class Sax(_Planned):
    """Symbols of block means of a signal (P10).

    Args:
        block: steps a symbol. alphabet: how many symbols.
    """

    name: ClassVar[str] = "sax"
    block: int
    alphabet: int = 8


@dataclass(frozen=True, kw_only=True)
class BlockMeans(_Planned):
    """Means of blocks of steps (P11): T steps become T / block.

    Args:
        block: steps a mean. targets: of the last step, the mean or the majority.
    """

    name: ClassVar[str] = "block_means"
    block: int
    targets: Literal["last", "mean", "majority"] = "last"


@dataclass(frozen=True, kw_only=True)
class OneHot(_Planned):
    """Tokens as vectors with a single one (P10)."""

    name: ClassVar[str] = "one_hot"


@dataclass(frozen=True, kw_only=True)
class Spectrum(_Planned):
    """The magnitude of each frequency in each window as features (P17).

    Args:
        window_s: seconds a window. stride_s: to the next. max_hz: highest frequency that stays.
    """

    name: ClassVar[str] = "spectrum"
    window_s: float
    stride_s: float
    max_hz: float | None = None


@dataclass(frozen=True, kw_only=True)
class Project(_Planned):
    """Random projection of windows (P11): T steps become T / stride.

    Args:
        window: steps that are projected together; stride: from one to the next.
        features: of the result. targets: of the last step, the mean or the majority.
    """

    name: ClassVar[str] = "project"
    window: int
    stride: int
    features: int
    targets: Literal["last", "mean", "majority"] = "last"


@dataclass(frozen=True, kw_only=True)
class Hash(_Planned):
    """Hashed n-grams of blocks as vectors of a fixed size (P12).

    Args:
        n: longest n-gram. block: tokens a vector. features: of a vector.
    """

    name: ClassVar[str] = "hash"
    n: int = 2
    block: int
    features: int


@dataclass(frozen=True, kw_only=True)
class Differences(_Planned):
    """The change against each of the previous n steps as n features (P16).

    Args:
        n: how many previous steps.
    """

    name: ClassVar[str] = "differences"
    n: int = 128


@dataclass(frozen=True, kw_only=True)
class Bandpass(_Planned):
    """Keep a band of frequencies (P17).

    Args:
        low_hz, high_hz: its edges. order: of the Butterworth filter.
    """

    name: ClassVar[str] = "bandpass"
    low_hz: float
    high_hz: float
    order: int = 4


@dataclass(frozen=True, kw_only=True)
class Notch(_Planned):
    """Remove one frequency, e.g. that of the mains (P17).

    Args:
        at_hz: which. quality: its ratio to the width.
    """

    name: ClassVar[str] = "notch"
    at_hz: float
    quality: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Resample(_Planned):
    """Another sampling rate (P17).

    Args:
        to_hz: the new rate.
    """

    name: ClassVar[str] = "resample"
    to_hz: float


@dataclass(frozen=True, kw_only=True)
class BandPower(_Planned):
    """Power in named bands of each window as features (P17).

    Args:
        bands: name to [low, high] in hertz. window_s: seconds a window; stride_s: to the next.
    """

    name: ClassVar[str] = "band_power"
    bands: dict[str, tuple[float, float]] = field(default_factory=dict)
    window_s: float
    stride_s: float


PLANNED: dict[str, type[_Planned]] = {
    "band_power": BandPower,
    "bandpass": Bandpass,
    "block_means": BlockMeans,
    "differences": Differences,
    "hash": Hash,
    "notch": Notch,
    "one_hot": OneHot,
    "paa": Paa,
    "project": Project,
    "resample": Resample,
    "sax": Sax,
    "spectrum": Spectrum,
}
