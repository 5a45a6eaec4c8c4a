"""``python -m benchmarks.digests [--write FILE | --check FILE] [subject ...]``: digests of everything computed.

Each row of the table is a question to the public interface and a digest of the bytes of its answer: weights after some
steps of learning, exact answers, samples, answers of graphs, model files, generated code, derivations as text. A change
that is meant to change no number is held against a table that the code before it wrote. A table belongs to one machine
and its libraries, since BLAS and libm differ in the last bit. The script imports nothing but public names, so that it
also runs on older code: ``cd OLDER && PYTHONPATH=$PWD python .../benchmarks/digests.py --write FILE``.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from pgm_rbm import RBM, GraphModel, compose
from pgm_rbm.data import load_digits
from symbolic import Energy
from symbolic.energies import READY_MADE, pairwise, replicated_softmax

Rows = Iterator[tuple[str, Callable[[], Any]]]

# A unit of each row and family of the table stands on one side at least.
PAIRS = (
    ("binary", "binary"),
    ("spin", "binary"),
    ("binary", "spin"),
    ("{-1, 0, 2}", "binary"),
    ("binomial(4)", "spin"),
    ("integer(3)", "binary"),
    ("potts(3)", "binary"),
    ("binary", "potts(3)"),
    ("potts(3)", "potts(2)"),
    ("gaussian", "binary"),
    ("binary", "gaussian"),
    ("gaussian", "gaussian"),
    ("relu", "binary"),
    ("binary", "relu"),
    ("drelu", "binary"),
    ("spike_and_slab", "binary"),
    ("poisson", "binary"),
    ("geometric", "binary"),
    ("exponential", "binary"),
    ("gamma(5/2)", "binary"),
    ("uniform", "binary"),
    ("binary", "uniform"),
    ("von_mises", "binary"),
    ("heisenberg", "binary"),
)
DTYPES = ("float64", "float32")
SEEDS = (0, 1)
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "cd": {"algorithm": "cd", "k": 2},
    "pcd": {"algorithm": "pcd"},
    "pcd momentum": {"algorithm": "pcd", "momentum": 0.5, "weight_decay": 0.01, "n_chains": 30},
    "pcd adam": {"algorithm": "pcd", "optimizer": "adam"},
    "exact": {"algorithm": "exact"},
    "exact adam": {"algorithm": "exact", "optimizer": "adam", "shuffle": False},
    "exact natural": {"algorithm": "exact", "optimizer": "natural", "epochs": 1},
}
DEEP = Energy.parse(
    "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,k]*g[k], j, k) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)",
    visible={"v": "spin"},
    hidden={"h": "binary", "g": "binary"},
)


# -- Data and models ---------------------------------------------------------------------------------------------------


def _states(unit: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return random states of a unit."""
    if unit == "heisenberg":
        directions = rng.normal(size=(*shape, 3))
        return (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).reshape(shape[0], -1)
    draws: dict[str, Callable[[], np.ndarray]] = {
        "binary": lambda: rng.integers(0, 2, shape),
        "spin": lambda: rng.choice([-1, 1], shape),
        "{-1, 0, 2}": lambda: rng.choice([-1, 0, 2], shape),
        "binomial(4)": lambda: rng.binomial(4, 0.4, shape),
        "integer(3)": lambda: rng.integers(0, 4, shape),
        "potts(2)": lambda: rng.integers(0, 2, shape),
        "potts(3)": lambda: rng.integers(0, 3, shape),
        "potts(4)": lambda: rng.integers(0, 4, shape),
        "gaussian": lambda: rng.normal(size=shape),
        "relu": lambda: np.maximum(rng.normal(size=shape), 0),
        "drelu": lambda: rng.normal(size=shape),
        "spike_and_slab": lambda: rng.normal(size=shape) * rng.integers(0, 2, shape),
        "poisson": lambda: rng.poisson(1.5, shape),
        "geometric": lambda: rng.geometric(0.5, shape) - 1,
        "exponential": lambda: rng.exponential(size=shape),
        "gamma(5/2)": lambda: rng.gamma(2.5, size=shape),
        "uniform": lambda: rng.random(shape),
        "von_mises": lambda: rng.uniform(-3, 3, shape),
    }
    return np.asarray(draws[unit](), dtype=np.float64)


