"""Exact answers: ln Z, averages, gradients and independent samples, within the limits of what can be summed."""
