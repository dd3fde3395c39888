"""A model that may be given away: what it keeps of its rows is noisy enough that no row can be told from it."""
