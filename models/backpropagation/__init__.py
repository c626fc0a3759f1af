"""From a batch to gradients: all steps, the last k, or all in bounded memory."""
