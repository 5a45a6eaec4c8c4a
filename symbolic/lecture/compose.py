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

from sympy import Add, Expr, Mul, Pow, exp, expand
from sympy.core.basic import Basic

from symbolic.check.verification import Verification
from symbolic.derivation.rules import CATALOGUE
from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.errors import CheckError, NotSeparableError
from symbolic.language.binders import ConfigSum
from symbolic.language.layers import Configuration, Entry, Index, Layer, Parameter, State
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
    Prose,
    Section,
    Slide,
    Table,
    Verdict,
    Words,
)
from symbolic.lecture.worked_example import WorkedExample
from symbolic.notation.tree import (
    EQUALS,
    MINUS,
    NEGATIVE,
    FunctionName,
    Identifier,
    Layout,
    Marked,
    Number,
    Operator,
    comma_row,
    row,
)
from symbolic.notation.tree import (
    Fraction as FractionLayout,
)
from symbolic.notation.typeset import typeset
from symbolic.units import StateValue, lookup

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["lecture_of_derivation", "lecture_of_energy"]

_MOST_ROWS = 16

# Steps that only the lecture takes: what they are called, and the rule in a line.
_REMARKS = {
    "lecture.conditional": ("Conditional probability", "p(h | v) = p(v, h) / p(v)"),
    "lecture.weights": ("Boltzmann weights", "each probability is its weight ÷ Z"),
    "lecture.cancel": ("Z cancels", "the same constant above and below"),
}

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
    # The parameter that ties most layers together is the one to learn from: the weight, not a bias.
    parameters = sorted(energy.parameters.values(), key=lambda p: (-len(p.layers), p.name))
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
        self.layers = energy.visible + energy.hidden
        self.verifications: list[Verification] = []

    def lecture(self, sections: Sequence[Section], derivation: Derivation | None) -> Lecture:
        kinds = " and ".join(dict.fromkeys(lookup(layer.unit).name for layer in self.layers))
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

    def _conclusion(self, derivation: Derivation) -> Layout:
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
    ) -> Layout:
        return typeset(expression, layers=self.layers, marks=marks, names=names)

    def verify(self, derivation: Derivation) -> Verification:
        verification = derivation.verify()
        self.verifications.append(verification)
        return verification

    def _energy_equation(self) -> Layout:
        return row(self.show(self.energy.call), EQUALS, self.show(self.energy.expression))

    def _restricted(self) -> bool:
        return (
            len(self.energy.visible) == 1
            and len(self.energy.hidden) == 1
            and not any(a == b for a, b in self._coupled())
        )

    def _coupled(self) -> list[tuple[Layer, Layer]]:
        """The pairs of layers whose units occur in one term of the energy; a layer may be paired with itself."""
        found: dict[tuple[Layer, Layer], None] = {}
        for term in Add.make_args(expand(self.energy.expression)):
            states = sorted(term.atoms(State), key=lambda s: (self.layers.index(s.layer), str(s)))
            for a, b in itertools.combinations(states, 2):
                found[(a.layer, b.layer)] = None
        return sorted(found, key=lambda pair: tuple(map(self.layers.index, pair)))

    # The model

    def model(self) -> tuple[Slide, ...]:
        energy = self.energy
        says: list[Block] = [Prose(self._what_it_is())]
        says.append(Equation(self._energy_equation()))
        says.append(
            Prose(
                (
                    "The energy gives every joint configuration a number. Its sums run over dummy indices, so that ",
                    *self._single_indices(),
                    " stay free to name one unit of each layer.",
                )
            )
        )
        picture = Slide("model", self._model_title(), (Columns((tuple(says), (self._figure(),))),))
        function = energy.function
        everything = tuple(Configuration(layer) for layer in self.layers)
        visible = tuple(Configuration(layer) for layer in energy.visible)
        joint = Probability(function, everything)
        equations: list[Block] = [
            Prose(
                (
                    "The lower its energy, the more probable a configuration: ",
                    row(self.show(joint), Operator("∝"), self.show(exp(-energy.call))),
                    ". Dividing by the sum over all configurations, the partition function ",
                    Identifier("Z"),
                    ", makes probabilities of the weights.",
                )
            ),
            Equation(row(self.show(joint), EQUALS, self.show(joint.definition())), "joint configuration"),
        ]
        if energy.hidden:
            marginal = Probability(function, visible)
            bound = [function.bound(layer) for layer in self.layers]
            equations += [
                Equation(row(self.show(marginal), EQUALS, self.show(marginal.definition())), "visible configuration"),
                Prose(
                    (
                        "The probability of a visible configuration adds up all joint configurations that contain it. ",
                        "The labels ",
                        comma_row([Identifier(c.label) for c in bound]),
                        " count configurations: ",
                        self.show(bound[-1]),
                        " is one of the configurations of the hidden layer.",
                    )
                ),
            ]
        return picture, Slide("probabilities", "From energies to probabilities", tuple(equations))

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
            role = "visible" if layer in self.energy.visible else "hidden"
            parts += [", " if position else "", self.show(Configuration(layer)), f" ({role}, {_states(layer)})"]
        return (*parts, ".")

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
                "visible" if layer in self.energy.visible else "hidden",
                tuple(self._unit(layer, place) for place in range(sizes[layer])),
            )
            for layer in self.layers
        )
        edges: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for a, b in self._coupled():
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

    def _unit(self, layer: Layer, place: int) -> Layout:
        index = self.energy.index_of[layer][0]
        return self.show(Configuration(layer)[index], names={index: str(place + 1)})

    def _emphasis(self, edges: list[tuple[tuple[int, int], tuple[int, int]]]) -> tuple[int | None, Layout | None]:
        """The first edge that carries a weight, and that weight."""
        for parameter in sorted(self.energy.parameters.values(), key=lambda p: p.name):
            if len(parameter.layers) != 2 or parameter.layers[0] == parameter.layers[1]:
                continue
            ends = tuple((self.layers.index(layer), 0) for layer in parameter.layers)
            if ends in edges:
                return edges.index((ends[0], ends[1])), self._first_entry(self.energy.entry(parameter))
        return None, None

    def _first_entry(self, entry: Entry, places: tuple[int, ...] | None = None) -> Layout:
        """The entry with numbers, counted from 1, for its indices."""
        return self.show(entry, names=_numbers(entry, places))

    # Derivations

    def lines(self, steps: Sequence[Step], passed: Sequence[bool | None], term: str = "") -> tuple[Line, ...]:
        """The lines of a chain: what each step made is marked as new, what the next one rewrites as old."""
        lines = []
        for position, step in enumerate(steps):
            following = steps[position + 1] if position + 1 < len(steps) else None
            marks: dict[Expr, str] = {}
            if step.focus_after != step.after:
                marks[step.focus_after] = "new"
            if following is not None and following.focus_before not in (step.after, -step.after):
                both = following.focus_before in marks
                marks[following.focus_before] = "new old" if both else "old"
            layout = self.show(step.after, marks)
            if following is None:
                layout = Marked(f"{term} new".strip(), layout)
            name, hint = _REMARKS.get(step.rule) or (step.name, step.hint)
            lines.append(Line(layout, step.rule, name, hint, passed[position]))
        return tuple(lines)

    def block(
        self, branch: Branch, verification: Verification, term: str = "", goal: Layout | None = None
    ) -> DerivationBlock:
        first = branch.steps[0] if branch.steps else None
        marks = {} if first is None or first.focus_before == branch.subject else {first.focus_before: "old"}
        subject = self.show(branch.subject, marks)
        passed = [verification.passed(branch.name, place) for place in range(len(branch.steps))]
        return DerivationBlock(Marked(term, subject) if term else subject, self.lines(branch.steps, passed, term), goal)

    def branches(self, derivation: Derivation) -> tuple[Slide, ...]:
        """One slide a branch, as it stands."""
        verification = self.verify(derivation)
        return tuple(
            Slide(
                _slug(f"{derivation.kind} {branch.name}"),
                _capital(branch.name),
                (self.block(branch, verification),),
                verdict=_verdict([verification], branch.name),
            )
            for branch in derivation.branches
        )

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
        conditional = Probability(function, hidden, visible)
        joint, marginal = Probability(function, visible + hidden), Probability(function, visible)
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
        return Slide(
            "conditional-probability",
            "Where does that conditional probability come from?",
            (
                Prose(("Term A divides each Boltzmann weight by the sum over the hidden configurations only.",)),
                self.block(chain[name], verification),
            ),
            verdict=_verdict([verification]),
        )

    def _together(self, derivation: Derivation, verification: Verification) -> Slide:
        statistic = self.show(-derivation.energy.expression.diff(_by(derivation)))
        clamp: tuple[Inline, ...] = (
            "Clamp the visible units to a training configuration and average ",
            statistic,
            " over the hidden configurations it implies.",
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
                    passed=all(c.passed for c in verification.checks if c.branch == "Result"),
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
                        "model do, Term B pushes away from what the model does by itself. Term A is cheap. Term B sums "
                        "over every configuration, so contrastive divergence estimates it from a few steps of sampling "
                        "that start at the data.",
                    )
                ),
            ),
            verdict=_verdict([verification], "Result"),
        )

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
            blocks.append(Equation(self._conclusion(derivation), caption, bool(verifications[-1])))
        verdict = _verdict(verifications)
        if verdict is not None:
            verdict = replace(verdict, lines="lines of these derivations")
        return Slide("other-parameters", "The other parameters", tuple(blocks), verdict=verdict)

    # One layer summed out

    def closed_forms(self, gradient: Derivation | None) -> tuple[Slide, ...]:
        energy = self.energy
        if len(self.layers) < 2:
            return ()
        slides = []
        if energy.hidden:
            slides.append(
                self._closed_form("free-energy", "The free energy", energy.free_energy, "hidden units summed out")
            )
        if energy.hidden and gradient is not None:
            entry = _by(gradient)
            slides.append(self._closed_form("term-a-closed", "Term A in closed form", lambda: energy.phase(entry)))
        for layer in (*energy.hidden, *energy.visible):
            rest = [other for other in self.layers if other != layer]
            given = ", ".join(other.name for other in rest)
            slides.append(
                self._closed_form(
                    f"conditional-{layer.name}",
                    f"The units of {layer.name}, given {given}",
                    partial(energy.conditional, layer),
                    "independent of each other",
                )
            )
        return tuple(slides)

    def _closed_form(self, key: str, title: str, derive: Callable[[], Derivation], remark: str = "") -> Slide:
        try:
            derivation = derive()
        except NotSeparableError as error:
            return Slide(key, title, (Prose((f"There is no closed form here: {error}",)),))
        verification = self.verify(derivation)
        blocks: list[Block] = []
        for branch in derivation.branches:
            if branch.name in _LEADS:
                on_or_off = branch.name == "mean" and _takes_zero_and_one(branch)
                blocks.append(Prose((_MEAN_OF_ZERO_AND_ONE if on_or_off else _LEADS[branch.name],)))
            blocks.append(self.block(branch, verification))
        return Slide(key, title, tuple(blocks), remark=remark, verdict=_verdict([verification]))

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
            **{index: 0 for index in self.by.indices if isinstance(index, Index)},
        }

    def slides(self) -> tuple[Slide, ...]:
        function = self.energy.function
        partition = self.example.number(exp(LogPartition(function)), {})
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
                Equation(result, passed=all(agree) and all(whole), large=True),
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
        sizes = " and ".join(
            f"{n} {'visible' if self.energy.layers[name] in self.energy.visible else 'hidden'}"
            for name, n in self.example.sizes.items()
        )
        return (
            f"Take {sizes} units and parameters that are whole multiples of ",
            row(FunctionName("ln"), Number("2")),
            f"{self._zero_parameters()}. Then every Boltzmann weight is a power of two, and the partition function is ",
            row(Identifier("Z"), EQUALS, _fraction(partition)),
            ".",
        )

    def _zero_parameters(self) -> str:
        zero = [name for name, values in self.example.multiples.items() if not any(values.values())]
        return f" ({' and '.join(zero)} are zero)" if len(zero) > 1 else f" ({zero[0]} is zero)" if zero else ""

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
        marginal = Probability(energy.function, free)
        statistic = -energy.function(*free, *bound).definition().diff(self.by)
        share = ConfigSum(Probability(energy.function, (*free, *bound)) * statistic, *bound)
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
        conditional = Probability(function, hidden, visible)
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
            highlighted=places.index(tuple(0 for _ in indices)) if tuple(0 for _ in indices) in places else None,
        )
        return (table,)

    def _exercise(self, clamped: str) -> tuple[Block, ...]:
        """The same calculation for the last entry, its answer evaluated like everything else."""
        indices = [index for index in self.by.indices if isinstance(index, Index)]
        places = list(self.example.entries(self.by.parameter))
        if len(indices) != len(self.by.indices) or len(places) < 2:
            return ()
        other = dict(zip(self.energy.visible, self._other_data(), strict=True))
        at: dict[Basic, object] = {Configuration(layer): values for layer, values in other.items()}
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


