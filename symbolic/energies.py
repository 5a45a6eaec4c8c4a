"""Ready-made energies: ordinary :class:`~symbolic.language.energy.Energy` objects; docstrings give the text form.

Layers are called v (visible), h (hidden) and x (inputs, or a second visible layer); biases a, b and c; weights w. A
layer whose units have no normaliser in a linear field alone (Gaussian, rectified, spike and slab) gets the quadratic
term s²/2 for each unit, which is unit precision, as is usual for standardised data. Where a normaliser needs parameters
of one sign, as with exponential units, nothing is added: the condition is carried by the steps that need it.

What energies hold of a unit is in its row of the table (:class:`symbolic.units.Statistics`): for most the state itself,
which the text forms show. Otherwise there are several weights, biases or precisions, whose names end accordingly:

* ``von_mises``: ``w_cos[i,j]*cos(v[i])*h[j] + w_sin[i,j]*sin(v[i])*h[j]``, and ``w_cos_sin`` and so on between two
  angles; ``a_cos[i]*cos(v[i]) + a_sin[i]*sin(v[i])``;
* ``drelu``: a bias and a precision for each side, ``a_pos[i]*pos(v[i]) + a_neg[i]*neg(v[i])`` less
  ``exp(-z_v_pos[i])*pos(v[i])^2/2 + exp(-z_v_neg[i])*neg(v[i])^2/2``, where z_v is for layer v;
* ``spike_and_slab``: ``a[i]*v[i] + a_nonzero[i]*nonzero(v[i])``.

:data:`READY_MADE` maps the functions by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sympy import Add, Dummy, Expr, Mul, S, exp

from symbolic.errors import EnergyError
from symbolic.language.binders import Sum
from symbolic.language.energy import Energy
from symbolic.language.layers import Index, Indicator, Layer, axes_of
from symbolic.language.parameters import Parameter
from symbolic.units import Potential, lookup

__all__ = [
    "READY_MADE",
    "conditional",
    "covariance",
    "deep",
    "gated",
    "gaussian",
    "lecture",
    "pairwise",
    "replicated_softmax",
    "semi_restricted",
    "third_order",
]

# Layers of a deep machine; the deepest trained as one, in the sources below, have 3. Deriving with 16 takes 0.5 s
# (2 cores, 2026-12).
MOST_DEPTH = 16


def _bias(name: str, layer: Layer, index: str) -> Expr:
    """Return Σ_i a_i v_i, what a layer's biases add to −E, with the layer's quadratic terms where it needs some."""
    return _linear(name, (layer, index), biases=True) - _quadratic(layer, index)


def _linear(name: str, *layers: tuple[Layer, str], times: Expr | int = 1, biases: bool = False) -> Expr:
    """Return Σ w_ij v_i h_j over the units of layers.

    A categorical unit counts by its label and a vector by its components, with a weight for each; any other unit counts
    by the functions of its row.

    Args:
        name: of the weights; the ends that functions give it are added.
        layers: each with the name of its index.
        times: a factor, in these indices.
        biases: whether the functions that have biases are meant, and not those that couple.
    """
    terms = []
    for ways in itertools.product(*(_ways(*layer, place, biases) for place, layer in enumerate(layers))):
        indices = tuple(itertools.chain.from_iterable(way[1] for way in ways))
        w = Parameter("_".join(filter(None, (name, *(way[0] for way in ways)))), *(index.layer for index in indices))
        terms.append(Sum(w[indices] * Mul(times, *(way[2] for way in ways)), *indices))
    return Add(*terms)


def _ways(layer: Layer, name: str, place: int = 0, biases: bool = False) -> list[tuple[str, tuple[Index, ...], Expr]]:
    """Return how a unit stands in a product: what is added to the name of the weights, the indices, and the factor."""
    index = layer.index(name)
    state, row = layer[index], lookup(layer.unit)
    for axis in axes_of([layer]).values():
        vector = axis.name.endswith("components")
        label = axis.index(("αβγ" if vector else "srt")[place])
        return [("", (index, label), layer[index, label] if vector else Indicator(state, label))]
    if row.statistics is None:
        return [("", (index,), state)]
    chosen = row.statistics(state)
    return [(end, (index,), factor) for end, factor in (chosen.biases if biases else chosen.couplings).items()]


def _quadratic(layer: Layer, index: str) -> Expr:
    """Return Σ_i v_i²/2 where a unit's weights have a finite sum with this term and none without, else 0.

    Where the row names squares, return these with precisions.
    """
    i = layer.index(index)
    statistics = lookup(layer.unit).statistics
    if statistics is not None and statistics(layer[i]).squares:
        squares = statistics(layer[i]).squares.items()
        z = {end: Parameter("_".join(filter(None, ("z", layer.name, end))), layer) for end, _ in squares}
        return Add(*(Sum(exp(-z[end][i]) * square, i) / 2 for end, square in squares))
    needed = _diverges(layer, S.Zero) and not _diverges(layer, S.Half)
    return Sum(layer[i] ** 2, i) / 2 if needed else S.Zero


def _diverges(layer: Layer, half_precision: Expr) -> bool:
    """Return whether a unit's weights have no finite sum in any linear field, beside −half_precision · s²."""
    state, field = Dummy("s", real=True), Dummy("x", real=True)
    terms = ((state, field), *(((state**2, -half_precision),) if half_precision else ()))
    try:
        conditions = lookup(layer.unit).conditions(Potential(terms, state))
    except EnergyError:  # a square that the unit does not know
        return True
    return any(condition.is_number and not condition > 0 for condition in conditions)


