"""A model that may be given away: differentially private, by noise in all that it keeps of its rows."""
