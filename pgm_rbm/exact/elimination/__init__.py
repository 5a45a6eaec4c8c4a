"""Exact answers by summing out one variable of a graph after another."""
