"""From a derivation's trace to a lecture, along the path of the lecture RBM Mathematics (module 11.2).

What is said is chosen here; every formula comes from the trace or from the nodes' own definitions, and every tick from
:meth:`~symbolic.derivation.trace.Derivation.verify` on the expressions that are shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from sympy import Expr, Mul, Pow, exp
from sympy.core.basic import Basic

from symbolic.check.small_model import shown_state
from symbolic.check.verification import NOT_CHECKABLE, QUADRATURE, Check, Verification
from symbolic.derivation.rules import CATALOGUE, Rule
from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.errors import CheckError, NotSeparableError, SymbolicError
from symbolic.language.binders import ConfigSum
from symbolic.language.layers import Configuration, Index, Layer
from symbolic.language.parameters import Entry, Parameter
from symbolic.language.probability import LogPartition, Probability
from symbolic.lecture.document import (
    Block,
    Card,
    Cell,
    Columns,
    DerivationBlock,
    Equation,
    Exercise,
    Figure,
    Graph,
    GraphLayer,
    Inline,
    Lecture,
    Line,
    Meta,
    Outcome,
    Prose,
    Section,
    Slide,
    Table,
    Verdict,
    Words,
)
from symbolic.lecture.lesson.edges import coupled
from symbolic.lecture.lesson.worked_example import WorkedExample
from symbolic.notation import words
from symbolic.notation.tree import (
    EQUALS,
    MINUS,
    NEGATIVE,
    FunctionName,
    Identifier,
    Marked,
    Number,
    Operator,
    Setting,
    comma_row,
    row,
)
from symbolic.notation.tree import (
    Fraction as FractionLayout,
)
from symbolic.notation.typeset import typeset
from symbolic.notation.width import width
from symbolic.units import Circle, Integers, Interval, Sphere, StateValue, lookup

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["lecture_of_derivation", "lecture_of_energy"]

_MOST_ROWS = 16
_WIDTH_BESIDE_PICTURE = 24  # em


def _remark(id: str, name: str, hint: str) -> str:
    """A step that only the lecture takes: it states the next line, and the checker compares the two."""
    CATALOGUE[id] = Rule(id, name, hint, lambda node, context: context.closed_form)
    return id


_REMARKS = (
    _remark("lecture.conditional", "Conditional probability", "p(h | v) = p(v, h) / p(v)"),
    _remark("lecture.weights", "Boltzmann weights", "each probability is its weight ÷ Z"),
    _remark("lecture.cancel", "Z cancels", "the same constant above and below"),
)

_LEADS = {
    "the layer": "The whole layer: its probability is a product with one factor a unit.",
    "one unit": "So one unit has a distribution of its own:",
    "mean": "And a mean:",
}
_MEAN_OF_ZERO_AND_ONE = "And a mean, which for states 0 and 1 is the probability of being on:"


def lecture_of_derivation(derivation: Derivation) -> Lecture:
    """The lesson that leads to one result."""
    energy = derivation.energy
    composer = _Composer(energy)
    sections = [Section("The model", composer.model())]
    if derivation.kind == "gradient":
        sections.append(Section("The gradient of ln p(v)", composer.gradient(derivation)))
        sections += _section("A worked example", composer.worked_example(derivation))
    else:
        sections.append(Section(_capital(derivation.kind), composer.branches(derivation)))
    return composer.lecture(sections, derivation)


def lecture_of_energy(energy: Energy) -> Lecture:
    """The whole lesson on an energy: gradient, closed forms and a worked example."""
    composer = _Composer(energy)
    sections = [Section("The model", composer.model())]
    # The parameter that ties most layers together is the one to learn from: the weight, not a bias, and not one that
    # ties to layers that are given.
    parameters = sorted(
        energy.parameters.values(),
        key=lambda p: (-len(set(p.layers) - set(energy.given)), -len(set(p.layers)), -len(p.layers), p.name),
    )
    gradient = energy.log_likelihood_gradient(parameters[0]) if parameters else None
    if gradient is not None:
        slides = composer.gradient(gradient)
        if parameters[1:]:
            slides += (composer.other_gradients(sorted(parameters[1:], key=lambda p: p.name)),)
        sections.append(Section("The gradient of ln p(v)", slides))
    sections += _section("Summing one layer out", composer.closed_forms(gradient))
    if gradient is not None:
        sections += _section("A worked example", composer.worked_example(gradient))
    return composer.lecture(sections, gradient)


def _section(title: str, slides: tuple[Slide, ...]) -> list[Section]:
    return [Section(title, slides)] if slides else []


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


class _Composer:
    """Builds slides for one energy and keeps count of what was checked."""

    def __init__(self, energy: Energy):
        self.energy = energy
        self.layers = energy.visible + energy.hidden + energy.given
        self.coupled = coupled(energy.expression, self.layers)
        self.verifications: list[Verification] = []

    def lecture(self, sections: Sequence[Section], derivation: Derivation | None) -> Lecture:
        kinds = _listed(dict.fromkeys(words.kind(lookup(layer.unit).name) for layer in self.layers))
        count = {1: "one layer", 2: "two layers", 3: "three layers"}.get(len(self.layers), f"{len(self.layers)} layers")
        restricted = self._restricted()
        asked = derivation.kind if derivation is not None and derivation.kind != "gradient" else "gradient of ln p(v)"
        meta = Meta(
            subtitle=f"From the energy to the {asked}: {count} of {kinds} units",
            formula=None if derivation is None else self._conclusion(derivation),
            verdict=self._verdict_on_all(),
        )
        title = "The mathematics of restricted Boltzmann machines" if restricted else "The mathematics of an energy"
        return Lecture(title, meta, tuple(sections))

    def _verdict_on_all(self) -> Verdict | None:
        verdict = _verdict(self.verifications) if self.verifications else None
        return None if verdict is None else replace(verdict, lines="lines of all derivations")

    def _conclusion(self, derivation: Derivation) -> Setting:
        """What was asked = what was found, the two terms of a gradient in their colours."""
        subject = self.show(derivation.subject)
        if derivation.kind != "gradient":
            return row(subject, EQUALS, self.show(derivation.result))
        a, b = self.show(derivation.term_a), self.show(derivation.term_b)
        return row(subject, EQUALS, Marked("A", a), MINUS, Marked("B", b))

    # Formulas

    def show(
        self,
        expression: Expr,
        marks: Mapping[Expr, str] | None = None,
        names: Mapping[Index, str] | None = None,
    ) -> Setting:
        return typeset(expression, layers=self.layers, marks=marks, names=names)

    def verify(self, derivation: Derivation) -> Verification:
        verification = derivation.verify()
        self.verifications.append(verification)
        return verification

    def _energy_equation(self) -> Setting:
        return row(self.show(self.energy.call), EQUALS, self.show(self.energy.expression))

    def _restricted(self) -> bool:
        return (
            len(self.energy.visible) == 1
            and len(self.energy.hidden) == 1
            and not self.energy.given
            and self.coupled == [(self.energy.visible[0], self.energy.hidden[0])]
        )

    # The model

    def model(self) -> tuple[Slide, ...]:
        energy = self.energy
        equation = Equation(self._energy_equation())
        # A long energy would be cut off beside the picture.
        is_long = width(equation.layout) > _WIDTH_BESIDE_PICTURE
        says: list[Block] = [Prose(self._what_it_is()), *([] if is_long else [equation])]
        says.append(
            Prose(
                (
                    "The energy gives every joint configuration a number. Its sums run over dummy indices, so that ",
                    *self._single_indices(),
                    " stay free to name one unit of each layer.",
                )
            )
        )
        beside = Columns((tuple(says), (self._figure(),)))
        picture = Slide("model", self._model_title(), (equation, beside) if is_long else (beside,))
        function = energy.function
        summed = energy.visible + energy.hidden
        everything = tuple(Configuration(layer) for layer in summed)
        visible = tuple(Configuration(layer) for layer in energy.visible)
        joint = Probability(function, everything, function.inputs)
        real = [layer for layer in summed if lookup(layer.unit).is_continuous]
        added_up = "integral" if len(real) == len(summed) else "sum"
        over = f", with an integral where units are real numbers ({_listed(x.name for x in real)})" if real else ""
        over = "" if added_up == "integral" else over
        equations: list[Block] = [
            Prose(
                (
                    "The lower its energy, the more probable a configuration: ",
                    row(self.show(joint), Operator("∝"), self.show(exp(-energy.call))),
                    f". Dividing by the {added_up} over all configurations{over}, the partition function ",
                    self._z(),
                    f", makes {'densities' if real else 'probabilities'} of the weights.",
                    *self._about_given(),
                )
            ),
            Equation(row(self.show(joint), EQUALS, self.show(joint.definition())), "joint configuration"),
        ]
        if energy.hidden:
            marginal = Probability(function, visible, function.inputs)
            bound = [function.bound(layer) for layer in summed]
            equations += [
                Equation(row(self.show(marginal), EQUALS, self.show(marginal.definition())), "visible configuration"),
                Prose(
                    (
                        "The probability of a visible configuration adds up all joint configurations that contain it. ",
                        "The labels ",
                        comma_row([Identifier(c.label) for c in bound]),
                        " count configurations: " if not real else " name configurations: ",
                        self.show(bound[-1]),
                        f" is one of the configurations of layer {bound[-1].layer.name}.",
                    )
                ),
            ]
        equations += self._base_measures()
        return picture, Slide("probabilities", "From energies to probabilities", tuple(equations))

    def _z(self) -> Setting:
        return self.show(exp(LogPartition(self.energy.function)))

    def _about_given(self) -> tuple[Inline, ...]:
        """That layers are clamped in everything that follows."""
        inputs = self.energy.function.inputs
        if not inputs:
            return ()
        return (
            " The model is a conditional one: ",
            comma_row([self.show(c) for c in inputs]),
            " is given, stands behind the bar in every probability, and no sum runs over it.",
        )

    def _base_measures(self) -> list[Block]:
        """What μ is, for layers whose sums count states with a weight."""
        blocks: list[Block] = []
        spikes: list[Block] = []
        for layer in self.energy.visible + self.energy.hidden:
            if lookup(layer.unit).base is not None:
                shown = words.measure(layer, self.energy.index_of[layer][0])
                blocks.append(Equation(shown, f"base measure of {layer.name}"))
            if words.atoms(layer):
                spikes.append(Prose((f"{words.atoms(layer)}.",)))
        if blocks:
            said = (
                "Sums and integrals over these layers count a state with the weight ",
                Identifier("μ"),
                ", and probabilities are relative to it: a state's own probability is ",
                Identifier("μ"),
                " times what is written as ",
                Identifier("p"),
                ".",
            )
            blocks.insert(0, Prose(said))
        return [*blocks, *spikes]

    def _model_title(self) -> str:
        return "A restricted Boltzmann machine" if self._restricted() else "The model and its energy"

    def _what_it_is(self) -> tuple[Inline, ...]:
        if self._restricted():
            v, h = self.layers
            return (
                "Two layers of units, and no edge inside a layer: each visible unit ",
                self.show(self.energy.unit_state(v)),
                f" ({_states(v)}) is tied to each hidden unit ",
                self.show(self.energy.unit_state(h)),
                f" ({_states(h)})." if v.unit != h.unit else ", which takes the same values.",
            )
        parts: list[Inline] = ["The layers are "]
        for position, layer in enumerate(self.layers):
            said = f" ({self._role(layer)}, {_states(layer)})"
            parts += [", " if position else "", self.show(Configuration(layer)), said]
        return (*parts, ".")

    def _role(self, layer: Layer) -> str:
        return "visible" if layer in self.energy.visible else "hidden" if layer in self.energy.hidden else "given"

    def _single_indices(self) -> tuple[Inline, ...]:
        parts: list[Inline] = []
        for layer in self.layers:
            index = self.show(self.energy.index_of[layer][0])
            joint = " and " if layer == self.layers[-1] else ", "
            parts += [joint, index] if parts else [index]
        return tuple(parts)

    def _figure(self) -> Figure:
        sizes = {layer: (3 if place == 0 else 2) for place, layer in enumerate(self.layers)}
        layers = tuple(
            GraphLayer(
                layer.name,
                self._role(layer),
                tuple(self._unit(layer, place) for place in range(sizes[layer])),
            )
            for layer in self.layers
        )
        edges: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for a, b in self.coupled:
            x, y = self.layers.index(a), self.layers.index(b)
            edges += [((x, s), (y, t)) for s in range(sizes[a]) for t in range(sizes[b]) if x != y or s < t]
        emphasised, label = self._emphasis(edges)
        counts = " and ".join(f"{sizes[layer]} units of layer {layer.name}" for layer in self.layers)
        alt = f"The graph of a small model with {counts}."
        if self._restricted():
            alt += (
                " It is bipartite: every visible unit is joined to every hidden unit, and no edge runs inside a layer."
            )
        return Figure(Graph(layers, tuple(edges), emphasised, label), alt)

    def _unit(self, layer: Layer, place: int) -> Setting:
        index = self.energy.index_of[layer][0]
        return self.show(Configuration(layer)[index], names={index: str(place + 1)})

    def _emphasis(self, edges: list[tuple[tuple[int, int], tuple[int, int]]]) -> tuple[int | None, Setting | None]:
        """The first edge that carries a weight, and that weight."""
        given = set(self.energy.given)
        for parameter in sorted(self.energy.parameters.values(), key=lambda p: (bool(given & {*p.layers}), p.name)):
            if len(parameter.layers) != 2 or parameter.layers[0] == parameter.layers[1]:
                continue
            if not set(parameter.layers) <= set(self.layers):
                continue
            ends = tuple((self.layers.index(layer), 0) for layer in parameter.layers)
            if ends in edges:
                return edges.index((ends[0], ends[1])), self._first_entry(self.energy.entry(parameter))
        return None, None

    def _first_entry(self, entry: Entry, places: tuple[int, ...] | None = None) -> Setting:
        """The entry with numbers, counted from 1, for its indices."""
        return self.show(entry, names=_numbers(entry, places))

    # Derivations

    def lines(self, steps: Sequence[Step], checks: Sequence[Check | None], term: str = "") -> tuple[Line, ...]:
        """The lines of a chain: what each step made is marked as new, what the next one rewrites as old."""
        lines = []
        for position, step in enumerate(steps):
            following = steps[position + 1] if position + 1 < len(steps) else None
            marks: dict[Expr, str] = {}
            whole = ["new"] if following is None or step.focus_after == step.after else []
            if not whole:
                marks[step.focus_after] = "new"
            if following is not None and following.focus_before in (step.after, -step.after):
                whole.append("old")
            elif following is not None:
                both = following.focus_before in marks
                marks[following.focus_before] = "new old" if both else "old"
            layout = self.show(step.after, marks)
            if following is None:
                whole.insert(0, term)
            if whole:
                layout = Marked(" ".join(filter(None, whole)), layout)
            name, hint = words.name_and_hint(step)
            condition = words.condition(step, self.layers)
            check = checks[position]
            reason = check.detail if check is not None and not check.passed else ""
            lines.append(Line(layout, step.rule, name, hint, _outcome(check), reason, condition))
        return tuple(lines)

    def block(
        self, branch: Branch, verification: Verification, term: str = "", goal: Setting | None = None
    ) -> DerivationBlock:
        first = branch.steps[0] if branch.steps else None
        marks = {} if first is None or first.focus_before == branch.subject else {first.focus_before: "old"}
        subject = self.show(branch.subject, marks)
        checks = [verification.check(branch.name, place) for place in range(len(branch.steps))]
        return DerivationBlock(Marked(term, subject) if term else subject, self.lines(branch.steps, checks, term), goal)

    def branches(self, derivation: Derivation) -> tuple[Slide, ...]:
        """One slide a branch, as it stands."""
        verification = self.verify(derivation)
        return tuple(
            Slide(
                _slug(f"{derivation.kind} {branch.name}"),
                _capital(branch.name),
                (self.block(branch, verification), *self._way(derivation)),
                verdict=_verdict([verification], branch.name),
            )
            for branch in derivation.branches
        )

    @staticmethod
    def _way(derivation: Derivation) -> tuple[Block, ...]:
        said = words.way(derivation)
        return (Prose((said,)),) if said else ()

    def gradient(self, derivation: Derivation) -> tuple[Slide, ...]:
        verification = self.verify(derivation)
        a, b = derivation["Term A"], derivation["Term B"]
        question = self.show(derivation.subject)
        goal = row(question, EQUALS, Marked("A", self.show(a.subject)), MINUS, Marked("B", self.show(b.subject)))
        split = Slide(
            "split",
            "How does ln p(v) change with one parameter?",
            (
                Prose(
                    (
                        "Learning raises the probability of the data. So we ask how ",
                        self.show(derivation.subject.args[0]),
                        " changes when one parameter, ",
                        self.show(_by(derivation)),
                        ", moves. The logarithm turns the quotient into a difference, "
                        "and the derivative falls into two terms.",
                    )
                ),
                self.block(derivation["ln p(v)"], verification),
                Prose(
                    (
                        "The first is ",
                        Words("Term A", "A"),
                        ", the second ",
                        Words("Term B", "B"),
                        ".",
                    )
                ),
            ),
            verdict=_verdict([verification], "ln p(v)"),
        )
        slides = [
            split,
            Slide(
                "term-a",
                "Term A: the data term",
                (self.block(a, verification, "A", goal),),
                "A",
                "visible configuration fixed; average over the hidden ones",
                _verdict([verification], "Term A"),
            ),
        ]
        if self.energy.hidden:
            slides.append(self._where_from())
        slides.append(
            Slide(
                "term-b",
                "Term B: the model term",
                (self.block(b, verification, "B", goal),),
                "B",
                "average over every configuration",
                _verdict([verification], "Term B"),
            )
        )
        slides.append(self._together(derivation, verification))
        return tuple(slides)

    def _where_from(self) -> Slide:
        """p(h | v) = p(v, h) / p(v), with the partition functions written out so that they can be seen to cancel."""
        energy = self.energy
        function = energy.function
        visible = tuple(Configuration(layer) for layer in energy.visible)
        hidden = tuple(Configuration(layer) for layer in energy.hidden)
        inputs = function.inputs
        conditional = Probability(function, hidden, visible + inputs)
        joint, marginal = Probability(function, visible + hidden, inputs), Probability(function, visible, inputs)
        one_over_z = exp(-LogPartition(function))
        above = Mul(one_over_z, joint.numerator())
        below = Mul(one_over_z, marginal.numerator())
        lines = [
            conditional,
            joint / marginal,
            Mul(above, Pow(below, -1, evaluate=False), evaluate=False),
            conditional.definition(),
        ]
        steps = tuple(
            Step(rule, before, after, before, after)
            for rule, before, after in zip(_REMARKS, lines, lines[1:], strict=False)
        )
        name = "p(h | v)"
        chain = Derivation(energy, "conditional probability", (Branch(name, conditional, steps),), name)
        verification = self.verify(chain)
        real = all(lookup(layer.unit).is_continuous for layer in energy.hidden)
        added_up = "integral" if real else "sum"
        return Slide(
            "conditional-probability",
            "Where does that conditional probability come from?",
            (
                Prose(
                    (f"Term A divides each Boltzmann weight by the {added_up} over the hidden configurations only.",)
                ),
                self.block(chain[name], verification),
            ),
            verdict=_verdict([verification]),
        )

    def _together(self, derivation: Derivation, verification: Verification) -> Slide:
        statistic = self.show(-derivation.energy.expression.diff(_by(derivation)))
        clamp: tuple[Inline, ...] = (
            "Clamp the visible units to a training configuration and average ",
            statistic,
            " over the hidden configurations it implies."
            if self.energy.hidden
            else ": one number, nothing to average.",
        )
        free: tuple[Inline, ...] = (
            "Let every unit run free and average the same ",
            statistic,
            " over all configurations.",
        )
        return Slide(
            "together",
            "The terms together: the basis of contrastive divergence",
            (
                Equation(
                    self._conclusion(derivation),
                    check=_outcome_of(c for c in verification.checks if c.branch == "Result"),
                    large=True,
                ),
                Columns(
                    (
                        (Card("Data", (Prose(clamp),), "A"),),
                        (Card("Model", (Prose(free),), "B"),),
                    )
                ),
                Prose(
                    (
                        "Steps along this gradient raise ln p of the data. Term A pulls towards what the data make the "
                        "model do, Term B pushes away from what the model does by itself. "
                        + ("Term A is cheap. " if self._term_a_is_cheap() else "")
                        + "Term B sums over every configuration, so contrastive divergence estimates it from a few "
                        "steps of sampling that start at the data.",
                    )
                ),
            ),
            verdict=_verdict([verification], "Result"),
        )

    def _term_a_is_cheap(self) -> bool:
        """Whether the hidden layers fall apart into units, given the visible ones."""
        try:
            self.energy.free_energy()
        except SymbolicError:
            return not self.energy.hidden
        return True

    def other_gradients(self, parameters: Sequence[Parameter]) -> Slide:
        """The same result for the other parameters, each derived and checked like the first."""
        blocks: list[Block] = [
            Prose(("The same steps work for every parameter; only what multiplies it in −E differs.",))
        ]
        verifications = []
        for parameter in parameters:
            derivation = self.energy.log_likelihood_gradient(parameter)
            verifications.append(self.verify(derivation))
            caption = f"by {parameter.name}"
            blocks.append(Equation(self._conclusion(derivation), caption, _outcome_of(verifications[-1].checks)))
        verdict = _verdict(verifications)
        if verdict is not None:
            verdict = replace(verdict, lines="lines of these derivations")
        return Slide("other-parameters", "The other parameters", tuple(blocks), verdict=verdict)

    # One layer summed out

    def closed_forms(self, gradient: Derivation | None) -> tuple[Slide, ...]:
        energy = self.energy
        if len(energy.visible + energy.hidden) < 2:
            return ()
        slides: list[Slide] = []
        if energy.hidden:
            slides += self._closed_form("free-energy", "The free energy", energy.free_energy, "hidden units summed out")
        if gradient is not None and self._term_a_is_cheap():
            entry = _by(gradient)
            slides += self._closed_form("term-a-closed", "Term A in closed form", lambda: energy.phase(entry))
        for layer in (*energy.hidden, *energy.visible):
            rest = [other for other in self.layers if other != layer]
            given = ", ".join(other.name for other in rest)
            slides += self._closed_form(
                f"conditional-{layer.name}",
                f"The units of {layer.name}, given {given}",
                partial(energy.conditional, layer),
                "independent of each other",
                partial(energy.conditional, layer, "single-site"),
            )
        if not all(lookup(layer.unit).is_finite for layer in self.layers) or not self._term_a_is_cheap():
            title = "The partition function" if self._summable() else "What the partition function needs"
            slides += self._closed_form("partition-function", title, energy.log_partition)
        return tuple(slides)

    def _summable(self) -> bool:
        return self.energy.log_partition().method != "enumeration"

    def _closed_form(
        self,
        key: str,
        title: str,
        derive: Callable[[], Derivation],
        remark: str = "",
        otherwise: Callable[[], Derivation] | None = None,
    ) -> tuple[Slide, ...]:
        """A slide for what has a closed form; else why it has none, and what there is instead."""
        blocks: list[Block] = []
        try:
            derivation = derive()
        except NotSeparableError as error:
            blocks.append(Prose(("There is no closed form here: ", *self._reason(error))))
            if otherwise is None:
                return (Slide(key, title, tuple(blocks)),)
            derivation, remark = otherwise(), "each given all others, those of its layer too"
        verification = self.verify(derivation)
        for branch in derivation.branches:
            if branch.name in _LEADS:
                on_or_off = branch.name == "mean" and _takes_zero_and_one(derivation)
                blocks.append(Prose((_MEAN_OF_ZERO_AND_ONE if on_or_off else _LEADS[branch.name],)))
            blocks.append(self.block(branch, verification))
        return (Slide(key, title, tuple(blocks), remark=remark, verdict=_verdict([verification])),)

    def _reason(self, error: NotSeparableError) -> tuple[Inline, ...]:
        """The first sentence of a refusal, its term set as a formula."""
        said = str(error).partition(". ")[0] + "."
        before, opening, rest = said.partition("the term ")
        text, closing, after = rest.partition(" of −E")
        if not closing:
            return (said,)
        try:
            term = self._read(text)
        except SymbolicError:
            return (said,)
        return (before + opening, self.show(term), closing + after)

    def _read(self, text: str) -> Expr:
        """A term of the energy, multiplied out, from its text."""
        energy = self.energy
        sides = ({x.name: x.unit for x in side} for side in (energy.visible, energy.hidden, energy.given))
        visible, hidden, given = sides
        axes = {name: tuple(x.name for x in p.layers) for name, p in energy.parameters.items() if name in text}
        symmetric = [name for name in axes if energy.parameters[name].symmetric and f"{name}[" in text]
        read = type(energy).parse(
            text, visible=visible, hidden=hidden, given=given, parameters=axes, symmetric=symmetric
        )
        return read.expression

    # The worked example

    def worked_example(self, derivation: Derivation) -> tuple[Slide, ...]:
        """Numbers that check, or nothing where the energy has none that are rational."""
        if not self.energy.hidden:
            return ()
        try:
            example = WorkedExample(self.energy)
            return _Numbers(self, derivation, example).slides()
        except CheckError:
            return ()


class _Numbers:
    """The slides of a worked example."""

    def __init__(self, composer: _Composer, derivation: Derivation, example: WorkedExample):
        self.composer = composer
        self.show = composer.show
        self.derivation = derivation
        self.example = example
        self.energy = composer.energy
        self.by = _by(derivation)
        self.names = _numbers(self.by)
        self.at: dict[Basic, object] = {
            **example.clamped(),
            **{i: place for i, place in zip(self.by.indices, _first(self.by), strict=True) if isinstance(i, Index)},
        }

    def slides(self) -> tuple[Slide, ...]:
        function = self.energy.function
        partition = self.example.number(exp(LogPartition(function)), self.at)
        clamped = self._word(self.energy.visible, map(self.example.data, self.energy.visible))
        a, b = (self.example.number(term, self.at) for term in (self.derivation.term_a, self.derivation.term_b))
        tables = Slide(
            "worked-example",
            "A small model in exact numbers",
            (
                Prose(self._introduction(partition)),
                Columns(
                    (
                        (self._visible_table(clamped),),
                        (*self._parameter_tables(), self._hidden_table(clamped)),
                    )
                ),
            ),
            remark="fractions; every column of probabilities adds up to 1",
        )
        result = row(
            Marked("A", self.show(self.derivation.term_a, names=self.names)),
            MINUS,
            Marked("B", self.show(self.derivation.term_b, names=self.names)),
            EQUALS,
            Marked("A", _fraction(a)),
            MINUS,
            Marked("B", _fraction(b)),
            EQUALS,
            Marked("new", _fraction(a - b)),
            Operator("≈"),
            Number(f"{abs(float(a - b)):.4f}") if a >= b else row(NEGATIVE, Number(f"{abs(float(a - b)):.4f}")),
        )
        lines = [(name, line) for name in ("Term A", "Term B") for line in self.derivation[name].lines]
        agree = [self.example.number(line, self.at) == (a if name == "Term A" else b) for name, line in lines]
        whole = [self.example.number(line, self.at) == a - b for line in self.derivation["ln p(v)"].lines]
        counted = len(agree) + len(whole)
        gradient = Slide(
            "worked-gradient",
            "The gradient, number by number",
            (
                Equation(result, check="exact" if all(agree) and all(whole) else "failed", large=True),
                Prose(
                    (
                        f"Every line of Term A has the value {_plain(a)} in this model, every line of Term B "
                        f"{_plain(b)}, and every line before the split {_plain(a - b)}: {sum(agree) + sum(whole)} of "
                        f"{counted} lines agree exactly, derivatives carried out.",
                    )
                ),
                *self._gradient_table(clamped),
                *self._exercise(clamped),
            ),
        )
        return tables, gradient

    def _introduction(self, partition: Fraction) -> tuple[Inline, ...]:
        sizes = self.example.sizes.items()
        roles = [self.composer._role(self.energy.layers[name]) for name, _ in sizes]
        if len(set(roles)) == len(roles):
            units = _listed(f"{n} {role}" for (_, n), role in zip(sizes, roles, strict=True)) + " units"
        else:
            units = _listed(f"{n} unit{'s' * (n > 1)} of {name}" for name, n in sizes)
        return (
            f"Take {units} and parameters that are whole multiples of ",
            row(FunctionName("ln"), Number("2")),
            f"{self._zero_parameters()}. Then every Boltzmann weight is a power of two, and the partition function is ",
            row(self.composer._z(), EQUALS, _fraction(partition)),
            *self._inputs(),
            ".",
        )

    def _inputs(self) -> tuple[Inline, ...]:
        """What the layers that are given are clamped to."""
        given = self.energy.given
        if not given:
            return ()
        shown = comma_row([self.show(Configuration(layer)) for layer in given])
        return (", with ", shown, f" = {self._word(given, map(self.example.data, given))} throughout")

    def _zero_parameters(self) -> str:
        zero = [name for name, values in self.example.multiples.items() if not any(values.values())]
        return f" ({_listed(zero)} are zero)" if len(zero) > 1 else f" ({zero[0]} is zero)" if zero else ""

    @staticmethod
    def _word(layers: Sequence[Layer], configurations: Iterable[tuple[StateValue, ...]]) -> str:
        """A configuration of layers in signs: 101, or +−+ for spins."""
        words = []
        for layer, values in zip(layers, configurations, strict=True):
            states = lookup(layer.unit).states
            signs: dict[StateValue, str] = (
                {-1: "−", 0: "0", 1: "+"} if -1 in states else {state: str(state) for state in states}
            )
            words.append("".join(signs.get(value, f"({value})") for value in values))
        return " ".join(words)

    def _over(self, layers: Sequence[Layer]) -> list[tuple[tuple[StateValue, ...], ...]]:
        return list(itertools.product(*(list(self.example.configurations(layer)) for layer in layers)))

    def _visible_table(self, clamped: str) -> Block:
        energy = self.energy
        free = tuple(Configuration(layer) for layer in energy.visible)
        bound = tuple(energy.function.bound(layer) for layer in energy.hidden)
        marginal = Probability(energy.function, free, energy.function.inputs)
        statistic = -energy.function(*free, *bound).definition().diff(self.by)
        joint = Probability(energy.function, (*free, *bound), energy.function.inputs)
        share = ConfigSum(joint * statistic, *bound)
        columns = (marginal.numerator(), marginal, share)
        rows: list[tuple[Cell, ...]] = []
        for values in self._over(energy.visible):
            at = {**self.at, **dict(zip(free, values, strict=True))}
            rows.append((self._word(energy.visible, values), *(self.example.number(e, at) for e in columns)))
        if len(rows) > _MOST_ROWS:
            return Prose((f"The visible layers have {len(rows)} configurations, too many for a table.",))
        return Table(
            ("Every visible configuration; the last column adds up to ", Words("Term B", "B")),
            (comma_row([self.show(c) for c in free]), *(self.show(e, names=self.names) for e in columns)),
            tuple(rows),
            ("sum", *_sums(rows, (1, 2, 3))),
            decimals=(2, 4),
            highlighted=next(n for n, cells in enumerate(rows) if cells[0] == clamped),
        )

    def _hidden_table(self, clamped: str) -> Table:
        energy = self.energy
        function = energy.function
        visible = tuple(Configuration(layer) for layer in energy.visible)
        hidden = tuple(function.bound(layer) for layer in energy.hidden)
        conditional = Probability(function, hidden, visible + function.inputs)
        weight = exp(-function(*visible, *hidden))
        statistic = -function(*visible, *hidden).definition().diff(self.by)
        rows: list[tuple[Cell, ...]] = []
        for values in self._over(energy.hidden):
            at = {**self.at, **dict(zip(hidden, values, strict=True))}
            w, p, s = (self.example.number(e, at) for e in (weight, conditional, statistic))
            rows.append((self._word(energy.hidden, values), w, p, s, p * s))
        weights, probabilities, average = _sums(rows, (1, 2, 4))
        return Table(
            (
                f"Hidden configurations, visible units clamped to {clamped}; the last column adds up to ",
                Words("Term A", "A"),
            ),
            (
                comma_row([self.show(c) for c in hidden]),
                self.show(weight),
                self.show(conditional),
                self.show(statistic, names=self.names),
                "product",
            ),
            tuple(rows),
            ("sum", weights, probabilities, "", average),
        )

    def _parameter_tables(self) -> tuple[Block, ...]:
        tables: list[Block] = []
        for name, values in self.example.multiples.items():
            parameter = self.energy.parameters[name]
            if len(parameter.layers) != 2 or not any(values.values()):
                continue
            first, second = parameter.layers
            entry = self.energy.entry(parameter)
            head = [self.composer._unit(second, place) for place in range(self.example.sizes[second.name])]
            rows = tuple(
                (
                    self.composer._unit(first, place),
                    *(Fraction(values[place, other]) for other in range(self.example.sizes[second.name])),
                )
                for place in range(self.example.sizes[first.name])
            )
            unit = row(FunctionName("ln"), Number("2"))
            tables.append(Table((self.show(entry), " in units of ", unit), ("", *head), rows))
        return tuple(tables)

    def _gradient_table(self, clamped: str) -> tuple[Block, ...]:
        """Both terms for every entry of the parameter."""
        indices = [index for index in self.by.indices if isinstance(index, Index)]
        places = list(self.example.entries(self.by.parameter))
        if len(indices) != len(self.by.indices) or not 1 < len(places) <= _MOST_ROWS:
            return ()
        rows: list[tuple[Cell, ...]] = []
        for place in places:
            at = {**self.at, **dict(zip(indices, place, strict=True))}
            a, b = (self.example.number(t, at) for t in (self.derivation.term_a, self.derivation.term_b))
            rows.append((self.composer._first_entry(self.by, place), a, b, a - b))
        table = Table(
            (f"The gradient of ln p({clamped}) by every entry of {self.by.parameter.name}",),
            (
                self.show(self.by),
                Words("Term A", "A"),
                Words("Term B", "B"),
                "A − B",
            ),
            tuple(rows),
            decimals=(3, 4),
            highlighted=places.index(_first(self.by)) if _first(self.by) in places else None,
        )
        return (table,)

    def _exercise(self, clamped: str) -> tuple[Block, ...]:
        """The same calculation for the last entry, its answer evaluated like everything else."""
        indices = [index for index in self.by.indices if isinstance(index, Index)]
        places = list(self.example.entries(self.by.parameter))
        if len(indices) != len(self.by.indices) or len(places) < 2:
            return ()
        other = dict(zip(self.energy.visible, self._other_data(), strict=True))
        at = {**self.at, **{Configuration(layer): values for layer, values in other.items()}}
        at |= dict(zip(indices, places[-1], strict=True))
        word = self._word(self.energy.visible, other.values())
        a, b = (self.example.number(t, at) for t in (self.derivation.term_a, self.derivation.term_b))
        names = _numbers(self.by, places[-1])
        solution = row(
            Marked("A", self.show(self.derivation.term_a, names=names)),
            MINUS,
            Marked("B", self.show(self.derivation.term_b, names=names)),
            EQUALS,
            _fraction(a),
            MINUS,
            _fraction(b),
            EQUALS,
            _fraction(a - b),
        )
        prompt: tuple[Inline, ...] = (
            f"Clamp the visible units to {word} instead of {clamped}. What is the gradient by ",
            self.composer._first_entry(self.by, places[-1]),
            "?",
        )
        return (Exercise(prompt, (Equation(solution),)),)

    def _other_data(self) -> list[tuple[StateValue, ...]]:
        """Visible states other than the data: a layer's first unit in its lowest state, the rest in their highest."""
        return [
            tuple(lookup(layer.unit).states[-1] if n else lookup(layer.unit).states[0] for n in range(size))
            for layer in self.energy.visible
            for size in [self.example.sizes[layer.name]]
        ]


