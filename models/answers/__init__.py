"""From outputs to answers: losses of each task, answers of records, and what stands beside them."""