def pairwise(visible: str = "binary", hidden: str = "binary") -> Energy:
    """Return the restricted Boltzmann machine, for any two units.

    ::

        -sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)

    and ``+ sum(v[i]^2, i)/2`` for Gaussian or rectified visible units, ``+ sum(h[j]^2, j)/2`` for such hidden ones.
    Categorical units have a weight and a bias for each of their labels; with such visible ones::

        -sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(v[i],s), i, s) - sum(b[j]*h[j], j)

    Vectors have one for each component; with Heisenberg visible units::

        -sum(w[i,α,j]*v[i,α]*h[j], i, α, j) - sum(a[i,α]*v[i,α], i, α) - sum(b[j]*h[j], j)

    Args:
        visible, hidden: the units of layers v and h, as in :mod:`symbolic.units`.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Smolensky, "Information processing in dynamical systems", in Parallel Distributed Processing, vol. 1
    (1986), chapter 6; with biases as in Hinton, "A practical guide to training restricted Boltzmann machines"
    (2012), equation 1. For other units than binary ones: Welling, Rosen-Zvi and Hinton, "Exponential family harmoniums
    with an application to information retrieval" (NIPS 2004).
    """
    v, h = Layer("v", visible), Layer("h", hidden)
    log_weight = _linear("w", (v, "i"), (h, "j")) + _bias("a", v, "i") + _bias("b", h, "j")
    return Energy(-log_weight, visible=[v], hidden=[h])


def lecture() -> Energy:
    """Return the energy of the lecture RBM Mathematics (module 11.2): ``-sum(v[i]*w[i,j]*h[j], i, j)``, no biases."""
    v, h = Layer("v", "binary"), Layer("h", "binary")
    i, j = v.index("i"), h.index("j")
    w = Parameter("w", v, h)
    return Energy(-Sum(v[i] * w[i, j] * h[j], i, j), visible=[v], hidden=[h])


