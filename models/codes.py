"""Records to the codes of an autoencoder, with what each code fails to tell.

Legend: B rows, K codes of a row, H units.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from models.answers.beside import FLOATS, Columns, Produced, unpadded
from models.answers.objectives import objective_for
from models.answers.outputs import pool, run
from models.bundle import Bundle
from models.device import precision_of, set_precision
from models.shape import TensorBatch
from seqprep.batches import BatchSettings, BatchSource
from seqprep.errors import SeqprepError
from seqprep.ragged import Ragged


def check_autoencoder(bundle: Bundle) -> None:
    """Refuse a model without codes.

    Raises:
        SeqprepError: naming the model.
    """
    if bundle.config.name != "autoencoder":
        raise SeqprepError(
            f"codes are made by an autoencoder, and this bundle is a {bundle.config.name}; train "
            "one with source.task: reconstruct and train.model.name: autoencoder"
        )


def encode(bundle: Bundle, examples: pa.Table, *, device: torch.device) -> pa.Table:
    """The codes of prepared records.

    Args:
        bundle: of an autoencoder.
        examples: rows with the schema of `examples`; windows of a record share its id.
        device: to run on.

    Returns:
        One row a record, in the order of first occurrence: `id`, `codes` (list<float32>, row-major
        codes x H, those of windows one after the other) and `reconstruction_error`.
    """
    settings = BatchSettings(batch_tokens=bundle.batch_tokens)
    unlabelled = [name for name in ("label", "targets") if name in examples.column_names]
    source = BatchSource.of_examples(
        examples.drop_columns(unlabelled), bundle.facts, settings=settings
    )
    set_precision(bundle.model, precision_of(bundle.precision, device))
    objective = objective_for("reconstruct", moments=bundle.moments)
    found = pool(run(bundle.model.to(device), source, objective, device=device, beside=_codes))
    assert isinstance(found.answers, Ragged)
    sums = np.add.reduceat(found.answers.values[:, 0], found.answers.offsets[:-1])
    return pa.table(
        {
            "id": found.ids,
            "codes": found.columns["codes"],
            "reconstruction_error": pa.array(sums / found.answers.lengths, pa.float64()),
        }
    )


def _codes(model: nn.Module, batch: TensorBatch, ids: pa.Array, produced: Produced) -> Columns:
    codes: Callable[[TensorBatch], tuple[Tensor, Tensor]] = model.codes  # type: ignore[assignment]
    return {"codes": unpadded(*codes(batch), FLOATS)}
