"""Where things lie beside the tests."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
DEPLOYMENTS = ROOT / "deployments"
PAPER = DEPLOYMENTS / "paper.toml"
RECORDS = ROOT.parent / "shared" / "data" / "claude_light"
"""Real readings, which are there on some machines only."""
DAYS = RECORDS / "daylight_and_dark_2025.jsonl"
