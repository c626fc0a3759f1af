"""A training run: its set-up, updates, checkpoints, processes, events and report."""
