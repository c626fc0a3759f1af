"""Orchestrate preparation and training, and present the results."""
