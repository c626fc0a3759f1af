"""Ingest and prepare on a Dask cluster."""
