"""Models with one answer or the nearest rows: linear programs, partial least squares, look-ups."""
