"""Sampling: random streams and block Gibbs chains."""

from pgm_rbm.machine.streams import Purpose, derive_key, generator, resolve_seed
from pgm_rbm.sampling.gibbs import Chains, Clamp, run_chains, start_chains

__all__ = ["Chains", "Clamp", "Purpose", "derive_key", "generator", "resolve_seed", "run_chains", "start_chains"]
