"""What every model can be asked, as a person meets it: a docstring and a line per method."""
