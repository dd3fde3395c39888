"""Reports of campaigns as pages of the wall: what was written at the end, else what there is to say now."""

import asyncio
import os
import sys
import time
from pathlib import Path

from flows.environment import folder
from sdl.errors import InvalidInput
from sdl.ledger.ledger import Ledger
from sdl.reports.status import OVER

FRESH_S = 30.0
"""Age at which the report of a campaign at work is written anew, for who asks."""
PATIENCE_S = 300.0

_writing = asyncio.Lock()
"""Held while one is written: it takes seconds of a processor, however many ask."""


async def current_report(ledger: Ledger, name: str, directory: Path) -> Path:
    """Return the file of a campaign's report; one of an earlier state is first written anew, by another process.

    Raises:
        InvalidInput: if there is no such campaign, or no report can be written.
    """
    entry = await asyncio.to_thread(ledger.entry, name)
    file = folder(directory / "reports") / f"{entry.name}.html"
    async with _writing:
        since = max(entry.updated, 0.0 if entry.state in OVER else time.time() - FRESH_S)
        if not file.is_file() or file.stat().st_mtime < since:
            command = [sys.executable, "-P", "-m", "flows.cli", "report", entry.name, "--home", str(directory)]
            process = await asyncio.create_subprocess_exec(
                *command,
                stderr=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env={**os.environ, "SDL_LEDGER": ledger.url},
            )
            try:
                _, words = await asyncio.wait_for(process.communicate(), PATIENCE_S)
            except TimeoutError:
                process.kill()
                words = b"it took too long"
            if process.returncode:
                raise InvalidInput(f"no report could be written: {words.decode(errors='replace').strip()}")
    return file
