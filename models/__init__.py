"""Learn from long labelled sequences with recurrent models."""
