"""One model a file, and MODELS, which names them all."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models.architectures.autoencoder import Autoencoder
from models.architectures.chunks import ChunkedLSTM
from models.architectures.encoder_decoder import EncoderDecoder
from models.architectures.hierarchical import HierarchicalLSTM
from models.architectures.lstm import PooledLSTM
from models.architectures.min_lstm import PooledMinLSTM
from models.architectures.next_symbol import NextSymbol
from models.architectures.split import SplitLSTM
from models.options.model import Model
from models.shape import Shape

MODELS: dict[str, Callable[[Model, Shape], nn.Module]] = {
    "lstm": PooledLSTM,
    "min_lstm": PooledMinLSTM,
    "chunks": ChunkedLSTM,
    "hierarchical": HierarchicalLSTM,
    "split": SplitLSTM,
    "encoder_decoder": EncoderDecoder,
    "autoencoder": Autoencoder,
    "next_symbol": NextSymbol,
}


def build(config: Model, shape: Shape) -> nn.Module:
    """The model that the options name, with fresh weights.

    Args:
        config: the model's options.
        shape: of the data.

    Returns:
        The model, on the default device.

    Raises:
        ValueError: if the model does not learn the task, or its options do not go together.
    """
    return MODELS[config.name](config, shape)
