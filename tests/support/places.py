"""Where things lie beside the tests, and the words of commands that more than one test gives."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
DEPLOYMENTS = ROOT / "deployments"
PAPER = DEPLOYMENTS / "paper.toml"
RECORDS = ROOT.parent / "shared" / "data" / "claude_light"
"""Real readings, which are there on some machines only."""
DAYS = RECORDS / "daylight_and_dark_2025.jsonl"
KNOBS = ("R=0.1", "G=0.2", "B=.3")
TWIN = "instrument={plugin='twin', seed=2}"


def on_twin(*changes):
    """The paper's campaign on a twin in this process."""
    return (PAPER, *(word for change in (TWIN, *changes) for word in ("--set", change)))
