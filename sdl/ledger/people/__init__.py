"""Who persons and agents are to the ledger, what agents propose, and what persons read by hand."""
