"""Kernels from energies: the intermediate representation, its passes, the targets and the disk cache of generated modules."""
