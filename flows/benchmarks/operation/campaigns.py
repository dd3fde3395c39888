"""What the benchmarks of operation run: campaigns on served twins, step by step, in processes of their own."""

import json
import os
import subprocess
import sys
from typing import Any

from scipy.stats import qmc

from sdl.errors import SdlError
from sdl.instruments.claude_light.twin import Twin

CHANNELS = ("445nm", "515nm", "630nm")
LEVELS = (16384, 14000, 12000, 18000, 10000)
GREYS = [{"name": f"{level}", "readings": dict.fromkeys(CHANNELS, level), "tolerance": "1 %"} for level in LEVELS]
"""Targets, each a level that all channels are to have."""


def patch_targets(n: int, tolerance: str = "1 %", digits: int | None = None) -> list[dict[str, Any]]:
    """``n`` patches of colour as targets: what a twin truly gives all over the box, rounded to ``digits`` if given."""
    twin = Twin()
    readings = twin.truth(0.15 + 0.7 * qmc.Sobol(len(twin.space.knobs), seed=0).random(n))
    readings = readings if digits is None else readings.round(digits)
    return [
        {"name": f"patch {number}", "readings": dict(zip(CHANNELS, row, strict=True)), "tolerance": tolerance}
        for number, row in enumerate(readings[:, twin.space.columns(CHANNELS)].tolist())
    ]


def served_instrument(url: str, **options: Any) -> dict[str, Any]:
    """The instrument of a campaign file: an emulator on this machine."""
    return {"plugin": "claude-light", "url": url, "allow_private": True, **options}


def run_module(module: str, *words: object, **environment: str) -> Any:
    """Run a module as a program in a process of its own and return the data that its last line holds as JSON.

    Args:
        module: Its name.
        words: Its arguments.
        environment: Beside that of this process.

    Raises:
        SdlError: with the last words of a program that fails.
    """
    command = [sys.executable, "-P", "-m", module, *map(str, words)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdlError(f"'{module}' ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])
