"""The parts of ingest: finding, opening, checking and collecting records."""
