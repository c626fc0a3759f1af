"""A writer of Parquet files for long lists of numbers, in bounded memory."""
