"""What a person reads at the end: pages, tables and plots on disk and on Prefect's page."""
