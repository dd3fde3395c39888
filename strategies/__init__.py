"""The decisions: designs, inverse models, acquisitions, the plan. Arrays in, arrays out; no I/O and no clocks."""
