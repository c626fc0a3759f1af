"""Every performance claim beside its peers, re-runnable: see README.md."""
