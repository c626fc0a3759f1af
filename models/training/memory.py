"""How much memory training takes: the high-water mark of the process, or of the CUDA device.

A high-water mark never falls, so what was used at once before training began hides as much of what
training takes; a job that runs in a process of its own, as the flows start it, tells all.
"""

from __future__ import annotations

import sys

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
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)
