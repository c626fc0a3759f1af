"""From a vector of a record, or of each step, to outputs."""

from __future__ import annotations

from torch import Tensor, nn

from models.options.model import Model


class Head(nn.Module):
    """Dropout, dense layers with ReLU, and a linear output layer.

    Args:
        features: of the vector.
        config: `head` and `dropout`.
        outputs: classes or channels.
    """

    def __init__(self, features: int, config: Model, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(config.dropout)]
        for units in config.head:
            layers += [nn.Linear(features, units), nn.ReLU(), nn.Dropout(config.dropout)]
            features = units
        self.layers = nn.Sequential(*layers, nn.Linear(features, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values, `(..., outputs)`."""
        out: Tensor = self.layers(x)
        return out
