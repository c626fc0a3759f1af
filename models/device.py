"""The machine under a run: device, CPU threads, denormals, and which form of the LSTM is faster.

Gradients of a loss on the last step decay into denormal numbers, which a CPU handles 4 to 20 times
slower; they are flushed to zero. Two threads on two cores stall when anything else runs, so one is
taken there.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable

import torch
from torch import nn

from models.checks import JobError
from models.config import Train
from models.core import Core, Execution
from models.objectives import Objective
from models.recurrent import EXECUTIONS
from models.shape import TensorBatch

logger = logging.getLogger(__name__)


def prepare_torch(options: Train) -> torch.device:
    """Set denormals, threads and determinism; to be called before anything else uses torch.

    Returns:
        The device to train on.

    Raises:
        JobError: if CUDA or bf16 is asked for and there is none.
    """
    if not flush_denormals():
        logger.warning("this CPU cannot flush denormals: training may be several times slower")
    torch.set_num_threads(options.threads or free_threads())
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise JobError("train.device: cuda, but PyTorch finds none; use auto or cpu")
    use_cuda = options.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if use_cuda else "cpu")
    if options.precision == "bf16" and not supports_bf16(device):
        raise JobError(
            f"train.precision: bf16, but this {device.type} device cannot run an LSTM in bf16; "
            "use float32"
        )
    return device


def supports_bf16(device: torch.device) -> bool:
    """Whether an LSTM runs in bf16 here; on many CPUs PyTorch fails for want of instructions."""
    layer = nn.LSTM(1, 1, batch_first=True).to(device)
    try:
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            layer(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return True


def set_precision(model: nn.Module, *, bf16: bool) -> None:
    """Run every LSTM that reads whole rows under autocast, or not."""
    for module in model.modules():
        if isinstance(module, Core):
            module.autocast = torch.bfloat16 if bf16 else None


def flush_denormals() -> bool:
    """Flush denormals in this thread and those it starts; whether that took."""
    torch.set_flush_denormal(True)
    return float(torch.tensor([1e-38]) * 1e-3) == 0.0


def free_threads() -> int:
    """One thread on up to two cores, else half the cores up to four: an LSTM step is small."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return 1 if cores <= 2 else min(4, cores // 2)


def set_execution(model: nn.Module, execution: Execution) -> None:
    """Choose the form of every LSTM in a model."""
    for module in model.modules():
        if isinstance(module, Core):
            module.execution = execution


def choose_execution(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[TensorBatch],
    *,
    asked: str,
    device: torch.device,
) -> tuple[Execution, dict[str, float]]:
    """Dense on a CPU, the measured faster one on CUDA, or the one that is asked for.

    Args:
        model: on the device.
        objective: to run backwards from.
        batches: a few typical ones, for measuring.
        asked: auto, dense or packed.
        device: of the model.

    Returns:
        The form, set in the model, and seconds a batch of each if they were measured.
    """
    chosen: Execution = "packed" if asked == "packed" else "dense"
    seconds: dict[str, float] = {}
    if asked == "auto" and device.type == "cuda":
        held = list(batches)
        for form in EXECUTIONS:
            set_execution(model, form)
            seconds[form] = _seconds_a_batch(model, objective, held)
        chosen = min(EXECUTIONS, key=lambda form: seconds[form])
    set_execution(model, chosen)
    return chosen, seconds


def _seconds_a_batch(model: nn.Module, objective: Objective, batches: list[TensorBatch]) -> float:
    """Seconds of forward and backward, without the first round."""
    for round_number in range(2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for batch in batches:
            total, _ = objective.loss(model(batch), batch)
            total.backward()
        torch.cuda.synchronize()
        if round_number:
            break
    model.zero_grad(set_to_none=True)
    return (time.perf_counter() - start) / max(1, len(batches))