def gaussian(hidden: str = "binary", sigma: str = "learnt") -> Energy:
    """Return a machine of Gaussian visible units around means a_i, of unit variance or with variances that are learnt.

    With ``sigma="fixed"``, for data scaled to unit variance::

        sum((v[i] - a[i])^2, i)/2 - sum(v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)

    With ``sigma="learnt"``, where z_i = ln σ_i²::

        sum(exp(-z[i])*(v[i] - a[i])^2, i)/2 - sum(exp(-z[i])*v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)

    and ``+ sum(h[j]^2, j)/2`` for Gaussian or rectified hidden units. Given h, v_i is Gaussian with mean a_i + Σ_j w_ij
    h_j and variance e^{z_i}: the couplings move the mean alone and z the variance alone. The precision e^{−z_i} is
    positive for every real z_i, so no step of learning can leave the models that have a normaliser; a step in σ_i
    can. For the gradient by σ_i multiply that by z_i by 2 / σ_i.

    Args:
        hidden: the units of layer h. With Gaussian or other unbounded ones the normaliser is finite for small w only.
        sigma: ``"fixed"`` or ``"learnt"``.

    Raises:
        EnergyError: there is no such unit, or no such treatment of σ.

    Source: fixed, Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks" (Science 313,
    2006), and Krizhevsky, "Learning multiple layers of features from tiny images" (2009), with σ = 1; learnt, Cho, Ilin
    and Raiko, "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines" (ICANN 2011), section 3.
    Krizhevsky's couplings of v_i / σ_i are Cho's w_ij times σ_i.
    """
    if sigma not in ("fixed", "learnt"):
        raise EnergyError(f"sigma is 'fixed' or 'learnt'. Got {sigma!r}.")
    v, h = Layer("v", "gaussian"), Layer("h", hidden)
    i, a = v.index("i"), Parameter("a", v)
    precision = S.One if sigma == "fixed" else exp(-Parameter("z", v)[i])
    log_weight = _linear("w", (v, "i"), (h, "j"), times=precision) + _bias("b", h, "j")
    return Energy(Sum(precision * (v[i] - a[i]) ** 2, i) / 2 - log_weight, visible=[v], hidden=[h])


def third_order(visible: str = "binary", second: str = "binary", hidden: str = "binary") -> Energy:
    """Return a machine whose hidden units multiply two visible layers: all couplings are between three units.

    ::

        -sum(v[i]*x[k]*h[j]*w[i,k,j], i, k, j) - sum(a[i]*v[i], i) - sum(c[k]*x[k], k) - sum(b[j]*h[j], j)

    and half the sum of squares of Gaussian or rectified layers.

    Args:
        visible, second, hidden: the units of the visible layers v and x and of layer h.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Sejnowski, "Higher-order Boltzmann machines" (AIP Conference Proceedings 151, 1986); the joint density of
    both images in Susskind, Memisevic, Hinton and Pollefeys, "Modeling the joint density of two images under a variety
    of transformations" (CVPR 2011).
    """
    v, x, h = Layer("v", visible), Layer("x", second), Layer("h", hidden)
    log_weight = _linear("w", (v, "i"), (x, "k"), (h, "j"))
    log_weight += _bias("a", v, "i") + _bias("c", x, "k") + _bias("b", h, "j")
    return Energy(-log_weight, visible=[v, x], hidden=[h])


def gated(visible: str = "binary", hidden: str = "binary", given: str = "binary") -> Energy:
    """Return the gated Boltzmann machine: an input x, always given, says how strongly each pair of units is coupled.

    ::

        -sum(v[i]*x[k]*h[j]*w[i,k,j], i, k, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)

    and half the sum of squares of Gaussian or rectified layers that are not given.

    Args:
        visible, hidden: the units of layers v and h.
        given: those of the input layer x; ``"gaussian"`` for any real numbers.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Memisevic and Hinton, "Unsupervised learning of image transformations" (CVPR 2007), section 2; Memisevic and
    Hinton, "Learning to represent spatial transformations with factored higher-order Boltzmann machines" (Neural
    Computation 22, 2010), section 2, before its weights are factored.
    """
    v, h, x = Layer("v", visible), Layer("h", hidden), Layer("x", given)
    log_weight = _linear("w", (v, "i"), (x, "k"), (h, "j")) + _bias("a", v, "i") + _bias("b", h, "j")
    return Energy(-log_weight, visible=[v], hidden=[h], given=[x])


