"""Which way of handling long sequences works on a person's own data: a fair comparison (S1)."""
