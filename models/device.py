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

from models.answers.objectives import Objective
from models.layers.core import Core, Execution
from models.layers.recurrent import EXECUTIONS, LSTM
from models.options.checks import JobError
from models.options.training import Train
from models.ranks import place_here
from models.shape import TensorBatch

logger = logging.getLogger(__name__)

AUTOCAST: dict[str, torch.dtype | None] = {
    "float32": None,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
}
"""Precision -> the type in which layers run."""


def prepare_torch(options: Train) -> torch.device:
    """Set denormals, threads and determinism; to be called before anything else uses torch.

    Returns:
        The device to train on.

    Raises:
        JobError: if CUDA, or more devices than there are, or a precision is asked for that this
            machine has not.
    """
    if not flush_denormals():
        logger.warning("this CPU cannot flush denormals: training may be several times slower")
    place, here = place_here()
    torch.set_num_threads(options.threads or max(1, free_threads() // here))
    set_determinism(options.deterministic)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise JobError("train.device: cuda, but PyTorch finds none; use auto or cpu")
    use_cuda = options.device != "cpu" and torch.cuda.is_available()
    device = _cuda(place, here) if use_cuda else torch.device("cpu")
    if options.precision == "bf16" and not supports_bf16(device):
        raise JobError(
            f"train.precision: bf16, but this {device.type} device cannot run an LSTM in bf16; "
            "use float32"
        )
    if options.precision == "float16" and device.type == "cpu":
        raise JobError(
            "train.precision: float16, but on a CPU PyTorch computes float16 more slowly than "
            "float32, and its numbers overflow above 65,504; use float32 or bf16, or device: cuda"
        )
    return device


def _cuda(place: int, here: int) -> torch.device:
    """The CUDA device of a process, one for each."""
    count = torch.cuda.device_count()
    if here > count:
        raise JobError(
            f"train.processes: {here} on this machine, but PyTorch finds {count} CUDA devices; "
            f"use processes: {count}, or device: cpu"
        )
    if here > 1:
        torch.cuda.set_device(place)
    return torch.device("cuda", place) if here > 1 else torch.device("cuda")


def set_determinism(wanted: bool) -> None:
    """Have PyTorch give the same bits twice on one machine, CPU or CUDA, or leave it free.

    Source: https://pytorch.org/docs/stable/notes/randomness.html
    """
    if wanted:  # read when the first matrix product runs on CUDA
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if torch.are_deterministic_algorithms_enabled() != wanted:
        torch.use_deterministic_algorithms(wanted)  # imports PyTorch's compiler: two seconds
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = False


def supports_bf16(device: torch.device) -> bool:
    """Whether an LSTM runs in bf16 here; on many CPUs PyTorch fails for want of instructions."""
    layer = nn.LSTM(1, 1, batch_first=True).to(device)
    try:
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            layer(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return True


def set_precision(model: nn.Module, precision: str) -> None:
    """Run every recurrent core under autocast, or, for float32, not."""
    for module in model.modules():
        if isinstance(module, Core):
            module.autocast = AUTOCAST[precision]


def precision_of(bundle_precision: str, device: torch.device) -> str:
    """The precision that a trained model predicts in: its own, or float32 where that cannot run."""
    runs = {"float32": True, "bf16": supports_bf16(device), "float16": device.type == "cuda"}
    if runs[bundle_precision]:
        return bundle_precision
    logger.warning("this device cannot run an LSTM in %s: predicting in float32", bundle_precision)
    return "float32"


def scaler_for(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """What keeps small gradients of a float16 loss from vanishing; for others it does nothing.

    Source: Micikevicius et al. 2018, arXiv:1710.03740
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")


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
    has_forms = any(isinstance(module, LSTM) for module in model.modules())
    if asked == "auto" and device.type == "cuda" and has_forms:
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
