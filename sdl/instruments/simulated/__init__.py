"""Instruments that compute their readings, so that the truth behind every reading is known."""
