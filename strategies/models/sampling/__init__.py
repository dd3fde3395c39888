"""Draws of settings from a density: rejection, sequential Monte Carlo, and localised draws of any model."""