def conditional(visible: str = "binary", hidden: str = "binary", given: str = "binary") -> Energy:
    """Return the conditional restricted Boltzmann machine: an input x, always given, moves the biases of both layers.

    ::

        -sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)
        - sum(v[i]*A[i,k]*x[k], i, k) - sum(h[j]*B[j,k]*x[k], j, k)

    and half the sum of squares of Gaussian or rectified layers that are not given.

    Args:
        visible, hidden: the units of layers v and h.
        given: those of the input layer x; ``"gaussian"`` for any real numbers.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Taylor, Hinton and Roweis, "Modeling human motion using binary latent variables" (NIPS 2006), section 3,
    where x is the past of v; Mnih, Larochelle and Hinton, "Conditional restricted Boltzmann machines for structured
    output prediction" (UAI 2011), equation 2.
    """
    v, h, x = Layer("v", visible), Layer("h", hidden), Layer("x", given)
    log_weight = _linear("w", (v, "i"), (h, "j")) + _bias("a", v, "i") + _bias("b", h, "j")
    log_weight += _linear("A", (v, "i"), (x, "k")) + _linear("B", (h, "j"), (x, "k"))
    return Energy(-log_weight, visible=[v], hidden=[h], given=[x])


def covariance(visible: str = "gaussian", hidden: str = "binary") -> Energy:
    """Return the covariance machine: each hidden unit switches a penalty on the square of a filter's output.

    ::

        sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2 - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)

    and ``+ sum(v[i]^2, i)/2`` for Gaussian or rectified visible units, ``+ sum(h[j]^2, j)/2`` for such hidden ones.
    Given h, Gaussian visible units have the precision matrix 1 + Σ_j h_j w_j w_jᵀ, which is positive definite whatever
    the filters if no h_j is negative. They are not independent given h: single units' conditionals are in closed form
    (``method="single-site"``), and so are the hidden layer's.

    Args:
        visible, hidden: the units of layers v and h.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Ranzato and Hinton, "Modeling pixel means and covariances using factorized third-order Boltzmann machines"
    (CVPR 2010), equation 3, with one filter for each hidden unit (their pooling matrix P is −1 times the identity) and
    without their normalisation of v.
    """
    v, h = Layer("v", visible), Layer("h", hidden)
    i, j = v.index("i"), h.index("j")
    w = Parameter("w", v, h)
    penalty = Sum(h[j] * Sum(w[i, j] * v[i], i) ** 2, j) / 2
    return Energy(penalty - _bias("a", v, "i") - _bias("b", h, "j"), visible=[v], hidden=[h])


def semi_restricted(visible: str = "binary", hidden: str = "binary") -> Energy:
    """Return a restricted machine whose visible units are coupled to each other too, by a symmetric L with no diagonal.

    ::

        -sum(v[i]*w[i,j]*h[j], i, j) - sum(L[i,k]*v[i]*v[k], i, k)/2 - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)

    with ``symmetric=["L"]``, and half the sum of squares of Gaussian or rectified layers. The hidden units are
    independent given v; visible ones have single-site conditionals. Labels, vectors and angles are coupled to each
    other by a scalar product, as in a Potts, a Heisenberg or an XY model: in the place of v_i v_k stands [v_i = v_k],
    Σ_α v_iα v_kα or cos(v_i − v_k).

    Args:
        visible, hidden: the units of layers v and h.

    Raises:
        EnergyError: there is no such unit; the message lists those there are.

    Source: Osindero and Hinton, "Modeling image patches with a directed hierarchy of Markov random fields" (NIPS 2007),
    section 2.
    """
    v, h = Layer("v", visible), Layer("h", hidden)
    lateral = Parameter("L", v, v, symmetric=True)
    log_weight = _linear("w", (v, "i"), (h, "j"))
    for (_, (i, *place), one), (_, (k, *_), other) in zip(_ways(v, "i"), _ways(v, "k"), strict=True):
        log_weight += Sum(lateral[i, k] * one * other, i, k, *place) / 2
    return Energy(-(log_weight + _bias("a", v, "i") + _bias("b", h, "j")), visible=[v], hidden=[h])


