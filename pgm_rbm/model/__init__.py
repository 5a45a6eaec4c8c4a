"""One model: kernels, layers and parameters, checked; and what its layers and units are."""
