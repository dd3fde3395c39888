"""How fast and how robust operation is: ledger, kills, endurance, service."""
