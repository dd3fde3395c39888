"""The laboratory: settings, readings, instruments, the ledger, campaigns, verification, report."""

from typing import TYPE_CHECKING

from sdl.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from flows.notebook.lab import Lab
    from sdl.campaign.definition import Campaign, Target
    from sdl.errors import InvalidInput
    from sdl.history import Verdict
    from sdl.ledger.ledger import Ledger
    from sdl.space import Channel, Knob, Space
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Campaign": "sdl.campaign.definition",
            "Channel": "sdl.space",
            "InvalidInput": "sdl.errors",
            "Knob": "sdl.space",
            "Lab": "flows.notebook.lab",
            "Ledger": "sdl.ledger.ledger",
            "Space": "sdl.space",
            "Target": "sdl.campaign.definition",
            "Verdict": "sdl.history",
        },
    )

__version__ = "0.1.0"

__all__ = ["Campaign", "Channel", "InvalidInput", "Knob", "Lab", "Ledger", "Space", "Target", "Verdict", "__version__"]
