"""Gaussian processes as forward models, inverted."""