def _data(model: RBM, rows: int, rng: np.random.Generator) -> Any:
    """Return rows of data of a model: an array, or arrays by layer."""
    layers = [*model.kernels.visible, *model.kernels.given]
    states = {layer: _states(model.units[layer], (rows, model.sizes[layer]), rng) for layer in layers}
    return states[layers[0]] if len(layers) == 1 else states


def _stirred(model: RBM, scale: float = 0.3) -> RBM:
    """Return the model, with numbers added to its parameters where it has a Z with them."""
    rng = np.random.default_rng(7)
    for name, array in model.parameters.items():
        symmetric = array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, array.T)
        noise = scale * rng.normal(size=array.shape)
        noise = (noise + noise.T) / 2 * (1 - np.eye(len(array))) if symmetric else noise
        for sign in (1, -1):
            try:
                model.set_parameters(**{name: array + (noise if sign == 1 else -np.abs(noise))})
            except ValueError:
                continue
            break
    return model


def _small(pair: tuple[str, str], dtype: str) -> RBM:
    return _stirred(RBM(4, 3, *pair, seed=2, dtype=dtype))


def _made(name: str) -> Energy:
    return READY_MADE[name](**({"categories": 3} if name == "replicated_softmax" else {}))


def _energy_model(name: str, dtype: str = "float64") -> RBM:
    sizes = dict(zip(_made(name).layers, (5, 3, 2, 2, 2), strict=False))
    return _stirred(RBM.from_energy(_made(name), sizes=sizes, seed=3, dtype=dtype))


def _graph(kind: str) -> GraphModel:
    rng = np.random.default_rng(11)
    if kind == "grid":
        model = GraphModel(nx.grid_2d_graph(5, 5))
        nx.set_node_attributes(model, "spin", "units")
        for edge in model.edges:
            model.edges[edge]["weight"] = float(rng.normal())
        for node in model.nodes:
            model.nodes[node]["bias"] = float(rng.normal())
        return model
    if kind == "mixed":
        model = GraphModel()
        for name, units in zip(
            "abcdef", ("binary", "spin", "{-1, 0, 1}", "integer(3)", "binomial(2)", "spin"), strict=True
        ):
            model.add_variable(name, units, bias=float(rng.normal()))
        model.add_variable("label", units="categorical", states=["dry", "wet", "ice"])
        for pair in ("ab", "bc", "cd", "de", "ea", "cf"):
            model.add_coupling(*pair, float(rng.normal()))
        model.add_factor(["label", "a", "c"], log_table=rng.normal(size=(3, 2, 3)))
        model.add_variable("last")
        model.add_conditional("last", ["f"], [[0.9, 0.2], [0.1, 0.8]])
        return model
    if kind == "ring":
        ring = Energy.parse(
            "-sum(J[i,j]*v[i]*v[j], i, j)/2 - sum(T[i,j,k]*v[i]*v[j]*v[k], i, j, k)", visible={"v": "spin"}
        )
        around, threes = np.roll(np.eye(20), 1, axis=0), np.zeros((20, 20, 20))
        threes[[0, 7, 14], [1, 8, 15], [2, 9, 16]] = 0.5
        return GraphModel.from_energy(ring, {"J": around + around.T, "T": threes}, {"v": 20})
    label = GraphModel()
    label.add_variable(("v", 0))
    label.add_variable("y")
    label.add_conditional("y", [("v", 0)], [[0.9, 0.2], [0.1, 0.8]])
    rbm = _stirred(RBM(5, 4, seed=0))
    if kind == "rbm and label":
        return compose(rbm, label)
    return compose(rbm, _stirred(RBM(5, 3, seed=1)).graph if kind == "two rbms" else label)


