"""Instruments that a file describes instead of a program: knob to write, channel to query."""
