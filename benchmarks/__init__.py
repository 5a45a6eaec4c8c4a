"""Measurements, each paired with a peer or a limit in one run; `make bench` runs all."""
