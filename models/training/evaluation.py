"""Answers of a split by a model in training, in blocks where training needs them, and counted."""

from __future__ import annotations

from collections.abc import Callable

from models.answers import outputs
from models.backpropagation.evaluation import in_blocks
from models.training.run import Run
from seqprep.batches import BatchSource


def answers(
    run: Run, source: BatchSource, *, between: Callable[[], None] | None = None
) -> outputs.Outputs:
    """Run the model over a split; what memory grows by counts as training's.

    Args:
        run: its model is left as it was.
        source: of the split.
        between: called after each batch.
    """
    run.growth.begin(run.device)
    with in_blocks(run.model, run.options, run.device):
        found = outputs.run(run.model, source, run.plain, device=run.device, between=between)
    run.note_memory()
    return found
