"""The laboratory: settings, readings, instruments, the ledger, campaigns, verification, report."""

__version__ = "0.1.0"
