"""Forms on cones against the definition of copositivity, principal submatrix by principal submatrix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pgm_rbm.model.quadratic_forms import sign_on_cone


def is_copositive(form: np.ndarray) -> bool:
    """Strict copositivity by Kaplan's criterion ("A test for copositive matrices", Linear Algebra and its Applications
    313, 2000): no principal submatrix has a positive eigenvector with an eigenvalue that is not positive."""
    places = range(len(form))
    for some in itertools.chain.from_iterable(itertools.combinations(places, r + 1) for r in places):
        values, vectors = np.linalg.eigh(form[np.ix_(some, some)])
        for value, vector in zip(values, vectors.T, strict=True):
            if value <= 0 and ((vector > 0).all() or (vector < 0).all()):
                return False
    return True


def random_form(rng: np.random.Generator, n: int, scale: float) -> np.ndarray:
    form = scale * rng.normal(size=(n, n))
    form = (form + form.T) / 2
    np.fill_diagonal(form, rng.uniform(0.2, 3, n))
    return form


def test_rays_alone_are_decided_as_by_the_definition() -> None:
    rng = np.random.default_rng(0)
    seen = {True: 0, False: 0}
    for _ in range(400):
        n = int(rng.integers(2, 7))
        form = random_form(rng, n, rng.choice([0.5, 1.0, 1.5]))
        verdict = sign_on_cone(form, np.ones(n, dtype=bool))
        assert verdict.positive == is_copositive(form)
        seen[verdict.positive] += 1
        if not verdict.positive:
            assert (verdict.direction >= 0).all()
            # The direction has length of order one; rounding of a sum of 36 terms.
            assert verdict.direction @ form @ verdict.direction <= 1e-12
    assert min(seen.values()) > 50


def test_lines_beside_rays_are_decided_as_rays_in_both_directions() -> None:
    """A number that may go either way is one ray or the other: all choices of signs are tried."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        n, lines = int(rng.integers(2, 6)), int(rng.integers(1, 3))
        form = random_form(rng, n, rng.choice([0.5, 1.0]))
        rays = np.arange(n) >= lines
        signs = (np.array([*chosen, *[1] * (n - lines)]) for chosen in itertools.product((-1, 1), repeat=lines))
        expected = all(is_copositive(form * sign[:, None] * sign) for sign in signs)
        assert sign_on_cone(form, rays).positive == expected


def test_parts_of_one_number_exclude_each_other() -> None:
    """One of the two rays of each pair is left out, in all ways."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        form = random_form(rng, 6, 0.8)
        ups, downs = np.array([0, 2]), np.array([1, 3])
        expected = True
        for left_out in itertools.product((0, 1), (2, 3)):
            kept = [place for place in range(6) if place not in left_out]
            expected &= is_copositive(form[np.ix_(kept, kept)])
        assert sign_on_cone(form, np.ones(6, dtype=bool), (ups, downs)).positive == expected


def test_numbers_with_two_precisions_that_others_act_on_as_a_whole() -> None:
    """s = p − m with ½ q p² + ½ r m²: by all signs of s, each with its own precision."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        n = 3
        couplings = random_form(rng, n, 0.8)
        precisions = rng.uniform(0.3, 3, size=(2, n))
        form = np.kron(couplings, np.array([[1.0, -1.0], [-1.0, 1.0]]))
        form[np.arange(2 * n), np.arange(2 * n)] = precisions.T.ravel()
        expected = True
        for signs in itertools.product((1, -1), repeat=n):
            one = couplings * np.outer(signs, signs)
            np.fill_diagonal(one, [precisions[0 if sign > 0 else 1, k] for k, sign in enumerate(signs)])
            expected &= is_copositive(one)
        pairs = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
        assert sign_on_cone(form, np.ones(2 * n, dtype=bool), pairs).positive == expected


@pytest.mark.parametrize("n", [40, 150])
def test_large_forms_next_to_the_boundary(n: int) -> None:
    """Of rank one and attracting, where the boundary is known; and repelling, where there is none."""
    rng = np.random.default_rng(4)
    pull = rng.uniform(0.1, 1, n)
    pull /= np.linalg.norm(pull)
    for factor, expected in ((0.999, True), (1.001, False)):
        form = np.eye(n) - factor * np.outer(pull, pull)
        assert sign_on_cone(form, np.ones(n, dtype=bool)).positive is expected
    # What only repels is positive whatever its size, though it is far from positive definite.
    repelling = np.eye(n) + 5 * rng.random((n, n))
    assert sign_on_cone((repelling + repelling.T) / 2, np.ones(n, dtype=bool)).positive


def test_a_precision_that_is_not_positive_is_the_direction() -> None:
    form = np.diag([1.0, 0.0, 2.0])
    verdict = sign_on_cone(form, np.zeros(3, dtype=bool))
    assert verdict.positive is False
    np.testing.assert_array_equal(verdict.direction, [0, 1, 0])
    assert sign_on_cone(np.array([[np.nan]]), np.zeros(1, dtype=bool)).positive is False
