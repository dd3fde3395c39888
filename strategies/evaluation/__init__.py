"""The plan without a laboratory: in memory, against a record, against peers, and on populations of instruments."""
