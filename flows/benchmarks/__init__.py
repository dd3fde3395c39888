"""Benchmarks: what our methods reach on problems with known answers, beside published figures."""
