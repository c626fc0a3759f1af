"""How much memory the activations of a batch take, whole and with layers computed again.

Figures count floats and come from measurements of PyTorch's LSTM on a CPU; CUDA takes less. With C
row-steps (B rows by T steps), a layer of H units that reads F features keeps 17 H + 3 F floats a
row-step for its backward pass, which needs 6 H + 5 F more while it runs. So

    whole       C x (sum over layers and directions of (17 H + 3 F) + what the rest keeps)
    in blocks   C x (F + sum over layers of D H x (1.1, or 2.1 with dropout) + 2 D H + the rest)
                + one block's row-steps x (23 H + 8 F)
    pooled in segments (`pooled_segments`)
                one segment's row-steps x (sum over layers (17 H + 3 F) + 6 H + 5 F + pooling)
                + T / steps of a segment x (states and pooled vectors of B rows + 5 kB)

The rest is the front's features, pooling and head.

Legend: B rows, T steps, C row-steps, F features, H units of a direction, D directions.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from models.layers.core import Core
from models.layers.front import Front, StridedConvolution
from models.layers.pooling import Pool
from models.layers.recompute import block_sizes
from models.options.model import Model
from models.shape import TensorBatch

_FLOAT_BYTES = 4
_CALL_BYTES = 5_120
"""Of a block that is computed again: the state of the random numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Of a batch.

    Args:
        rows: B. steps: of the longest. symbols: of the longest target; 0 without.
    """

    rows: int
    steps: int
    symbols: int = 0

    @classmethod
    def of(cls, batch: TensorBatch) -> Size:
        """The size of a batch, padding included."""
        symbols = 0 if batch.target_tokens is None else batch.target_tokens.shape[1]
        return cls(rows=len(batch), steps=batch.inputs.shape[1], symbols=symbols)

    @property
    def cells(self) -> int:
        """Row-steps, padding included."""
        return self.rows * self.steps


def layer_floats(core: Core) -> list[float]:
    """What each layer keeps of a row-step for its backward pass, both directions together."""
    inputs = [core.inputs, *[core.features] * (len(core.layers) - 1)]
    return [core.directions * (core.unit_floats * core.hidden + 3 * size) for size in inputs]


def working_floats(core: Core) -> float:
    """What one direction of the widest layer needs of a row-step while it runs backwards."""
    widest = max(core.inputs, core.features if len(core.layers) > 1 else 0)
    return 6.0 * core.hidden + 5.0 * widest


def whole_bytes(model: nn.Module, options: Model, size: Size) -> float:
    """All activations of a batch, nothing computed again."""
    floats = _rest_floats(model, options, size)
    for core, cells in _reads(model, options, size):
        floats += cells * (sum(layer_floats(core)) + working_floats(core))
    return _FLOAT_BYTES * floats


def block_bytes(model: nn.Module, options: Model, size: Size, block: int) -> float:
    """With every layer computed again in blocks of so many row-steps."""
    floats = _rest_floats(model, options, size)
    working, calls = 0.0, 0.0
    for core, cells in _reads(model, options, size):
        dropout = 1.0 if core.dropout.p else 0.0
        kept = len(core.layers) * (1.1 + dropout) - dropout + 2
        floats += cells * (core.inputs + core.features * kept)
        rows, steps = block_sizes(size.rows, max(1, int(cells / size.rows)), block)
        widest = max(layer_floats(core)) / core.directions + working_floats(core)
        working = max(working, rows * steps * widest)
        blocks = core.directions * len(core.layers) * cells / (rows * steps)
        floats += blocks * rows * core.state_parts * core.hidden
        calls += blocks
    return _FLOAT_BYTES * (floats + working) + _CALL_BYTES * calls


def segment_bytes(core: Core, front: Front, pool: Pool, size: Size, *, block: int) -> float:
    """With records pooled in segments of so many row-steps, the front read inside them."""
    both = core.directions == 2 and "attention" in pool.names
    layers = sum(layer_floats(core)) if both else sum(layer_floats(core)) / core.directions
    width = core.features if both else core.hidden
    pooling = width * (4.0 if "attention" in pool.names else 1.0)
    a_cell = layers + working_floats(core) + pooling + front_floats(front)
    cells = min(size.cells, max(block, size.rows))
    states = 2 * core.state_parts * core.hidden * len(core.layers) * core.directions
    border = _FLOAT_BYTES * size.rows * (states + 3 * pool.features) + _CALL_BYTES
    return _FLOAT_BYTES * cells * a_cell + size.cells / cells * core.directions * border


def front_floats(front: Front) -> float:
    """What a front keeps of each step of the raw input."""
    convolutions = [one for one in front.convolutions if isinstance(one, StridedConvolution)]
    first = convolutions[0].convolution.in_channels if convolutions else front.features
    embedded = first / front.parallel
    floats = embedded * (2.0 if front.dropout.p else 1.0)
    if front.parallel > 1:
        floats += 2 * embedded
    share = 1 / front.parallel
    for one in convolutions:
        floats += share * 4 * one.convolution.in_channels
        share /= one.stride
        floats += share * 4 * one.convolution.out_channels
    return floats


def _reads(model: nn.Module, options: Model, size: Size) -> list[tuple[Core, float]]:
    """Each core with the row-steps that it reads."""
    cores = [module for module in model.modules() if isinstance(module, Core)]
    stride = next(m.stride for m in model.modules() if isinstance(m, Front))
    cells = [size.rows * float(-(-size.steps // stride))] * len(cores)
    if options.name == "split":
        cells = [one / len(cores) for one in cells]
    elif options.name == "hierarchical":
        cells[1] /= options.chunk
    elif options.name == "chunks" and options.overlap:
        cells[0] *= options.chunk / (options.chunk - options.overlap)
    elif options.name == "encoder_decoder":
        cells[1] = float(size.rows * size.symbols)
    elif options.name == "autoencoder":
        cells[1] = float(size.cells)
    return list(zip(cores, cells, strict=True))


def _rest_floats(model: nn.Module, options: Model, size: Size) -> float:
    """Front, pooling, attention and head."""
    floats = 0.0
    pools = [module for module in model.modules() if isinstance(module, Pool)]
    wide = 4.0 if any("attention" in pool.names for pool in pools) else 1.0
    reads = _reads(model, options, size)
    for module in model.modules():
        if isinstance(module, Front):
            floats += size.cells * front_floats(module)
    for core, cells in reads:
        floats += cells * core.features * wide
    if not pools:  # an output for each step or symbol
        outputs = _last_linear(model).out_features
        floats += max(cells for _, cells in reads) * (4 * outputs + 3 * sum(options.head))
    if options.name == "encoder_decoder" and options.attention:
        floats += reads[0][1] * options.hidden + 5 * size.cells * size.symbols
    return floats


def _last_linear(model: nn.Module) -> nn.Linear:
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
