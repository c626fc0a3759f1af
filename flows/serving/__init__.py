"""What `./run up` and `./run down` are made of."""
