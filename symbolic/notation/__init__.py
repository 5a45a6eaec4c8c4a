"""How expressions look: SymPy expression → one layout tree → LaTeX, MathML or two-dimensional text.

:mod:`~symbolic.notation.typeset` decides order, names and shapes once; the printers only spell the tree out, so
that a slide, a terminal and a paper show the same line.
"""
