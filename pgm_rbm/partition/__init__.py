"""ln Z: what is known of it, and how it was found."""

from pgm_rbm.partition.result import LogPartition

__all__ = ["LogPartition"]
