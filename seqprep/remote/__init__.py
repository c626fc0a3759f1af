"""A store on S3-compatible storage: its bucket, and the mirror that all else works on."""
