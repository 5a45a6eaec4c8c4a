"""Model files: how models are written and read."""
