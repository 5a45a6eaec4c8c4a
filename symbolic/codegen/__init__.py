"""Kernels from energies: the intermediate representation, its passes, the targets and the cache of modules."""
