"""Which tasks a model learns, and which of its options go together.

Said twice: before any work starts, and by the model itself, which may come from a bundle. Standard
library only.
"""

from __future__ import annotations

import math
from typing import Literal

from models.options.checks import JobError
from models.options.model import Model

Kind = Literal["tokens", "values"]

OF_RECORDS, OF_STEPS = ("classify", "regress"), ("label_steps", "regress_steps")
ANSWERED_BY_STEP = (*OF_STEPS, "next")
"""Tasks whose models have an output at each step."""
TASKS: dict[str, tuple[str, ...]] = {
    "lstm": (*OF_RECORDS, *OF_STEPS),
    "min_lstm": (*OF_RECORDS, *OF_STEPS),
    "chunks": (*OF_RECORDS, *OF_STEPS),
    "hierarchical": OF_RECORDS,
    "split": OF_RECORDS,
    "encoder_decoder": ("translate",),
    "autoencoder": ("reconstruct",),
    "next_symbol": ("next",),
}
"""What each model learns."""
CARRIED = ("lstm", "min_lstm", "next_symbol")
"""Models that are read segment by segment with the state handed on."""


def check_model(model: Model, *, task: str, kind: Kind) -> None:
    """Refuse a task, or options that do not go together or that leave weights unlearnt.

    Args:
        model: its options.
        task: what is learnt.
        kind: of the inputs.

    Raises:
        JobError: with the reason.
    """
    check_task(model.name, task)
    if task in OF_STEPS:
        check_keeps_steps(model, task)
    if model.name == "chunks":
        check_chunk_directions(model)
    if model.name == "split":
        check_second_backwards(model)
    if task == "next":
        check_foretells(model, tokens=kind == "tokens")
    if task == "reconstruct":
        check_codes(model)
    check_reads_steps(model)


def check_task(name: str, task: str) -> None:
    """Refuse a task that a model does not learn.

    Raises:
        JobError: naming the models that do.
    """
    if task not in TASKS[name]:
        able = [other for other, tasks in TASKS.items() if task in tasks]
        raise JobError(
            f"train.model.name: {name} does not learn task {task!r} (it does "
            f"{', '.join(TASKS[name])}); choose {' or '.join(able)}, or change source.task"
        )


def front_stride(model: Model) -> int:
    """How many input steps the front makes one."""
    return model.front.parallel * math.prod(conv.stride for conv in model.front.conv)


def check_keeps_steps(model: Model, task: str) -> None:
    """Refuse a front that shortens where each step needs an output of its own.

    Raises:
        JobError: naming the front's options.
    """
    stride = front_stride(model)
    if stride > 1:
        raise JobError(
            f"task {task!r} needs an output for each step, but train.model.front leaves one of "
            f"{stride} steps (parallel x strides of conv: a stride of {stride} in all); set "
            "parallel and every stride to 1"
        )


def check_foretells(model: Model, *, tokens: bool) -> None:
    """Refuse what would see the symbol that is to be foretold, or has none.

    Raises:
        JobError: naming the option.
    """
    if not tokens:
        raise JobError(
            "task 'next' foretells tokens, and these sequences are values; make them tokens, e.g. "
            "by prepare.tokens: {unit: symbol}, or choose task reconstruct"
        )
    if model.front.conv or model.front.parallel > 1:
        raise JobError(
            "train.model.front: next_symbol would see in conv or parallel the steps that it has "
            "to foretell; remove them"
        )
    if model.bidirectional:
        raise JobError(
            "train.model.bidirectional: true, but next_symbol would see in the other direction "
            "what it has to foretell; set bidirectional: false"
        )


def check_codes(model: Model) -> None:
    """Refuse codes of blocks of steps that the front tears apart.

    Raises:
        JobError: naming the options.
    """
    every = model.code_every
    if every is None:
        return
    stride = front_stride(model)
    if every % stride:
        raise JobError(
            f"train.model.code_every must be a multiple of the front's stride ({stride}), got "
            f"{every}; try {max(1, round(every / stride)) * stride}"
        )
    if model.front.parallel > 1 and model.front.layout == "contiguous":
        raise JobError(
            "train.model.code_every needs neighbouring steps side by side, but front.layout: "
            "contiguous puts distant ones there; choose layout: interleaved"
        )


def check_reads_steps(model: Model) -> None:
    """Refuse an LSTM that is given single steps from a fresh state: it never learns to remember.

    Only before training: a bundle that was trained so answers as it always did.

    Raises:
        JobError: naming the option.
    """
    why = "single steps leave its recurrent weights without a gradient; "
    if model.name == "hierarchical" and model.chunk == 1:
        raise JobError(
            "train.model.chunk: 1, but the lower LSTM starts anew in every chunk, and "
            f"{why}use chunk >= 2, or name: lstm"
        )
    if model.name == "autoencoder" and model.code_every == 1:
        raise JobError(
            "train.model.code_every: 1, but the decoder starts anew from every code, and "
            f"{why}use code_every >= 2, or none"
        )


def can_pack(model: Model) -> bool:
    """Whether a core of the model has a packed form.

    minLSTM runs in one form, and what hands its state on holds the rows that have ended dense.
    """
    return model.name != "min_lstm" and (model.name != "chunks" or model.overlap > 0)


def check_chunk_directions(model: Model) -> None:
    """Refuse chunks that would hand a state backwards.

    Raises:
        JobError: naming both options.
    """
    if model.bidirectional and not model.overlap:
        raise JobError(
            "train.model.bidirectional: true, but chunks without overlap hand the state on in one "
            "direction only; set bidirectional: false, or an overlap"
        )


def check_second_backwards(model: Model) -> None:
    """Refuse to turn round what is read both ways.

    Raises:
        JobError: naming both options.
    """
    if model.second_backwards and model.bidirectional:
        raise JobError(
            "train.model.second_backwards: true, but with bidirectional: true every part is read "
            "both ways already; set bidirectional: false"
        )
