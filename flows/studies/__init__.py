"""Studies from data or from twins to a page: solve, compare, reproduce and what they share."""
