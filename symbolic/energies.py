"""Ready-made energies: ordinary :class:`~symbolic.language.energy.Energy` objects; docstrings give the text form."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["lecture", "pairwise"]


def pairwise(visible: str = "binary", hidden: str = "binary") -> Energy:
    """The restricted Boltzmann machine: ``-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)``.

    Args:
        visible, hidden: the units of layers v and h, as in :mod:`symbolic.units`.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Smolensky, "Information processing in dynamical systems", in Parallel Distributed Processing, vol. 1
    (1986), chapter 6; with biases as in Hinton, "A practical guide to training restricted Boltzmann machines"
    (2012), equation 1.
    """
    from symbolic.language.binders import Sum
    from symbolic.language.energy import Energy
    from symbolic.language.layers import Layer, Parameter

    v, h = Layer("v", visible), Layer("h", hidden)
    i, j = v.index("i"), h.index("j")
    w, a, b = Parameter("w", v, h), Parameter("a", v), Parameter("b", h)
    expression = -Sum(v[i] * w[i, j] * h[j], i, j) - Sum(a[i] * v[i], i) - Sum(b[j] * h[j], j)
    return Energy(expression, visible=[v], hidden=[h])


def lecture() -> Energy:
    """The energy of the lecture RBM Mathematics (module 11.2), binary, no biases: ``-sum(v[i]*w[i,j]*h[j], i, j)``."""
    from symbolic.language.binders import Sum
    from symbolic.language.energy import Energy
    from symbolic.language.layers import Layer, Parameter

    v, h = Layer("v", "binary"), Layer("h", "binary")
    i, j = v.index("i"), h.index("j")
    w = Parameter("w", v, h)
    return Energy(-Sum(v[i] * w[i, j] * h[j], i, j), visible=[v], hidden=[h])
