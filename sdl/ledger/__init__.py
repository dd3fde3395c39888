"""The ledger: intents before requests, every reply as it came, leases and controls; the only place with SQL."""

from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls

__all__ = ["Controls", "HistoryCache", "Lease", "Ledger"]
