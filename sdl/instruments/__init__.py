"""Instruments: whatever has a space and can be asked for one measurement at a time."""
