"""What a person may ask of a model and its training, and which options go together."""
