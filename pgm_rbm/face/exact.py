"""Exact answers about a model, as a person meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NotPairwiseError
from pgm_rbm.face.layered import Layered
from pgm_rbm.machine.budget import Budget, Executors
from pgm_rbm.machine.progress import Progress
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.states import States, data_rows

if TYPE_CHECKING:
    from pgm_rbm.exact.enumeration.answers import Expectations, Gradient
    from pgm_rbm.exact.enumeration.fisher import FisherInformation
    from pgm_rbm.exact.enumeration.most_probable import MostProbable
    from pgm_rbm.exact.tractability import Tractability
    from pgm_rbm.partition.result import LogPartition, Method
    from pgm_rbm.sampling.gibbs import Given

__all__ = ["ExactAnswers", "Moments", "Of"]

Of = Literal["joint", "v", "h"]
"""What a question is asked of: both layers, or one with the other summed out."""


@dataclass(frozen=True)
class Moments:
    """Exact averages under the model.

    Attributes:
        v: ⟨v_i⟩, shape (n_visible,).
        h: ⟨h_j⟩, shape (n_hidden,).
        vh: ⟨v_i h_j⟩, shape (n_visible, n_hidden).
    """

    v: FloatArray
    h: FloatArray
    vh: FloatArray


class ExactAnswers(Layered):
    """What can be answered exactly about a model, by enumeration or by elimination.

    The keywords ``limit``, ``memory_limit``, ``time_limit``, ``threads``, ``progress`` and ``executor`` say what an
    answer may take and how it is computed; `machine.budget.Budget` describes them. No answer depends on the last three.
    """

    def log_partition(
        self,
        method: Method = "auto",
        *,
        limit: int | None = None,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> LogPartition:
        """Return ln Z = ln Σ_v Σ_h e^{−E(v, h)}, in nats.

        Args:
            method: ``"enumeration"`` of the smaller layer; ``"elimination"`` on the graph, for models where few pairs
                of units have a weight; or ``"auto"``, which takes what `tractability` says: of the ways within the
                limits, enumeration or else elimination if it takes a second at most, and else the quicker one.
            limit: the most configurations to enumerate; 2^24 by default.
            memory_limit, time_limit: bytes and seconds that an elimination may take; 2^30 and 600 by default.
            threads, progress, executor: see `Budget`.

        Raises:
            ValueError: there is no such method, a limit is not a positive number or belongs to the other method, or a
                parameter is not finite.
            EnumerationLimitError: the smaller layer has more configurations than ``limit``, and the graph is too dense.
            IntractableError: elimination was asked for, and the graph is too dense.
            ModelError: the model has no ln Z that can be found in this way; the message says why.
        """
        from pgm_rbm.exact import choice

        for name, value, other in (
            ("limit", limit, "elimination"),
            ("executor", executor, "elimination"),
            ("memory_limit", memory_limit, "enumeration"),
            ("time_limit", time_limit, "enumeration"),
        ):
            if value is not None and method == other:
                raise ValueError(f"{name} has no meaning with method={other!r}: leave it out. Got {value!r}.")
        budget = Budget.of(
            limit=limit,
            memory_limit=memory_limit,
            time_limit=time_limit,
            threads=threads,
            progress=progress,
            executor=executor,
        )
        return choice.log_partition(self._model, method, budget)

    def log_probability(
        self,
        v: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return ln p(v) of each row, in nats, shape (rows,), exact; of a model with inputs, given the row's input.

        It is a density where units are continuous. Arguments and errors as `log_partition` and `energy`.
        """
        from pgm_rbm.exact import likelihood

        budget = Budget.of(limit=limit, threads=threads, progress=progress)
        return likelihood.log_probability(self._model, data_rows(self._model, v, "v"), budget)

    def log_likelihood(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """Return the mean of ln p(v) over the rows of X, in nats, exact. Arguments and errors as `log_probability`."""
        return float(self.log_probability(X, limit=limit, threads=threads, progress=progress).mean())

    def gradient(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Gradient:
        """Return the exact gradient of `log_likelihood`, as Term A − Term B.

        Its ``term_a``, ``term_b`` and ``difference`` map parameters, ``"w"``, ``"a"`` and ``"b"``, to float64 arrays.
        Arguments and errors as `log_partition` and `energy`.
        """
        from pgm_rbm.exact import likelihood

        budget = Budget.of(limit=limit, threads=threads, progress=progress, executor=executor)
        return likelihood.gradient(self._model, data_rows(self._model, X, "X"), budget)

    def expectations(
        self,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Expectations:
        """Return the average of −∂E/∂θ under the model for every parameter θ, in ``phase``, and ln Z; exact.

        A weight that does not exist, by the model's mask, has the average 0. Arguments and errors as `log_partition`.
        """
        from pgm_rbm.exact import likelihood

        budget = Budget.of(limit=limit, threads=threads, progress=progress, executor=executor)
        return likelihood.expectations(self._model, budget)

    def moments(
        self,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Moments:
        """Return ⟨v⟩, ⟨h⟩ and ⟨v hᵀ⟩ of all pairs of units under the model of the pairwise energy, exact.

        On a graph that is eliminated, pairs without an edge take an elimination for each state of each unit of one
        side. Arguments and errors as `log_partition`, and IntractableError where those would take too long.
        """
        from pgm_rbm.exact import choice

        if not self.is_pairwise:
            raise NotPairwiseError(
                "moments belong to the pairwise energy. Ask for expectations(), the average of every -dE/dtheta."
            )
        budget = Budget.of(limit=limit, threads=threads, progress=progress, executor=executor)
        phase = choice.expectations(self._model, budget, every_pair=True).phase
        return Moments(v=phase["a"], h=phase["b"], vh=phase["w"])

    def entropy(
        self,
        of: Of = "joint",
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """Return the entropy in nats, exact.

        Args:
            of: ``"joint"`` for p(v, h), by enumerating the smaller layer or by elimination on the graph; ``"v"`` or
                ``"h"`` for one layer's own distribution, by enumerating that layer.
            limit, threads, progress: as for `log_partition`.

        Raises:
            ValueError: ``of`` is something else, or a parameter is not finite.
            NoFiniteDomainError: the layer has infinitely many states, or for the joint entropy both have, or one whose
                states weigh of themselves, such as Poisson units.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        from pgm_rbm.exact import likelihood

        return likelihood.entropy(self._model, of, Budget.of(limit=limit, threads=threads, progress=progress))

    def kl_divergence(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """Return KL(q ‖ p) in nats, exact, from the distribution q of the rows of X to the model's p(v).

        Of a model with inputs it is that of q(v) to p(v) given the input, averaged over the rows. It is −H(q) minus
        `log_likelihood`, so it has the same gradient but for the sign, and is 0 where every row is as probable as it is
        frequent. Arguments and errors as `log_probability`.

        Raises:
            NoFiniteDomainError: the visible units have infinitely many states, and no data q is absolutely continuous.
        """
        from pgm_rbm.exact import likelihood

        budget = Budget.of(limit=limit, threads=threads, progress=progress)
        return likelihood.kl_divergence(self._model, data_rows(self._model, X, "X"), budget)

    def most_probable(
        self,
        given: Given | None = None,
        of: Of = "joint",
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> MostProbable:
        """Return a configuration that none exceeds in probability, exact.

        Args:
            given: units whose values are known, such as ``{("v", 3): 1}``; the most probable values of all others are
                sought.
            of: ``"joint"`` for the pair (v, h) of the largest p(v, h), by enumerating the smaller layer or else by
                elimination on the graph; ``"v"`` or ``"h"`` for one layer with the other one summed out, by enumerating
                that layer.
            limit, threads, progress: as for `log_partition`.

        Returns:
            `MostProbable` with ``visible``, ``hidden`` and ``log_probability``.

        Raises:
            ValueError: ``of`` is something else, ``given`` is used with one layer, or the most probable pair is asked
                of units that are labels.
            UnknownVariableError, ValueOutsideDomainError: ``given`` does not fit the model.
            NoFiniteDomainError: units have infinitely many states; with ``of="joint"`` those of either layer.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        from pgm_rbm.exact import likelihood

        budget = Budget.of(limit=limit, threads=threads, progress=progress)
        return likelihood.most_probable(self._model, given, of, budget)

    def fisher_information(
        self,
        *,
        limit: int | None = None,
        memory_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> FisherInformation:
        """Return the Fisher information of p(v) in all parameters, exact, by enumerating the visible layer.

        Args:
            limit: the most visible configurations to enumerate; see `Budget`.
            memory_limit: bytes it may hold, whatever the limit. The matrix alone takes 8 p² for p parameters.
            threads, progress: as for `log_partition`.

        Returns:
            `FisherInformation` with ``matrix``; its ``natural(gradient.difference, damping)`` is the natural gradient.

        Raises:
            EnumerationLimitError: more configurations, memory or time than allowed; nothing has been computed.
            ValueError: a parameter is not finite, or a limit not positive.
        """
        from pgm_rbm.exact.enumeration.fisher import fisher_information

        self._model.require_two_sides("the Fisher information")
        budget = Budget.of(limit=limit, threads=threads, progress=progress)
        return fisher_information(self._model, budget, memory_limit)

    def tractability(
        self, *, limit: int | None = None, memory_limit: int | None = None, time_limit: float | None = None
    ) -> Tractability:
        """Return the ways to exact answers, with operations, memory and seconds on this machine.

        Nothing is computed but a trial of a few milliseconds.

        Args:
            limit: configurations that enumeration may visit; 2^24 by default.
            memory_limit, time_limit: bytes and seconds that elimination may take; 2^30 and 600 by default.

        Returns:
            A report to print, whose ``method`` is the way to ln Z that `log_partition` takes by default, or
            ``"sampling"`` where it refuses; its notes say why a way is missing.

        Raises:
            ValueError: a limit is not a positive number, or a parameter is not finite.
        """
        from pgm_rbm.exact import choice

        budget = Budget.of(limit=limit, memory_limit=memory_limit, time_limit=time_limit)
        return choice.tractability(self._model, budget)
