"""Optimiser, clipping and schedule of segments against one another, in equal updates (S3)."""
