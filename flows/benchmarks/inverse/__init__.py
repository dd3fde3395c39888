"""Inverse models on problems with many answers: error, coverage and time beside the look-up."""
