"""Truncated backpropagation with carried state: schedule, lanes of an epoch, rounds."""
