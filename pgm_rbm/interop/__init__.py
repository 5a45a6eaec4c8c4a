"""Passages to and from other frameworks, one module each; importing one says which extra is missing."""
