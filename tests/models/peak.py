"""Memory as a test sees it: what PyTorch's allocator handed out, so the same in every run."""

from __future__ import annotations

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_bytes(job: Callable[[], object]) -> int:
    """The most bytes of tensors that a job holds at a time, beside those that it found."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        job()
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
