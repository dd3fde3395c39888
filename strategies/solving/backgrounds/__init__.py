"""The light in the rows of a file: of each run, subtracted, or that of an anchor of today."""
