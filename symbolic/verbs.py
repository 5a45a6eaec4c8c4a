"""What a person can ask of an energy, a derivation and a lecture; empty here.

:class:`~symbolic.language.energy.Energy`, :class:`~symbolic.derivation.trace.Derivation` and
:class:`~symbolic.lecture.document.Lecture` are data, and stand below all that answers. :mod:`symbolic.face` stands
above and attaches its methods to these classes when `symbolic` is imported, so that none is ever without them. The stub
beside this file says to type checkers which they are.
"""

from __future__ import annotations

__all__ = ["DerivationVerbs", "EnergyVerbs", "LectureVerbs"]


class EnergyVerbs:
    """The questions that an energy is asked, attached by the face."""


class DerivationVerbs:
    """What is done with a derivation, attached by the face."""


class LectureVerbs:
    """What is done with a lecture, attached by the face."""
