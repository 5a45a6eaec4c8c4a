"""Sampling: random streams and block Gibbs chains."""

from pgm_rbm.sampling.gibbs import Chains, Clamp, run_chains, start_chains
from pgm_rbm.sampling.streams import Purpose, derive_key, generator, resolve_seed

__all__ = ["Chains", "Clamp", "Purpose", "derive_key", "generator", "resolve_seed", "run_chains", "start_chains"]