# -- Subjects ----------------------------------------------------------------------------------------------------------


def learning(threads: int) -> Rows:
    """Weights after a few steps."""
    for pair in PAIRS:
        for dtype in DTYPES:
            for recipe, keywords in RECIPES.items():
                for seed in SEEDS:
                    yield (
                        f"{pair[0]} × {pair[1]}, {dtype}, {recipe}, seed {seed}",
                        lambda pair=pair, dtype=dtype, keywords=keywords, seed=seed: _fitted(
                            RBM(4, 3, *pair, seed, dtype=dtype), keywords, threads
                        ),
                    )
    for name in READY_MADE:
        for dtype in DTYPES:
            for recipe in ("cd", "pcd adam", "exact"):
                yield (
                    f"{name}, {dtype}, {recipe}",
                    lambda name=name, dtype=dtype, recipe=recipe: _fitted(
                        _energy_model(name, dtype), RECIPES[recipe], threads
                    ),
                )
    pixels = load_digits().train.pixels
    for dtype in DTYPES:
        for recipe, epochs in (("cd", 2), ("pcd", 2), ("pcd adam", 2), ("exact", 1)):
            hidden = 8 if recipe == "exact" else 16
            yield (
                f"digits 64 × {hidden}, {dtype}, {recipe}",
                lambda dtype=dtype, recipe=recipe, epochs=epochs, hidden=hidden: _fitted(
                    RBM(64, hidden, seed=0, dtype=dtype), {**RECIPES[recipe], "epochs": epochs}, threads, pixels
                ),
            )


def _fitted(model: RBM, keywords: Mapping[str, Any], threads: int, data: Any = None) -> Any:
    if data is None:
        data = _data(model, 50, np.random.default_rng(5))
    model.fit(data, **{"epochs": 2, "batch_size": 20, "threads": threads, "learning_rate": 0.05, **keywords})
    return model.parameters, model.history["log_likelihood"]


def exact(threads: int) -> Rows:
    """ln Z, averages, gradients, entropies, most probable states, exact samples, Fisher information."""
    models: dict[str, Callable[[], RBM]] = {
        f"{pair[0]} × {pair[1]}, {dtype}": lambda pair=pair, dtype=dtype: _small(pair, dtype)
        for pair in PAIRS
        for dtype in DTYPES
    }
    models |= {name: lambda name=name: _energy_model(name) for name in READY_MADE}
    models["deep spins"] = lambda: _stirred(RBM.from_energy(DEEP, sizes={"v": 8, "h": 4, "g": 2}, seed=0))
    models["12 × 10"] = lambda: _stirred(RBM(12, 10, seed=2), 0.6)
    models["12 × 10 large weights"] = lambda: _stirred(RBM(12, 10, "spin", "spin", seed=2), 50.0)
    models["40 × 16"] = lambda: _stirred(RBM(40, 16, seed=2), 0.6)
    questions: dict[str, Callable[[RBM, Any], Any]] = {
        "ln Z": lambda m, x: m.log_partition("enumeration", threads=threads),
        "ln Z by elimination": lambda m, x: m.log_partition("elimination"),
        "ln p": lambda m, x: m.log_probability(x, threads=threads),
        "gradient": lambda m, x: (lambda g: (g.term_a, g.term_b, g.difference))(m.gradient(x, threads=threads)),
        "moments": lambda m, x: m.moments(threads=threads),
        "KL": lambda m, x: m.kl_divergence(x, threads=threads),
        "entropy": lambda m, x: m.entropy(threads=threads),
        "entropy of h": lambda m, x: m.entropy("h", threads=threads),
        "most probable": lambda m, x: m.most_probable(threads=threads),
        "most probable v": lambda m, x: m.most_probable(of="v", threads=threads),
        "most probable given": lambda m, x: m.most_probable({("v", 0): 1}, threads=threads),
        "samples": lambda m, x: m.sample(20, method="exact", seed=4, threads=threads),
    }
    small: dict[str, Callable[[RBM, Any], Any]] = {
        "Fisher": lambda m, x: m.fisher_information(threads=threads).matrix,
    }
    for name, make in models.items():
        kept: list[RBM] = []
        for question, answer in (questions if "40" in name else questions | small).items():
            if "40" in name and (question.endswith(" v") or "elimination" in question):
                continue
            yield f"{name}, {question}", lambda make=make, answer=answer, kept=kept: _asked(make, answer, kept)


