"""Whether a quadratic form is positive in every direction of a cone of lines and rays.

Real numbers may go either way, rectified ones only up. Over lines alone positive means positive definite, and
Cholesky's factorisation tells. Lines beside rays are minimised over exactly (Schur's complement), which leaves a form
on rays alone, and whether that is positive is called strict copositivity. It is decided exactly, up to rounding, where

* a positive definite form is found below it, elementwise, by alternating projections: then it is positive (all
  copositive forms on up to four rays have one, by Diananda's theorem, and few on more have none); or
* a descent finds a direction in which it is not positive: then it is not;

and else by branch and bound on the simplex of directions, each part of which is tested like the whole (Bundfuss and
Dür, "Algorithmic copositivity detection by simplicial partition", Linear Algebra and its Applications 428, 2008). To
decide copositivity is co-NP-complete, so the number of parts is bounded, and a form that is not settled by then is
reported as such. That happens hardly ever but for forms next to the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Verdict", "sign_on_cone"]

Floats = npt.NDArray[np.float64]

# Of 240 random forms near the boundary on 4 to 20 rays, 200 steps of descent and 100 projections leave none unsettled,
# in 0.3 s; 50 and 25 leave one, in 2.5 s, since more of them are branched on (2-core Xeon, 2026-12).
_DESCENT = 200
_PROJECTIONS = 100
# Parts that a form is branched into at most, and their number times n³. 200 parts settled all of 300 such forms on up
# to 40 rays, 20 all but one (2026-12); ten times as many take some seconds.
_MOST_PARTS = 2000
_WORK = 2e7
# Projections end inside the cone of definite forms, where the lowest eigenvalue is this.
_INSIDE = 1e-3
# What two rays that exclude each other count together, in units of what they do alone: no mixture of them is of use.
_EXCLUDED = 1e6


@dataclass(frozen=True)
class Verdict:
    """What was found about a form on a cone.

    Attributes:
        positive: whether it is positive in every direction; None where that was not settled.
        value: the form in ``direction``, relative to its diagonal part there.
        direction: one in which it is not positive, or else is smallest of those that were tried.
    """

    positive: bool | None
    value: float
    direction: Floats


def sign_on_cone(
    form: Floats,
    rays: npt.NDArray[np.bool_],
    exclusive: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None = None,
) -> Verdict:
    """Whether dᵀ form d > 0 for every d ≠ 0 whose entries on ``rays`` are not negative.

    Args:
        form: symmetric, shape (n, n).
        rays: shape (n,), which directions go one way only.
        exclusive: places of rays of which one of each pair is zero, such as the positive and the negative part of one
            number; what the form says of their product is not read.
    """
    n = len(form)
    diagonal = np.diagonal(form).copy()
    if not (diagonal > 0).all():
        place = int(np.argmin(np.where(np.isnan(diagonal), -np.inf, diagonal)))
        return Verdict(False, float(diagonal[place]), np.eye(n)[place])
    scale = 1 / np.sqrt(diagonal)
    form = form * scale[:, None] * scale
    np.fill_diagonal(form, 1.0)
    if exclusive is not None and len(exclusive[0]):
        if (narrower := _as_lines(form, rays, exclusive)) is not None and narrower.positive:
            return narrower
        form[exclusive] = form[exclusive[::-1]] = _EXCLUDED
    found = _sign(form, rays)
    direction = found.direction * scale
    length = float(np.linalg.norm(direction / scale))
    return Verdict(found.positive, found.value, direction / length if length else direction)


def _as_lines(
    form: Floats, rays: npt.NDArray[np.bool_], exclusive: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
) -> Verdict | None:
    """The two parts of each number as that number, held by the smaller of both precisions: positive if this is.

    None where others do not act on the number itself, but on its two parts differently.
    """
    kept = np.ones(len(form), dtype=bool)
    kept[exclusive[1]] = False
    reach = np.ones(len(form))
    lines = rays.copy()
    for up, down in zip(*exclusive, strict=True):
        above, below = (np.delete(form[place], (up, down)) for place in (up, down))
        lengths = np.linalg.norm(above), np.linalg.norm(below)
        if 0 in lengths and any(lengths):
            return None
        if not np.allclose(above * lengths[1], -below * lengths[0], rtol=1e-12, atol=0):
            return None
        # The diagonal is 1, so that the part with the smaller precision is reached by more.
        reach[up] = max(1.0, float(lengths[1] / lengths[0])) if lengths[0] else 1.0
        lines[up] = False
    joined = form * reach[:, None] * reach
    np.fill_diagonal(joined, 1.0)
    found = _sign(joined[np.ix_(kept, kept)], lines[kept])
    direction = np.zeros(len(form))
    direction[kept] = found.direction
    return Verdict(found.positive, found.value, direction)


def _is_definite(form: Floats) -> bool:
    try:
        np.linalg.cholesky(form)
    except np.linalg.LinAlgError:
        return False
    return True


def _lowest(form: Floats) -> tuple[float, Floats]:
    values, vectors = np.linalg.eigh(form)
    return float(values[0]), vectors[:, 0]


def _sign(form: Floats, rays: npt.NDArray[np.bool_]) -> Verdict:
    """The same of a form with a diagonal of 1."""
    n = len(form)
    if _is_definite(form):
        return Verdict(True, 1.0, np.zeros(n))
    value, direction = _lowest(form)
    if not rays.any():
        return Verdict(False, value, direction)
    lines = ~rays
    reached = np.zeros((n, int(rays.sum())))
    reached[rays] = np.eye(int(rays.sum()))
    if lines.any():
        own = form[np.ix_(lines, lines)]
        if not _is_definite(own):
            value, direction = _lowest(own)
            whole = np.zeros(n)
            whole[lines] = direction
            return Verdict(False, value, whole)
        # Where the lines go for a given direction of the rays.
        reached[lines] = -np.linalg.solve(own, form[np.ix_(lines, rays)])
    on_rays = form[np.ix_(rays, rays)] + form[np.ix_(rays, lines)] @ reached[lines]
    found = _sign_on_rays((on_rays + on_rays.T) / 2)
    whole = reached @ found.direction
    square = float(whole @ whole)
    return Verdict(found.positive, float(whole @ form @ whole) / square if square else found.value, whole)


def _sign_on_rays(form: Floats) -> Verdict:
    n = len(form)
    diagonal = np.diagonal(form)
    if not (diagonal > 0).all():
        place = int(np.argmin(diagonal))
        return Verdict(False, float(diagonal[place]), np.eye(n)[place])
    scale = 1 / np.sqrt(diagonal)
    form = form * scale[:, None] * scale
    np.fill_diagonal(form, 1.0)
    if _is_definite(_attracting(form)):
        return Verdict(True, 1.0, np.zeros(n))
    best = Verdict(None, np.inf, np.zeros(n))
    for start in _starts(form):
        direction = _descended(form, start)
        value = float(direction @ form @ direction)
        if value <= 0:
            return Verdict(False, value, direction * scale)
        if value < best.value:
            best = Verdict(None, value, direction * scale)
    parts = [(form, np.eye(n))]
    for _ in range(int(max(1, min(_MOST_PARTS, _WORK / n**3)))):
        if not parts:
            return Verdict(True, 1.0, np.zeros(n))
        gram, corners = parts.pop()
        if _has_definite_below(gram):
            continue
        i, j = (int(k) for k in np.unravel_index(np.argmin(gram), gram.shape))
        middle, row = corners[i] + corners[j], gram[i] + gram[j]
        square = float(row[i] + row[j])
        if square <= 0:
            return Verdict(False, square / float(middle @ middle), middle * scale)
        length = np.sqrt(square)
        for place in (i, j):
            nearer, around = gram.copy(), corners.copy()
            nearer[place] = nearer[:, place] = row / length
            other = j if place == i else i
            nearer[place, other] = nearer[other, place] = row[other] / length
            nearer[place, place] = 1.0
            around[place] = middle / length
            parts.append((nearer, around))
    return best


def _has_definite_below(form: Floats) -> bool:
    """Whether a positive definite form was found that is nowhere larger than this one."""
    if _is_definite(_attracting(form)):
        return True
    below = form.copy()
    for _ in range(_PROJECTIONS):
        values, vectors = np.linalg.eigh(below)
        if values[0] > 0:
            return True
        below = np.minimum((vectors * np.maximum(values, _INSIDE)) @ vectors.T, form)
    return False


def _starts(form: Floats) -> list[Floats]:
    """Directions from which to look for one in which the form is not positive."""
    lowest, attracting = _lowest(form)[1], np.abs(_lowest(_attracting(form))[1])
    return [one for one in (attracting, np.maximum(lowest, 0), np.maximum(-lowest, 0)) if one.any()]


def _attracting(form: Floats) -> Floats:
    """The form without its positive off-diagonal elements, which never make it smaller on rays."""
    found: Floats = np.minimum(form, 0) + np.eye(len(form))
    return found


def _descended(form: Floats, start: Floats) -> Floats:
    """Where projected power steps lead, each of which lowers the form on the sphere."""
    shift = float(np.abs(form).sum(axis=1).max())
    direction = start / np.linalg.norm(start)
    for _ in range(_DESCENT):
        step = np.maximum(shift * direction - form @ direction, 0)
        length = float(np.linalg.norm(step))
        if length == 0:
            break
        direction = step / length
    return direction
