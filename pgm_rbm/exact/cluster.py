"""`pgm_rbm.exact.enumeration.cluster` under its former name."""

from pgm_rbm.exact.enumeration.cluster import dask_executor as dask_executor
