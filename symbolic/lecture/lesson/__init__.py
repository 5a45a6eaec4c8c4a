"""From derivations to the document of a lesson: a :class:`~symbolic.lecture.lesson.board.Board`, and functions that
write slides on it, one file per subject.
"""
