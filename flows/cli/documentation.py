"""Where to read about what a person got wrong: a line below the faults of a command."""

import re
from collections.abc import Iterable

REFERENCE = "deployments/reference.md"
SECTIONS = {
    r"targets?\b|no target\b|quantities\.|the tolerance of |--target": "what-a-target-wants",
    r"colour\b": "colours",
    r"constraints\b|max_step\b|instrument\.knobs|knob '": "kinds-of-knobs-and-what-settings-have-to-keep",
    r"price\.|history: .* rim": "plates-prices-and-deadlines",
    r"models?\.|unknown inverse model": "inverse-models",
    r"acquisition\b": "acquisitions",
    r"instruments?\b|unknown instrument": "instruments",
    r"(knobs|channels|prepare|write|query|errors|safe)\.": "instruments-by-configuration",
    r"\S+\.(csv|tsv|jsonl?|parquet|db|sqlite)\b": "rows-from-elsewhere",
    r"(SDL_HOME|--home|--ledger|ledger) ": "where-things-lie",
}
"""By a regular expression of how a fault begins, the section of the reference about such things."""


def pages_about(faults: Iterable[str]) -> list[str]:
    """Return where to read about some faults, each place once, in the order of the faults.

    >>> pages_about(["targets.0.tolerance: needs a number above 0", "budgte: unknown key"])
    ['deployments/reference.md#what-a-target-wants']
    """
    found = (anchor for fault in faults for pattern, anchor in SECTIONS.items() if re.match(pattern, fault))
    return [f"{REFERENCE}#{anchor}" for anchor in dict.fromkeys(found)]
