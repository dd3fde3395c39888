"""Families of instruments that are drawn at random, by name and seed, with targets and the truth about both."""
