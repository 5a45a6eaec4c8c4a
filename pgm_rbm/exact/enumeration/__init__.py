"""Exact answers by going through all configurations of some layers."""
