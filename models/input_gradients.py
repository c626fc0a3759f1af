"""The gradient of a model's output with respect to each step that it read.

Use it to ask what an answer hangs on: `lag` gathers it by the distance from the end. Full
backpropagation, however the model was trained, with dropout and noise off; activations of long rows
can be computed again.

Legend: B rows of a batch, T steps, F features, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.layers.core import Core, last_step
from models.shape import TensorBatch
from seqprep.schema import EOS, Task

__all__ = ["PROBED", "input_gradients"]


def input_gradients(
    model: nn.Module, batch: TensorBatch, task: Task, *, block: int | None = None
) -> Tensor:
    """Norms of the gradient of each row's output with respect to each of its steps, `(B, T)`.

    Args:
        model: with a Front, its weights held still.
        batch: on the model's device; targets are not needed.
        task: decides which output.
        block: row-steps whose activations are kept, the others computed again; None: all.
    """
    was_training = model.training
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()  # cuDNN goes backwards in this mode only; a single layer drops nothing
    try:
        with torch.enable_grad(), _leaf(model) as leaves, _in_blocks(model, block):
            scores_B = _PROBES[task](model(_without_targets(batch, task)), batch)
            (leaf_BTF,) = leaves
            assert leaf_BTF.shape[:2] == batch.inputs.shape[:2], leaf_BTF.shape
            (gradient_BTF,) = torch.autograd.grad(
                scores_B.sum(), leaf_BTF, allow_unused=True, materialize_grads=True
            )
    finally:
        model.train(was_training)
    norms_BT: Tensor = gradient_BTF.norm(dim=-1)
    return norms_BT


@contextmanager
def _leaf(model: nn.Module) -> Iterator[list[Tensor]]:
    """The features of input steps, `(B, T, F)`, as a model's front sees them: a leaf of the graph.

    They pass the front's dropout, which does nothing here, on their way to all the rest.
    """
    leaves: list[Tensor] = []

    def hold(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor]:
        leaves.append(arguments[0].detach().requires_grad_())
        return (leaves[-1],)

    handle = model.get_submodule("front.dropout").register_forward_pre_hook(hold)
    try:
        yield leaves
    finally:
        handle.remove()


@contextmanager
def _in_blocks(model: nn.Module, block: int | None) -> Iterator[None]:
    """Let the cores keep the activations of so many row-steps alone; the front is read whole."""
    cores = [module for module in model.modules() if isinstance(module, Core)]
    before = [core.block for core in cores]
    for core in cores:
        core.block = block
    try:
        yield
    finally:
        for core, was in zip(cores, before, strict=True):
            core.block = was


def _without_targets(batch: TensorBatch, task: Task) -> TensorBatch:
    """An encoder-decoder gets one target symbol, of which it sees only that there is one."""
    if task != "translate":
        return replace(batch, labels=None, targets=None, target_tokens=None)
    symbol_B1 = torch.full((len(batch), 1), EOS, device=batch.lengths.device)
    return replace(batch, target_tokens=symbol_B1)


def _class(out_BC: Tensor, batch: TensorBatch) -> Tensor:
    return out_BC.amax(-1)


def _values(out_BC: Tensor, batch: TensorBatch) -> Tensor:
    return out_BC.norm(dim=-1)


def _last_class(out_BTC: Tensor, batch: TensorBatch) -> Tensor:
    return last_step(out_BTC, batch.lengths).amax(-1)


def _last_values(out_BTC: Tensor, batch: TensorBatch) -> Tensor:
    return last_step(out_BTC, batch.lengths).norm(dim=-1)


def _first_symbol(out_BSV: Tensor, batch: TensorBatch) -> Tensor:
    return out_BSV[:, 0, EOS:].amax(-1)  # PAD and BOS are never predicted


def _rebuilt(out_BTC: Tensor, batch: TensorBatch) -> Tensor:
    tokens = not batch.inputs.is_floating_point()
    return (_last_class if tokens else _last_values)(out_BTC, batch)


_PROBES: dict[Task, Callable[[Tensor, TensorBatch], Tensor]] = {
    "classify": _class,
    "regress": _values,
    "label_steps": _last_class,
    "regress_steps": _last_values,
    "translate": _first_symbol,
    "next": _last_class,
    "reconstruct": _rebuilt,
}
PROBED: dict[Task, str] = {
    "classify": "logit of the predicted class",
    "regress": "size of the predicted value",
    "label_steps": "logit of the class predicted for the last step",
    "regress_steps": "size of the values predicted for the last step",
    "translate": "logit of the first predicted symbol",
    "next": "logit of the symbol foretold after the last step",
    "reconstruct": "last step as it is rebuilt",
}
"""Whose gradient it is, by task."""
