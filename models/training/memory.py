"""How much memory training takes: the high-water mark of the process, or of the CUDA device.

A high-water mark never falls, so what was used at once before training began hides as much of what
training takes; a job that runs in a process of its own, as the flows start it, tells all. CUDA
can forget its mark.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

try:
    import resource
except ImportError:  # Windows has no such counter
    resource = None  # type: ignore[assignment]


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use so far: resident on a CPU, allocated on CUDA; 0 if unknown.

    >>> peak_bytes(torch.device("cpu")) > 2**20
    True
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    own = _own_peak()
    if own is not None:
        return own
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def _own_peak() -> int | None:
    """The mark of this program alone, where the kernel tells it.

    That of `getrusage` begins with the memory of the program that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(peaks[0]) if peaks else None


def reset_peak(device: torch.device) -> None:
    """Forget the high-water mark of a CUDA device; that of a process stays."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


class Growth:
    """By how much memory grew beyond what was in use when work began."""

    def __init__(self) -> None:
        self._base: int | None = None

    def begin(self, device: torch.device) -> None:
        """Work begins; what is said a second time changes nothing."""
        if self._base is None:
            self._base = peak_bytes(device)

    def most(self, device: torch.device) -> int:
        """The most bytes since then; 0 before it."""
        return 0 if self._base is None else peak_bytes(device) - self._base
