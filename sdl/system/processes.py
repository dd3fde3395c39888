"""A process by its number and its birth, so that whoever reads of it later can tell whether it still lives."""

import os
import platform
from pathlib import Path


def process_name(pid: int) -> str:
    """Name a process by its number and its birth, since numbers are used again: ``process 4711@8812``."""
    stat = Path(f"/proc/{pid}/stat")
    fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else []
    if fields and fields[0] in "ZX":
        return f"process {pid}@ended"
    return f"process {pid}@{fields[19] if fields else ''}"


def is_dead(host: str, process: str) -> bool:
    """Return whether the process of that name is known to be gone; one on another host never is.

    Raises:
        ValueError: if it is not the name of a process.
    """
    if host != platform.node():
        return False
    pid = int(process.split("@")[0].removeprefix("process "))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process_name(pid) != process
