"""Looks at data, recipes and models that change nothing, each one command."""
