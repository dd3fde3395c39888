"""How good decisions are: on twins, on populations of instruments and on real records, beside peers."""
