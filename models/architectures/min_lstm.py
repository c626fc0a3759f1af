"""The packed LSTM with minLSTM in its place: all steps of a layer at once.

For long records, where an LSTM's loop over steps takes most of the time, and for a GPU. A layer's
gates see one step alone, so give it two layers or a convolution in front; where order within a few
steps is all that tells, the LSTM learns more from each update.
"""

from __future__ import annotations

from models.architectures.lstm import PooledLSTM
from models.layers.min_recurrent import MinLSTM


class PooledMinLSTM(PooledLSTM):
    """See the module.

    Args:
        config: the model's options.
        shape: of the data.
    """

    core_type = MinLSTM