def deep(visible: str = "binary", hidden: str | Sequence[str] = "binary", depth: int | None = None) -> Energy:
    """Return the deep Boltzmann machine: hidden layers h1, h2, …, each coupled to the next.

    For two of them::

        -sum(v[i]*w1[i,j]*h1[j], i, j) - sum(h1[j]*w2[j,k]*h2[k], j, k)
        - sum(a[i]*v[i], i) - sum(b1[j]*h1[j], j) - sum(b2[k]*h2[k], k)

    and half the sum of squares of Gaussian or rectified layers. Each layer is independent given its neighbours, and so
    are every other one together.

    Args:
        visible: the units of layer v.
        hidden: those of all hidden layers, or a list with one for each.
        depth: the number of hidden layers, from 2; 2 by default, or the length of the list.

    Raises:
        EnergyError: there is no such unit, or the depth is not a whole number from 2, or does not fit the list.

    Source: Salakhutdinov and Hinton, "Deep Boltzmann machines" (AISTATS 2009), equation 9, with biases.
    """
    units = [hidden] * (2 if depth is None else _depth(depth)) if isinstance(hidden, str) else list(hidden)
    if len(units) != _depth(len(units) if depth is None else depth):
        raise EnergyError(f"hidden lists one unit for each of the {depth} hidden layers. Got {len(units)}.")
    v = Layer("v", visible)
    layers = [v, *(Layer(f"h{number}", unit) for number, unit in enumerate(units, 1))]
    log_weight = _bias("a", v, "i")
    for number, (below, above) in enumerate(itertools.pairwise(layers), 1):
        log_weight += _linear(f"w{number}", (below, "i"), (above, "j"))
        log_weight += _bias(f"b{number}", above, "j")
    return Energy(-log_weight, visible=[v], hidden=layers[1:])


def replicated_softmax(categories: int = 4, hidden: str = "binary") -> Energy:
    """Return the replicated softmax model: n_v categorical visible units share their weights, as words of a text do.

    With four categories::

        -sum(w[s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[s]*indicator(v[i],s), i, s) - n_v*sum(b[j]*h[j], j)

    and half the sum of squares of Gaussian or rectified hidden units. Weights that are tied over the visible units make
    their order immaterial: E depends on how often each category occurs. The hidden biases count once for each visible
    unit, so that texts of different lengths can share parameters; a model is for one length.

    Args:
        categories: how many there are, such as the words of a vocabulary; from 2.
        hidden: the units of layer h.

    Raises:
        EnergyError: there are fewer than 2 categories, or no such unit.

    Source: Salakhutdinov and Hinton, "Replicated softmax: an undirected topic model" (NIPS 2009), equation 4.
    """
    v, h = Layer("v", f"potts({categories})"), Layer("h", hidden)
    i, s, j = v.index("i"), v.states.index("s"), h.index("j")
    w, a, b = Parameter("w", v.states, h), Parameter("a", v.states), Parameter("b", h)
    here = Indicator(v[i], s)
    log_weight = Sum(w[s, j] * here * h[j], i, s, j) + Sum(a[s] * here, i, s) + v.size * Sum(b[j] * h[j], j)
    return Energy(_quadratic(h, "j") - log_weight, visible=[v], hidden=[h])


def _depth(depth: int) -> int:
    if isinstance(depth, bool) or not isinstance(depth, int) or not 2 <= depth <= MOST_DEPTH:
        raise EnergyError(f"a deep machine has from 2 to {MOST_DEPTH} hidden layers. Got {depth!r}.")
    return depth


READY_MADE: Mapping[str, Callable[..., Energy]] = MappingProxyType(
    {
        made.__name__: made
        for made in (
            pairwise,
            lecture,
            gaussian,
            third_order,
            gated,
            conditional,
            covariance,
            semi_restricted,
            deep,
            replicated_softmax,
        )
    }
)
"""The functions of this module by name. Their arguments are units, and the few words their docstrings tell."""
