"""Lectures: a derivation as a document, and the document as a page.

:mod:`~symbolic.lecture.lesson.lesson` reads a derivation's trace and makes a
:class:`~symbolic.lecture.document.Lecture`. The writers read the document and nothing else.
"""
