"""GraphModel: a networkx graph whose nodes are variables and whose attributes are the whole model.

A model assigns E(x) = − Σ_i b_i x_i − Σ_ij w_ij x_i x_j − Σ_f ln φ_f(x_f) and p(x) = μ(x) exp(−E(x)) / Z
(Koller & Friedman, Probabilistic Graphical Models, 2009, section 4.4.1), where μ is the product of what the units
weigh of themselves: 1 for most, a binomial coefficient for "binomial(N)" (see symbolic.units). Nothing of it lives
outside the node and edge attributes, so whatever networkx does to attributes (copy, subgraph, relabel_nodes) it does
to the model.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from numpy.typing import ArrayLike, NDArray

from pgm_rbm.exact.elimination import answers
from pgm_rbm.exact.elimination.network import Network, read_network
from pgm_rbm.exact.elimination.tables import FloatArray, LogTable
from pgm_rbm.exact.tractability import Tractability
from pgm_rbm.graph import choice, queries
from pgm_rbm.graph.potentials import PotentialGraph, recode
from pgm_rbm.graph.queries import MostProbableAssignment
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import Progress
from pgm_rbm.partition.result import LogPartition, Method

if TYPE_CHECKING:
    from symbolic import Energy

__all__ = ["GraphModel"]


class GraphModel(PotentialGraph):
    """An undirected graphical model over named variables, as a :class:`networkx.Graph`.

    Nodes carry ``units``, by a name of the table of units ("binary" with values 0, 1; "spin" with -1, +1;
    "{-1, 0, 1}", "integer(N)", "binomial(N)", ...; "potts(k)" with the labels 0..k-1) or "categorical", whose number of
    labels k stands in ``states``; and ``bias``, a number, or an array of shape (k,) where the values are labels. Edges
    carry ``weight``. Factors sit in the attributes of the nodes of their scope, whose members are joined by edges. A
    node or edge without these attributes is a binary variable without bias, or no coupling, so any networkx graph can
    be read: ``GraphModel(graph)``.

    ``networkx.compose`` follows its own rule, by which the attributes of the second graph replace those of
    the first; :func:`pgm_rbm.compose` multiplies the potentials.

    Questions share some arguments: ``evidence`` maps variables to observed values; ``memory_limit`` and ``time_limit``
    are the bytes that may be held and the seconds that the answer may be expected to take, 2^30 and 600 by default;
    ``progress`` is a function called with (work done, work in all), or True for a bar with the time left on standard
    error. Exact answers share their errors, all raised before any table is computed but the last:

    - IntractableError, EnumerationLimitError: a limit is too low. The message tells what it takes and what to do.
    - UnknownVariableError, ValueOutsideDomainError: the evidence does not fit the model.
    - NoFiniteDomainError, ModelError: values cannot be listed, an attribute is not valid, or energies overflow.
    - ImpossibleEvidenceError: no assignment that agrees with the evidence has a positive potential.

    Example:
        >>> import numpy as np
        >>> from pgm_rbm import GraphModel
        >>> model = GraphModel()
        >>> model.add_variable("rain", bias=-1.0)
        >>> model.add_variable("sprinkler")
        >>> model.add_variable("lawn", units="categorical", states=["dry", "wet"])
        >>> wet = [[0.1, 0.8], [0.9, 0.95]]  # P(wet | rain, sprinkler)
        >>> model.add_conditional("lawn", ["rain", "sprinkler"], [1 - np.array(wet), wet])
        >>> model.query("rain").round(4)
        array([0.7311, 0.2689])
        >>> model.query("rain", evidence={"lawn": 1}).round(4)
        array([0.5694, 0.4306])
        >>> round(float(model.log_partition()), 4)
        1.0064
    """

    @classmethod
    def from_energy(
        cls,
        energy: Energy,
        parameters: Mapping[str, ArrayLike],
        sizes: Mapping[str, int],
        given: Mapping[str, ArrayLike] | None = None,
    ) -> GraphModel:
        """Return the model of any energy whose units have finitely many values, whatever its terms tie together.

        Args:
            energy: a `symbolic.Energy`.
            parameters: an array for each of its parameters.
            sizes: the number of units of every layer.
            given: for layers whose states are known, these states, of shape (units,). They are not variables.

        Returns:
            A graph whose variables are called ("v", 0) for unit 0 of layer v. A number times one unit is a bias, times
            two a weight; every other term is a factor.

        Raises:
            NoFiniteDomainError: the values of a layer cannot be listed.
            ModelError: a term takes a function of a sum over units, the terms are too many, or an array or a size is
                missing or does not fit.

        Example:
            >>> import numpy as np
            >>> from pgm_rbm import GraphModel
            >>> from symbolic import Energy
            >>> ring = Energy.parse("-sum(J[i,j]*v[i]*v[j], i, j)/2", visible={"v": "spin"})
            >>> J = np.roll(np.eye(6), 1, axis=0)
            >>> model = GraphModel.from_energy(ring, {"J": J + J.T}, {"v": 6})
            >>> round(float(model.log_partition()), 6)
            6.93983
        """
        from pgm_rbm.exact.elimination.of_energy import read_energy  # loads SymPy

        model = cls()
        model.add_terms(read_energy(energy, parameters, sizes, given or {}))
        return model

    def copy(self, as_view: bool = False) -> GraphModel:
        """Return an independent model of the same class and content, or with ``as_view=True`` a read-only view."""
        copied: GraphModel = super().copy(as_view=as_view)
        return copied

    def recoded(self, units: Literal["binary", "spin"]) -> GraphModel:
        """Return the same distribution with every two-state variable in other units, by s = 2x − 1 or x = (s + 1)/2.

        Args:
            units: "binary" or "spin"; variables of other units stay as they are.

        Returns:
            A new model with the same variables and the same Z: constants are kept, as a factor over the first variable.
            Tables keep their order, since -1 becomes 0 and +1 becomes 1.

        Raises:
            ModelError: ``units`` is neither.
        """
        model = GraphModel(self)
        recode(model, units)
        return model

    def network(self, evidence: Mapping[Hashable, Any] | None = None) -> Network:
        """Return what exact inference reads of the model, as it is now, and of the evidence.

        Raises:
            UnknownVariableError, ValueOutsideDomainError: the evidence does not fit the model.
            NoFiniteDomainError, ModelError: the values of a variable cannot be listed, or an attribute is not valid.
        """
        return read_network(self._node, self.edges(data="weight"), self.factors).given(evidence)

    def log_tables(self) -> list[LogTable]:
        """Return the model as a product of tables, in logs: exp of their sum at x is μ(x) exp(−E(x)).

        They are (scope, log_table) pairs for what single variables contribute where it is not zero, for the couplings
        that are not zero and for the factors; axes run over :meth:`domain`. Errors are those that exact answers share.
        """
        return self.network().log_tables

    def energy(self, assignment: Mapping[Hashable, ArrayLike] | ArrayLike) -> float | FloatArray:
        """Return E(x) = − Σ_i b_i x_i − Σ_ij w_ij x_i x_j − Σ_f ln φ_f(x_f).

        What units weigh of themselves stands beside it: p(x) = μ(x) exp(−E(x)) / Z.

        Args:
            assignment: variable -> value for every variable, where values may be arrays that broadcast together; or an
                array of shape (..., number of variables) with columns in the order of :attr:`variables`.

        Returns:
            A float for one assignment, else an array with an energy per assignment; ``inf`` where a potential is zero.

        Raises:
            UnknownVariableError: a variable is missing or foreign.
            ValueOutsideDomainError: a value is not in its variable's domain.
        """
        return queries.energy(self.network(), assignment)

    def log_partition(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        method: Method = "auto",
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> LogPartition:
        """Return ln Z = ln Σ_x μ(x) exp(−E(x)) in nats, exact: by elimination, or by enumerating one of two sides.

        Args:
            evidence: the sum then runs over the assignments that agree with it, so that
                ``log_partition(evidence) - log_partition()`` is the log-probability of the evidence.
            method: ``"elimination"``; ``"enumeration"`` of one side where the model has two layers, else of all
                variables at once; or ``"auto"``, which takes what :meth:`tractability` says.
            threads: how many threads an enumeration uses, all by default; an elimination runs on one. The result does
                not depend on it.

        Returns:
            A number that knows the method it was found by.

        Raises:
            ValueError: there is no such method; and the errors that exact answers share.

        Example:
            >>> import networkx as nx
            >>> from pgm_rbm import GraphModel
            >>> ising = GraphModel(nx.grid_2d_graph(4, 4, periodic=True))
            >>> nx.set_node_attributes(ising, "spin", "units")
            >>> nx.set_edge_attributes(ising, 0.2, "weight")
            >>> print(f"{ising.log_partition():.6f}")
            11.771470
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, threads=threads, progress=progress)
        return choice.log_partition(self, self.network(evidence), method, budget)

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[True],
        memory_limit: float | None = ...,
        time_limit: float | None = ...,
        progress: bool | Progress | None = ...,
    ) -> FloatArray: ...

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[False] = ...,
        memory_limit: float | None = ...,
        time_limit: float | None = ...,
        progress: bool | Progress | None = ...,
    ) -> Any: ...

    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: bool = False,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> Any:
        """Return the marginals p(x_s | evidence) of some variables, exact; each sums to one.

        Args:
            variables: a variable, or a list of variables. An observed one has probability one at its value.
            joint: return one table over all the variables instead of a marginal for each.

        Returns:
            For one variable, an array over its domain in the order of :meth:`domain`. For several, a dictionary
            variable -> such an array; with ``joint=True`` one array with an axis per variable, in the order asked.
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, progress=progress)
        return queries.query(self.network(evidence), variables, joint, budget)

    def marginals(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[Hashable, FloatArray]:
        """Return p(x_i | evidence) of every variable, exact, in about four times what ln Z takes.

        Returns:
            Variable -> array over its domain, in the order of :meth:`domain`, that sums to one; an observed variable
            has probability one at its value.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> for name in "abc":
            ...     model.add_variable(name, "spin", bias=0.1)
            >>> model.add_coupling("a", "b", 0.5)
            >>> model.add_coupling("b", "c", 0.5)
            >>> model.marginals({"a": 1})["c"].round(4)
            array([0.3303, 0.6697])
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, progress=progress)
        return queries.marginals(self.network(evidence), budget)

    def pair_marginals(
        self,
        pairs: Iterable[tuple[Hashable, Hashable]] | None = None,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[tuple[Hashable, Hashable], FloatArray]:
        """Return p(x_u, x_v | evidence) of pairs of variables, exact, in about four times what ln Z takes.

        Args:
            pairs: any pairs of variables; by default those with a coupling that is not zero or with a factor in
                common. Pairs that have neither are summed as if they had, which may cost more.

        Returns:
            (u, v) -> array of shape (states of u, states of v), in the order of :meth:`domain`, that sums to one.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", "spin")
            >>> model.add_variable("b", "spin")
            >>> model.add_coupling("a", "b", 0.5)
            >>> model.pair_marginals()["a", "b"].round(4)
            array([[0.3655, 0.1345],
                   [0.1345, 0.3655]])
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, progress=progress)
        return queries.pair_marginals(self.network(evidence), pairs, budget)

    def entropy(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """Return − Σ_x p(x) ln p(x) = ln Z + ⟨E⟩ − ⟨ln μ⟩ in nats, exact, of what is not observed given what is.

        It is a difference of numbers of the size of ln Z, and its rounding error is about 1e-16 of theirs.

        Example:
            >>> from math import log
            >>> from pgm_rbm import GraphModel
            >>> coins = GraphModel()
            >>> for name in range(3):
            ...     coins.add_variable(name)
            >>> round(coins.entropy() / log(2), 12)
            3.0
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, progress=progress)
        return answers.entropy(self.network(evidence), budget)

    def most_probable(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> MostProbableAssignment:
        """Return argmax_x p(x | evidence) (the MAP assignment), exact, by max-product elimination.

        Of several equally probable ones it is always the same: along the elimination order from its end, each variable
        takes the first of its best values.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", bias=-1.0)
            >>> model.add_variable("b", bias=-1.0)
            >>> model.add_coupling("a", "b", 3.0)
            >>> best = model.most_probable()
            >>> best.assignment, round(best.log_probability, 4)
            ({'a': 1, 'b': 1}, -0.4938)
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, progress=progress)
        return queries.most_probable(self.network(evidence), budget)

    def sample(
        self,
        n: int,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        method: Literal["exact", "gibbs"] = "exact",
        steps: int | None = None,
        seed: int | None = None,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> NDArray[Any]:
        """Return independent samples from p(x | evidence): its own, by elimination, or nearly so, by Gibbs chains.

        Row t depends on the model, the evidence, the seed and t alone, and with Gibbs chains on their steps, so more
        rows are the same rows and more.

        Args:
            n: how many.
            method: ``"exact"`` for samples from the distribution itself, drawn by elimination: no chain, no burn-in;
                ``"gibbs"`` for the last states of n independent chains, which start from values drawn uniformly. How
                near these are depends on the model and on ``steps``; what they cost does not depend on the treewidth.
            steps: sweeps that each Gibbs chain makes; 1000 by default. A sweep draws every variable once given all
                others, one colour of a colouring of the graph after another.
            seed: a whole number of 64 bits; None for a fresh one.
            threads: how many threads Gibbs chains use, all by default; the samples do not depend on it.

        Returns:
            Values, shape (n, number of variables), with columns in the order of :attr:`variables`, as
            :meth:`energy` takes them: int64, or float64 where some domain holds other numbers than whole ones.

        Raises:
            ModelError: Gibbs chains are asked for and a potential is zero, which they may never get past.
            ValueError: ``n`` or ``steps`` is not a positive whole number, steps are asked of the exact method, or the
                seed does not fit 64 bits; and the errors that exact answers share.
            TypeError: the seed is not a whole number.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", bias=1.0)
            >>> model.add_variable("b", "spin")
            >>> model.add_coupling("a", "b", 2.0)
            >>> samples = model.sample(10_000, seed=0)
            >>> samples.shape, bool(abs(samples[:, 0].mean() - model.query("a")[1]) < 0.02)
            ((10000, 2), True)
        """
        from pgm_rbm.graph import samples  # loads Numba

        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit, threads=threads, progress=progress)
        return samples.sample(self.network(evidence), n, method, steps, seed, budget)

    def tractability(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
    ) -> Tractability:
        """Return what exact inference would cost here, every way, and which way to ln Z ``"auto"`` takes.

        Nothing is computed but an elimination order and, once a process, trials of some tenths of a second that tell
        how fast this machine is. The report prints as a summary in words.
        """
        budget = Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        return choice.tractability(self, self.network(evidence), budget)