def _by(derivation: Derivation) -> Entry:
    entry = derivation.subject.args[1][0]
    assert isinstance(entry, Entry)
    return entry


def _first(entry: Entry) -> tuple[int, ...]:
    """The first place of a parameter whose units are all different: a unit has no coupling with itself."""
    layers = entry.parameter.layers
    return tuple(layers[:axis].count(layer) for axis, layer in enumerate(layers))


def _numbers(entry: Entry, places: tuple[int, ...] | None = None) -> dict[Index, str]:
    """Numbers, counted from 1, for the indices of an entry."""
    chosen = places or _first(entry)
    return {
        index: str(place + 1) for index, place in zip(entry.indices, chosen, strict=True) if isinstance(index, Index)
    }


def _sums(rows: Sequence[tuple[Cell, ...]], columns: Iterable[int]) -> list[Fraction]:
    """The sums of columns of exact numbers."""
    return [sum((cell for r in rows if isinstance(cell := r[column], Fraction)), Fraction(0)) for column in columns]


def _fraction(value: Fraction) -> Setting:
    size = abs(value)
    shown: Setting = (
        Number(str(size))
        if size.denominator == 1
        else FractionLayout(Number(str(size.numerator)), Number(str(size.denominator)))
    )
    return row(NEGATIVE, shown) if value < 0 else shown


