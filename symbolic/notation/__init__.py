"""How expressions look: SymPy expression → one tree, its setting → LaTeX, MathML or two-dimensional text.

:mod:`~symbolic.notation.typeset` decides order, names and shapes once. The printers only spell the tree out, so
a slide, a terminal and a paper show the same line.
"""
