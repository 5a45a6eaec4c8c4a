"""One model: its kernels, layers and parameters, and the values that its units take."""