def _plain(value: Fraction) -> str:
    return str(value).replace("-", "−")


def _takes_zero_and_one(conditional: Derivation) -> bool:
    """Whether the unit whose mean is derived has the states 0 and 1."""
    unit = lookup(conditional.subject.state.layer.unit)
    return unit.is_finite and unit.states == (0, 1)


def _states(layer: Layer) -> str:
    """The states of one unit, in words."""
    domain = lookup(layer.unit).domain
    if isinstance(domain, Integers):
        if domain.last is None:
            return f"{domain.first}, {domain.first + 1}, …"
        if domain.last > domain.first + 3:
            return f"{domain.first}, {domain.first + 1}, … or {domain.last}"
        *others, last = map(str, range(domain.first, domain.last + 1))
        return f"{', '.join(others)} or {last}"
    if isinstance(domain, Interval):
        if domain.low is None:
            return "any real number" if domain.high is None else f"any number up to {domain.high}"
        return f"any number from {domain.low}" + (" up" if domain.high is None else f" to {domain.high}")
    if isinstance(domain, Circle):
        return "any angle from −π to π"
    if isinstance(domain, Sphere):
        return f"any direction in {domain.dimension} dimensions, a vector of length 1"
    *others, last = (str(state).replace("-", "−") for state in domain.states)
    return f"{', '.join(others)} or {last}"


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _slug(words: str) -> str:
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in words.lower())
    return "-".join(part for part in kept.split("-") if part)


