"""Large models whose ln Z and averages have a closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import RELATIVE, grid, spins


def test_correlations_along_a_chain_of_10_000() -> None:
    # <s_i s_j> = tanh(K)^|i-j| in an open chain without a field
    coupling, count = 0.8, 10_000
    model = spins(count, [(i, i + 1) for i in range(count - 1)], coupling)
    log_2cosh = coupling + math.log1p(math.exp(-2 * coupling))
    assert float(model.log_partition()) == pytest.approx(math.log(2) + (count - 1) * log_2cosh, rel=RELATIVE)
    asked = [(0, 1), (5000, 5001), (9998, 9999), (100, 103), (7, 4)]
    for (i, j), table in model.pair_marginals(asked).items():
        correlation = table[0, 0] + table[1, 1] - table[0, 1] - table[1, 0]
        assert correlation == pytest.approx(math.tanh(coupling) ** abs(i - j), rel=1e-11)
    np.testing.assert_allclose(np.array(list(model.marginals().values())), 0.5, rtol=1e-11)
    entropy = math.log(2) + (count - 1) * (log_2cosh - coupling * math.tanh(coupling))
    assert model.entropy() == pytest.approx(entropy, rel=1e-11)
    best = model.most_probable()
    assert best.energy == pytest.approx(-coupling * (count - 1), rel=RELATIVE)
    assert len(set(best.assignment.values())) == 1
    drawn = model.sample(40, seed=1)
    # 40 x 9,999 products with standard deviation sqrt(1 - tanh^2): 5 standard errors
    products = (drawn[:, :-1] * drawn[:, 1:]).mean()
    error = math.sqrt((1 - math.tanh(coupling) ** 2) / (40 * (count - 1)))
    assert abs(products - math.tanh(coupling)) < 5 * error


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_curie_weiss_on_the_complete_graph(beta: float) -> None:
    # Z = e^{-beta/2} sum_k C(N, k) exp(beta (2k - N)^2 / 2N): every spin couples to every other with beta / N
    count = 13
    names = range(count)
    model = spins(count, itertools.combinations(names, 2), beta / count)
    terms = [
        math.log(math.comb(count, k)) + beta * (2 * k - count) ** 2 / (2 * count) - beta / 2 for k in range(count + 1)
    ]
    log_z = brute_force.log_sum(terms)
    assert float(model.log_partition()) == pytest.approx(log_z, rel=RELATIVE)
    p = np.exp(np.array(terms) - log_z)
    magnetisation = 2 * np.arange(count + 1) - count
    correlation = p @ (magnetisation**2 - count) / (count * (count - 1))
    table = model.pair_marginals([(2, 9)])[2, 9]
    assert table[0, 0] + table[1, 1] - table[0, 1] - table[1, 0] == pytest.approx(correlation, rel=1e-11)


def test_every_answer_on_a_grid_of_20_by_20() -> None:
    model = grid(20, 20, 0.44, periodic=False)
    rng = np.random.default_rng(0)
    for name in model:
        model.nodes[name]["bias"] = 0.3 * rng.normal()
    log_z = model.log_partition()
    singles, pairs = model.marginals(), model.pair_marginals()
    assert len(pairs) == model.number_of_edges()
    for name in ((0, 0), (7, 9), (19, 19)):
        assert math.log(singles[name][1]) == pytest.approx(model.log_partition({name: 1}) - log_z, abs=1e-11)
    for (u, v), table in pairs.items():
        # sums of 2^21 numbers in another order
        np.testing.assert_allclose(table.sum(axis=1), singles[u], rtol=1e-11)
        np.testing.assert_allclose(table.sum(axis=0), singles[v], rtol=1e-11)
    best = model.most_probable()
    rows = np.array(list(best.assignment.values()))
    flipped = np.where(np.eye(400, dtype=bool), -rows, rows)
    drawn = model.sample(2000, seed=4)
    assert best.energy <= min(model.energy(flipped).min(), model.energy(drawn).min())
    assert best.log_probability == pytest.approx(-best.energy - log_z, rel=RELATIVE)
    # 400 means within 5 standard errors of 2,000 samples: by chance one seed in 5,000 has one outside
    means = np.array([table[1] for table in singles.values()])
    error = np.sqrt(means * (1 - means) / 2000)
    assert (np.abs((drawn == 1).mean(axis=0) - means) < 5 * error).all()
