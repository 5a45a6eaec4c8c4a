"""The command line ``pgm-rbm``: one module per command; `root` puts them together.

Results go to standard output, progress and messages to standard error. The exit status is 0, 1 where the work failed,
2 where the request was wrong, or 130 after an interrupt. Modules here import at their head only what ``--help`` needs.
"""

from pgm_rbm.cli.root import app, main

__all__ = ["app", "main"]
