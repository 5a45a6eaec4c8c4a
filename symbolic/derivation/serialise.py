"""Derivations as JSON and back. Files are data: every node is rebuilt by a constructor named in a table here, and
nothing in a file is evaluated. Verify what you read (:meth:`Derivation.verify`); a file can claim a false step, a
check cannot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sympy import (
    Add,
    Derivative,
    Expr,
    Function,
    Integer,
    Mul,
    Pow,
    Rational,
    S,
    Symbol,
    cos,
    erfc,
    exp,
    log,
    loggamma,
    pi,
    sin,
    tanh,
)
from sympy.core.basic import Basic

from symbolic.derivation.rules import CATALOGUE
from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.errors import SymbolicError
from symbolic.language import binders, functions, probability
from symbolic.language.energy import Energy
from symbolic.language.expressions import Delta
from symbolic.language.layers import Component, Configuration, Index, Indicator, Layer, State, axes_of
from symbolic.language.parameters import Entry, Parameter

__all__ = ["derivation_from_json", "derivation_to_json"]

FORMAT = "pgm-rbm derivation"
VERSION = 1
# Files come from anywhere, and these bounds keep reading one within Python's stack. Derivations of ready-made energies
# nest 14 deep (2026-12); the parser lets in exponents up to 16 and numbers of at most 300 digits.
MAX_DEPTH = 200
MAX_EXPONENT = 64
MAX_DIGITS = 1000

_PLAIN: dict[str, Callable[..., Any]] = {
    "add": Add,
    "mul": Mul,
    "exp": exp,
    "log": log,
    "tanh": tanh,
    "cos": cos,
    "sin": sin,
    "erfc": erfc,
    "loggamma": loggamma,
    **functions.by_name(),
    "mu": binders.BaseMeasure,
    "site_energy": probability.SiteEnergy,
    "site_probability": probability.SiteProbability,
    "delta": Delta,
    "component": Component,
    "indicator": Indicator,
    "state": State,
    "entry": Entry,
    "sum": binders.IndexSum,
    "product": binders.IndexProduct,
    "configsum": binders.ConfigSum,
    "unitsum": binders.UnitSum,
    "call": probability.EnergyCall,
    "unitprobability": lambda function, state, *given: probability.UnitProbability(function, state, given),
    "expectation": probability.Expectation,
    "free_energy": probability.FreeEnergy,
    "log_partition": probability.LogPartition,
}
_TAG_OF = {made: tag for tag, made in _PLAIN.items() if isinstance(made, type)}


def _encode(node: Basic) -> Any:
    match node:
        case _ if node is pi:
            return ["pi"]
        case _ if node is S.Exp1:
            return ["exp", _encode(S.One)]
        case Rational():
            return ["number", str(node.p), str(node.q)]
        case Index():
            return ["index", node.name, node.layer.name]
        case Configuration():
            return ["layer", node.layer.name, node.label]
        case Parameter():
            return ["parameter", node.name]
        case probability.EnergyFunction():
            return ["energy"]
        case Symbol():
            return ["size", node.name]
        case Derivative():
            return ["derivative", _encode(node.expr), *(_encode(v) for v in node.variables)]
        case Pow() if not isinstance(node, Function):
            return ["pow", _encode(node.base), _encode(node.exp)]
        case probability.Probability():
            return ["probability", *([_encode(c) for c in side] for side in (node.subject, node.given))]
        case probability.UnitProbability():
            return ["unitprobability", *(_encode(x) for x in (node.function, node.state, *node.given))]
    if type(node) not in _TAG_OF:
        raise SymbolicError(f"{type(node).__name__} cannot be written to JSON: {node}")
    return [_TAG_OF[type(node)], *(_encode(argument) for argument in node.args)]


def derivation_to_json(derivation: Derivation) -> str:
    """See :meth:`Derivation.to_json`."""
    energy = derivation.energy
    data = {
        "format": FORMAT,
        "version": VERSION,
        "kind": derivation.kind,
        "conclusion": derivation.conclusion,
        **({"method": derivation.method} if derivation.method else {}),
        "energy": {
            "visible": [[layer.name, layer.unit] for layer in energy.visible],
            "hidden": [[layer.name, layer.unit] for layer in energy.hidden],
            **({"given": [[layer.name, layer.unit] for layer in energy.given]} if energy.given else {}),
            "parameters": [
                [p.name, [layer.name for layer in p.layers], p.symmetric] for p in energy.parameters.values()
            ],
            "expression": _encode(energy.expression),
        },
        "branches": [
            {
                "name": branch.name,
                "subject": _encode(branch.subject),
                "steps": [
                    {
                        "rule": step.rule,
                        **{
                            part: _encode(getattr(step, part))
                            for part in ("before", "after", "focus_before", "focus_after")
                        },
                        **({"conditions": [_encode(c) for c in step.conditions]} if step.conditions else {}),
                    }
                    for step in branch.steps
                ],
            }
            for branch in derivation.branches
        ],
    }
    return json.dumps(data, ensure_ascii=False, indent=1)


class _Decoder:
    def __init__(self, layers: dict[str, Layer], parameters: dict[str, Parameter]):
        self.layers = layers
        self.parameters = parameters
        self.energy: Energy | None = None

    def layer(self, name: Any) -> Layer:
        if not isinstance(name, str) or name not in self.layers:
            raise SymbolicError(f"the layer {name!r} is not one of the energy's: {', '.join(self.layers)}.")
        return self.layers[name]

    def decode(self, data: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise SymbolicError(f"an expression is nested deeper than {MAX_DEPTH}.")
        if not isinstance(data, list) or not data or not isinstance(data[0], str):
            raise SymbolicError(f"an expression is a list that starts with its kind. Got {str(data)[:80]}.")
        tag, *rest = data
        match tag, rest:
            case "number", [str(p), str(q)] if len(p) + len(q) <= MAX_DIGITS:
                return Rational(Integer(p), Integer(q))
            case "pi", []:
                return pi
            case "index", [str(name), layer]:
                return Index(name, self.layer(layer))
            case "layer", [layer, str(label)]:
                return Configuration(self.layer(layer), label)
            case "parameter", [str(name)] if name in self.parameters:
                return self.parameters[name]
            case "energy", [] if self.energy is not None:
                return self.energy.function
            case "size", [str(name)] if name in {str(layer.size) for layer in self.layers.values()}:
                return next(layer.size for layer in self.layers.values() if str(layer.size) == name)
            case "derivative", [inner, by]:
                return Derivative(self.decode(inner, depth + 1), self.decode(by, depth + 1), evaluate=False)
            case "pow", [base, exponent]:
                return self.power(self.decode(base, depth + 1), self.decode(exponent, depth + 1))
            case "probability", [list(subject), list(given)] if self.energy is not None:
                sides = [[self.decode(c, depth + 1) for c in side] for side in (subject, given)]
                return probability.Probability(self.energy.function, *sides)
        if tag not in _PLAIN:
            raise SymbolicError(f"{str(data)[:80]} is not an expression of this version.")
        return _PLAIN[tag](*(self.decode(argument, depth + 1) for argument in rest))

    @staticmethod
    def power(base: Expr, exponent: Expr) -> Expr:
        if exponent.is_number and abs(exponent) > MAX_EXPONENT:
            raise SymbolicError(f"an exponent is at most {MAX_EXPONENT}. Got {exponent}.")
        return base**exponent


def derivation_from_json(text: str) -> Derivation:
    """See :meth:`Derivation.from_json`."""
    try:
        return _derivation(json.loads(text))
    except SymbolicError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SymbolicError(f"this is not a derivation in JSON: {type(error).__name__}: {error}") from error


def _derivation(data: Any) -> Derivation:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise SymbolicError(f"this is not a derivation in JSON: its format is not {FORMAT!r}.")
    if data.get("version") != VERSION:
        raise SymbolicError(
            f"this derivation has format version {data.get('version')!r}; this version reads {VERSION}."
        )
    described = data["energy"]
    roles = ("visible", "hidden", "given")
    sides = [[Layer(name, unit) for name, unit in described.get(side, [])] for side in roles]
    layers = {layer.name: layer for side in sides for layer in side}
    layers |= axes_of(layers.values())
    parameters = {
        name: Parameter(name, *(layers[layer] for layer in axes), symmetric=bool(symmetric))
        for name, axes, symmetric in described["parameters"]
    }
    decoder = _Decoder(layers, parameters)
    energy = Energy(decoder.decode(described["expression"]), visible=sides[0], hidden=sides[1], given=sides[2])
    decoder.energy = energy
    branches = tuple(_branch(decoder, b) for b in data["branches"])
    conclusion = data["conclusion"]
    if conclusion not in [branch.name for branch in branches]:
        raise SymbolicError(f"its result is in a branch {conclusion!r}, and it has no such branch.")
    return Derivation(energy, str(data["kind"]), branches, conclusion, str(data.get("method", "")))


def _branch(decoder: _Decoder, data: Any) -> Branch:
    steps = []
    for step in data["steps"]:
        if step["rule"] not in CATALOGUE:
            raise SymbolicError(f"there is no rule {step['rule']!r} in this version.")
        parts = (decoder.decode(step[part]) for part in ("before", "after", "focus_before", "focus_after"))
        before, after, focus_before, focus_after = parts
        conditions = tuple(decoder.decode(condition) for condition in step.get("conditions", ()))
        steps.append(Step(step["rule"], before, after, focus_before, focus_after, conditions))
    return Branch(str(data["name"]), decoder.decode(data["subject"]), tuple(steps))
