"""Known mistakes, each beside the right way on the same task: `python -m benchmarks.mistakes`."""
