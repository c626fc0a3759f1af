"""What models are made of: front, recurrent layers, pooling, head; whole or by segments."""
