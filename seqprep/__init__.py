"""Prepare long labelled sequences: ingest, clean, shorten, augment, bucket, version."""

__version__ = "0.2.0"
