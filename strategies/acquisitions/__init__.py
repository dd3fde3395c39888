"""Which settings to measure next: one kind of worth of a reading a file, and one way from it to a batch."""
