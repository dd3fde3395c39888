"""Inverse models, one a file, imported only when named."""