def _asked(make: Callable[[], RBM], answer: Callable[[RBM, Any], Any], kept: list[RBM]) -> Any:
    if not kept:
        kept.append(make())
    return answer(kept[0], _data(kept[0], 7, np.random.default_rng(6)))


def chains(threads: int) -> Rows:
    """Gibbs samples."""
    for pair in PAIRS:
        for dtype in DTYPES:
            yield (
                f"{pair[0]} × {pair[1]}, {dtype}",
                lambda pair=pair, dtype=dtype: _chained(_small(pair, dtype), threads),
            )
    for name in READY_MADE:
        yield name, lambda name=name: _chained(_energy_model(name), threads)
    yield (
        "clamped",
        lambda: _stirred(RBM(6, 4, seed=0)).sample(30, steps=20, given={("v", 3): 1}, seed=1, threads=threads),
    )
    yield "64 × 16", lambda: _chained(_stirred(RBM(64, 16, seed=0)), threads, 3000)


def _chained(model: RBM, threads: int, n: int = 12) -> Any:
    start = _data(model, n, np.random.default_rng(8)) if model.kernels.given else None
    first = model.run_chains(n, 5, seed=9, start=start, threads=threads)
    then = model.run_chains(first, 3, threads=threads)
    return first.visible, first.hidden, then.visible, then.hidden


def kernels(threads: int) -> Rows:
    """What generated functions return, for each target."""
    for pair in PAIRS:
        for dtype in DTYPES:
            for target in ("numpy", "numba"):
                name = f"{pair[0]} × {pair[1]}, {dtype}, {target}"
                yield name, lambda pair=pair, dtype=dtype, target=target: _kernel_answers(pair, dtype, target)


def _kernel_answers(pair: tuple[str, str], dtype: str, target: str) -> Any:
    model, rng = _small(pair, dtype), np.random.default_rng(10)
    compiled, parameters = pairwise(*pair).compile(target), model.parameters
    v, h = (_states(unit, (9, size), rng).astype(dtype) for unit, size in zip(pair, (4, 3), strict=True))
    answers = [compiled.energy(v, h, **parameters), compiled.free_energy(v, **parameters)]
    answers.append(compiled.phase(v, **parameters))
    for layer, other in (("h", v), ("v", h)):
        if model.units[layer] != "von_mises":  # an angle has no mean
            answers.append(compiled.mean(layer, other, **parameters))
        answers.append(compiled.sample(layer, other, np.random.default_rng(1), **parameters))
    return answers


