"""The parts of prepare: the two passes over chunks, the chain, shards and what is said of them."""
