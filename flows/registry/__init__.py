"""The models of a dataset: which one is current, and when a new one takes its place."""