def graphs(threads: int) -> Rows:
    """Answers of graphs by elimination, and samples."""
    questions: dict[str, Callable[[GraphModel, Mapping[Any, Any]], Any]] = {
        "ln Z": lambda g, seen: g.log_partition(seen),
        "marginals": lambda g, seen: g.marginals(seen),
        "pairs": lambda g, seen: g.pair_marginals(evidence=seen),
        "query": lambda g, seen: g.query(list(g.variables)[1:3], evidence=seen, joint=True),
        "entropy": lambda g, seen: g.entropy(seen),
        "most probable": lambda g, seen: g.most_probable(seen),
        "samples": lambda g, seen: g.sample(30, seen, seed=3),
        "chains": lambda g, seen: g.sample(30, seen, seed=3, method="gibbs", steps=20, threads=threads),
        "energy": lambda g, seen: g.energy(g.sample(5, seed=4)),
    }
    for kind in ("grid", "mixed", "ring", "rbm and label", "two rbms"):
        for known in (False, True):
            for question, ask in questions.items():
                name = f"{kind}{', evidence' if known else ''}, {question}"
                yield name, lambda kind=kind, known=known, ask=ask: _asked_graph(_graph(kind), known, ask)
    mask = np.abs(np.arange(30)[:, None] - np.arange(30)) < 2
    sparse = RBM.from_parameters(np.where(mask, 0.5, 0.0), np.full(30, -1.0), np.zeros(30), mask=mask)
    rows = np.random.default_rng(0).integers(0, 2, (20, 30))
    yield "sparse rbm, ln Z", lambda: sparse.log_partition("elimination")
    yield "sparse rbm, moments", lambda: sparse.moments()
    yield "sparse rbm, entropy", lambda: sparse.entropy()
    yield "sparse rbm, most probable", lambda: sparse.most_probable()
    yield "sparse rbm, samples", lambda: sparse.sample(20, method="exact", seed=2)
    yield "sparse rbm, gradient", lambda: sparse.gradient(rows).difference
    labels = RBM(3, 2, "potts(4)", seed=0).graph
    yield "labels, tables", lambda: [factor.log_table for factor in labels.factors]


def _asked_graph(graph: GraphModel, known: bool, ask: Callable[[GraphModel, Mapping[Any, Any]], Any]) -> Any:
    first = graph.variables[0]
    return ask(graph, {first: graph.domain(first)[-1].item()} if known else {})


def files(threads: int) -> Rows:
    """Model files there and back, and training that goes on from them."""
    for pair in (("binary", "binary"), ("gaussian", "binary"), ("potts(3)", "binary"), ("heisenberg", "binary")):
        for dtype in DTYPES:
            for recipe in ("pcd", "pcd adam", "exact"):
                name = f"{pair[0]} × {pair[1]}, {dtype}, {recipe}"
                yield (
                    name,
                    lambda pair=pair, dtype=dtype, recipe=recipe: _there_and_back(
                        RBM(4, 3, *pair, seed=0, dtype=dtype), recipe, threads
                    ),
                )
    for name in READY_MADE:
        yield name, lambda name=name: _there_and_back(_energy_model(name), "cd", threads)


def _there_and_back(model: RBM, recipe: str, threads: int) -> Any:
    data = _data(model, 50, np.random.default_rng(5))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        new = path.read_bytes()  # that of a trained model holds the seconds of each epoch
        model.fit(data, **{"epochs": 2, "batch_size": 20, "threads": threads, **RECIPES[recipe]}, checkpoint=path)
        again = RBM.load(path)
        loaded = {name: array.copy() for name, array in again.parameters.items()}
        again.fit(data, epochs=1, resume=True, threads=threads)
    return new, loaded, again.parameters, again.history["log_likelihood"]


def sources(threads: int) -> Rows:
    """Generated code, without its imports: as it stands, and without docstrings and comments."""
    energies: dict[str, Callable[[], Energy]] = {name: lambda name=name: _made(name) for name in READY_MADE}
    energies |= {f"{pair[0]} × {pair[1]}": lambda pair=pair: pairwise(*pair) for pair in PAIRS}
    energies["deep spins"] = lambda: DEEP
    energies["topics"] = lambda: replicated_softmax(3)
    for name, make in energies.items():
        for target in ("numpy", "numba", "array-api"):
            yield f"{name}, {target}, text", lambda make=make, target=target: _bare(make(), target, text=True)
            yield f"{name}, {target}, code", lambda make=make, target=target: _bare(make(), target, text=False)


def _bare(energy: Energy, target: str, text: bool) -> str:
    source = energy.compile(target).source
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    if text:
        gone = {line for node in imports for line in range(node.lineno, (node.end_lineno or 0) + 1)}
        return "\n".join(line for number, line in enumerate(source.splitlines(), 1) if number not in gone)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            node.body = [one for one in body if one not in imports]
    return ast.dump(tree)


