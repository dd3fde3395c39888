"""How good models are on rows that they have not seen, with more and more rows, and along a line of targets."""
