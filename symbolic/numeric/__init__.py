"""Expressions of an energy computed on arrays at once, without generating a module."""
