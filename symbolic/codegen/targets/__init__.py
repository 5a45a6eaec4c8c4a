"""One file a target: a program of intermediate nodes becomes the text of a module."""
