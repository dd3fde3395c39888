"""A process by its number and its birth, so that whoever reads of it later can tell whether it still lives."""

import os
import platform
from functools import cache
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = Path("/proc/self/ns/pid")


@cache
def this_host() -> str:
    """Name the only place where numbers of processes mean what they mean here: ``lab-pi (boot 1f0c2a77, 4026531836)``.

    Two containers, and two boards whose cards were cloned, may have one name; cards even share what is called the
    machine's id. The boot and the namespace of processes tell them apart, where the system has them.
    """
    try:
        boot, namespace = BOOT.read_text().strip(), NAMESPACE.readlink().name
    except OSError:
        return platform.node()
    return f"{platform.node()} (boot {boot[:8]}, {namespace.strip('pid:[]')})"


def process_name(pid: int) -> str:
    """Name a process by its number and its birth, since numbers are used again: ``process 4711@8812``."""
    stat = Path(f"/proc/{pid}/stat")
    fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else []
    if fields and fields[0] in "ZX":
        return f"process {pid}@ended"
    return f"process {pid}@{fields[19] if fields else ''}"


def is_dead(host: str, process: str) -> bool:
    """Return whether the process of that name is known to be gone; one elsewhere, or of an earlier boot, never is.

    Args:
        host: As ``this_host`` named it there.
        process: As ``process_name`` did.

    Raises:
        ValueError: if it is not the name of a process.
    """
    if host != this_host():
        return False
    pid = int(process.split("@")[0].removeprefix("process "))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process_name(pid) != process