def _outcome(check: Check | None) -> Outcome:
    if check is None:
        return ""
    if check.kind == NOT_CHECKABLE:
        return "unchecked"
    return "failed" if not check.passed else "numeric" if check.kind == QUADRATURE else "exact"


def _outcome_of(checks: Iterable[Check]) -> Outcome:
    """The worst of several."""
    found = {_outcome(check) for check in checks}
    order: tuple[Outcome, ...] = ("failed", "unchecked", "numeric", "exact")
    return next((outcome for outcome in order if outcome in found), "")


def _verdict(verifications: Iterable[Verification], branch: str | None = None) -> Verdict | None:
    """What was checked of a branch, or of everything."""
    verifications = list(verifications)
    checks = [c for v in verifications for c in v.checks if branch is None or c.branch == branch]
    if not checks:
        return None
    lines = [c for c in checks if c.position is not None]
    first = verifications[0]
    return Verdict(
        sum(c.passed for c in lines),
        len(lines),
        tuple(first.sizes.items()),
        first.points,
        tuple(_said(c) for c in checks if _outcome(c) == "failed"),
        numeric=sum(_outcome(c) == "numeric" for c in lines),
        unchecked=tuple(_said(c) for c in lines if _outcome(c) == "unchecked"),
        stand_ins=tuple((name, tuple(map(_set, sets))) for name, sets in first.stand_ins.items()),
    )


def _said(check: Check) -> str:
    name = CATALOGUE[check.rule].name if check.rule in CATALOGUE else check.rule
    return f"{check.branch}, {name}: {check.detail}"


def _set(states: Iterable[StateValue]) -> str:
    return "{" + ", ".join(map(shown_state, states)) + "}"
