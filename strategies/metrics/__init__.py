"""How good the draws of an inverse model are, one question a file; each means little without the others."""
