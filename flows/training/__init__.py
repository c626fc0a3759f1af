"""A training as a process of its own: its job, its signals, its events and its files."""