def derivations(threads: int) -> Rows:
    """Derivations as LaTeX, text and JSON, their checks, and lectures as pages."""
    for name in READY_MADE:
        for parameter in _made(name).parameters:
            yield (
                f"{name}, {parameter}",
                lambda name=name, parameter=parameter: _written(_made(name).log_likelihood_gradient(parameter)),
            )
        for layer in _made(name).layers:
            about = f"{name}, conditional {layer}"
            yield about, lambda name=name, layer=layer: _written(_made(name).conditional(layer))
        yield f"{name}, free energy", lambda name=name: _written(_made(name).free_energy())
        yield f"{name}, ln Z", lambda name=name: _written(_made(name).log_partition())
    for name in ("pairwise", "lecture", "gaussian"):
        yield f"{name}, lecture", lambda name=name: _made(name).lecture().to_html()
        yield (
            f"{name}, checks",
            lambda name=name: [
                (check.passed, str(check)) for check in _made(name).log_likelihood_gradient("w").verify().checks
            ],
        )


def _written(derivation: Any) -> Any:
    return derivation.latex(), str(derivation), derivation.to_json()


SUBJECTS = (learning, exact, chains, kernels, graphs, files, sources, derivations)


# -- Digests -----------------------------------------------------------------------------------------------------------


def digest(answer: Any) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of an answer's bytes, with types and shapes."""
    hashed = hashlib.sha256()
    for piece in _pieces(answer):
        hashed.update(len(piece).to_bytes(8, "little") + piece)
    return hashed.hexdigest()[:12]


def _pieces(answer: Any) -> Iterator[bytes]:
    if isinstance(answer, np.ndarray):
        yield f"{answer.dtype} {answer.shape}".encode()
        yield np.ascontiguousarray(answer).tobytes() if answer.dtype != object else repr(answer.tolist()).encode()
    elif isinstance(answer, (float, np.floating)):
        yield struct.pack("<d", float(answer))
    elif isinstance(answer, bytes):
        yield answer
    elif isinstance(answer, Mapping):
        for key in sorted(answer, key=str):
            yield str(key).encode()
            yield from _pieces(answer[key])
    elif dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        for field in dataclasses.fields(answer):
            yield from _pieces(getattr(answer, field.name))
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        yield str(len(answer)).encode()
        for one in answer:
            yield from _pieces(one)
    else:
        yield str(answer).encode()


def table(names: Sequence[str], threads: int) -> dict[str, str]:
    """Return the digest of every answer to the questions of these subjects; of a refusal, the error's type."""
    found: dict[str, str] = {}
    for subject in SUBJECTS:
        if names and subject.__name__ not in names:
            continue
        start, before = time.perf_counter(), len(found)
        for question, answer in subject(threads):
            try:
                found[f"{subject.__name__}: {question}"] = digest(answer())
            except Exception as error:
                found[f"{subject.__name__}: {question}"] = f"refused: {type(error).__name__}"
        seconds = time.perf_counter() - start
        print(f"{subject.__name__}: {len(found) - before} answers in {seconds:.1f} s", file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digests", description=__doc__.split("\n")[0])
    names = [subject.__name__ for subject in SUBJECTS]
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table, as JSON")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with a table; exit status 1 if rows differ")
    parser.add_argument("--threads", type=int, default=2, help="no digest depends on it; 2 by default")
    chosen = parser.parse_args()
    if unknown := set(chosen.subjects) - set(names):
        parser.error(f"there is no subject {min(unknown)!r}; there are {', '.join(names)}.")
    found = table(chosen.subjects, chosen.threads)
    if chosen.write:
        chosen.write.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    elif not chosen.check:
        print("\n".join(f"{value}  {name}" for name, value in found.items()))
    if not chosen.check:
        return 0
    before = json.loads(chosen.check.read_text(encoding="utf-8"))
    asked = tuple(f"{name}: " for name in chosen.subjects or names)
    differing = [name for name in {**before, **found} if name.startswith(asked) and before.get(name) != found.get(name)]
    for name in differing:
        print(f"{name}: {before.get(name)} before, {found.get(name)} now")
    print(f"{len(found)} answers, {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