def _numbers(entry: Entry, places: tuple[int, ...] | None = None) -> dict[Index, str]:
    """Numbers, counted from 1, for the indices of an entry."""
    chosen = places or tuple(0 for _ in entry.indices)
    return {
        index: str(place + 1) for index, place in zip(entry.indices, chosen, strict=True) if isinstance(index, Index)
    }


def _sums(rows: Sequence[tuple[Cell, ...]], columns: Iterable[int]) -> list[Fraction]:
    """The sums of columns of exact numbers."""
    return [sum((cell for r in rows if isinstance(cell := r[column], Fraction)), Fraction(0)) for column in columns]


def _fraction(value: Fraction) -> Layout:
    size = abs(value)
    shown: Layout = (
        Number(str(size))
        if size.denominator == 1
        else FractionLayout(Number(str(size.numerator)), Number(str(size.denominator)))
    )
    return row(NEGATIVE, shown) if value < 0 else shown


def _plain(value: Fraction) -> str:
    return str(value).replace("-", "−")


def _takes_zero_and_one(mean: Branch) -> bool:
    """Whether the unit whose mean is derived has the states 0 and 1."""
    return all(lookup(c.layer.unit).states == (0, 1) for c in mean.subject.probability.subject)


def _states(layer: Layer) -> str:
    return " or ".join(str(state).replace("-", "−") for state in lookup(layer.unit).states)


def _slug(words: str) -> str:
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in words.lower())
    return "-".join(part for part in kept.split("-") if part)


def _verdict(verifications: Iterable[Verification], branch: str | None = None) -> Verdict | None:
    """What was checked of a branch, or of everything."""
    verifications = list(verifications)
    checks = [c for v in verifications for c in v.checks if branch is None or c.branch == branch]
    if not checks:
        return None
    failures = tuple(
        f"{c.branch}, {CATALOGUE[c.rule].name if c.rule in CATALOGUE else c.rule}: {c.detail}"
        for c in checks
        if not c.passed
    )
    lines = [c for c in checks if c.position is not None]
    first = verifications[0]
    return Verdict(sum(c.passed for c in lines), len(lines), tuple(first.sizes.items()), first.points, failures)
