"""A table of categories: who was on board the Titanic, by class, sex, age and survival.

The class of a person is a categorical unit with four labels, and sex, age and survival are three binary units: two
visible layers of different kinds, tied together by one hidden layer. The table has 32 cells, so everything is exact:
no model has a higher mean ln p than minus the table's entropy, and the gap is the Kullback-Leibler divergence from the
table to the model. The model to beat takes the columns as independent of each other.

The counts are those of the British Board of Trade's inquiry (1990 reprint), as tabulated by R. J. M. Dawson, "The
'unusual episode' data revisited", Journal of Statistics Education 3 (3), 1995.

    python examples/titanic_table.py
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from pgm_rbm import RBM
from symbolic import Energy

# By survival (no, yes), age (child, adult) and sex (male, female): passengers of the three classes, and crew.
COUNTS = np.array(
    [
        [[[0, 0, 35, 0], [0, 0, 17, 0]], [[118, 154, 387, 670], [4, 13, 89, 3]]],
        [[[5, 11, 13, 0], [1, 13, 14, 0]], [[57, 14, 75, 192], [140, 80, 76, 20]]],
    ]
)

ENERGY = (
    "-sum(u[i,s,j]*indicator(c[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(c[i],s), i, s)"
    " - sum(x[k]*w[k,j]*h[j], k, j) - sum(d[k]*x[k], k) - sum(b[j]*h[j], j)"
)


@dataclass(frozen=True)
class Result:
    """The results, in nats.

    Attributes:
        entropy: that of the table.
        independent: KL(table ‖ its columns as independent).
        after: KL(table ‖ the trained model).
        survival: probability to survive given class 1, 2, 3 and crew, in the table and in the model, shape (2, 4).
    """

    entropy: float
    independent: float
    after: float
    survival: np.ndarray


def main(hidden: int = 4, epochs: int = 300, seed: int = 0) -> Result:
    cells = np.array(list(itertools.product(range(2), range(2), range(2), range(4))))  # survival, age, sex, class
    every = {"c": cells[:, 3:], "x": cells[:, :3]}
    p = COUNTS.ravel() / COUNTS.sum()
    seen = p > 0
    alone = [np.bincount(cells[:, k], p)[cells[:, k]] for k in range(4)]
    independent = float(p[seen] @ np.log(p[seen] / np.prod(alone, axis=0)[seen]))

    energy = Energy.parse(ENERGY, visible={"c": "potts(4)", "x": "binary"}, hidden={"h": "binary"})
    rbm = RBM.from_energy(energy, sizes={"c": 1, "x": 3, "h": hidden}, seed=seed)
    rng = np.random.default_rng(seed)
    rbm.set_parameters(**{name: rng.normal(0, 0.5, rbm.parameters[name].shape) for name in ("u", "w")})
    people = np.repeat(np.arange(len(cells)), COUNTS.ravel())
    data = {layer: states[people] for layer, states in every.items()}
    rbm.fit(data, "exact", epochs=epochs, batch_size=len(people), optimizer="adam", learning_rate=0.05, monitor="none")
    log_p = rbm.log_probability(every)
    after = float(p[seen] @ (np.log(p[seen]) - log_p[seen]))

    q = np.array([p, np.exp(log_p)]).reshape(2, 2, 2, 2, 4).sum(axis=(2, 3))
    result = Result(-float(p[seen] @ np.log(p[seen])), independent, after, q[:, 1] / q.sum(axis=1))
    print(f"entropy of the table                  {result.entropy:8.4f} nats: mean ln p is at most minus that")
    print(f"KL(table | columns independent)       {result.independent:8.4f} nats")
    print(f"KL(table | RBM with {hidden} hidden units)    {result.after:8.4f} nats")
    for name, (found, model) in zip(("class 1", "class 2", "class 3", "crew"), result.survival.T, strict=True):
        print(f"survived, {name:<8} table {found:.3f}, model {model:.3f}")
    return result


if __name__ == "__main__":
    main()
