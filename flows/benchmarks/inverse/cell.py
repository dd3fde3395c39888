"""One cell of ``sdl benchmark inverse``: what is to be done."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32


@dataclass(frozen=True)
class InverseCell:
    """One model on one problem with one seed."""

    problem: str
    label: str
    """Of the model in the table."""
    model: str
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    """Of the model."""
    rows: int = 8000
    targets: int = 1000
    seconds: float = 180.0
    """Of training."""
    forward: float = 45.0
    """Seconds of training the forward model that localises, where the model has none of its own."""
    limit: float = 900.0
    """Seconds after which the process is ended."""
    crystal: str = ""
    """Folder of the records."""

    @property
    def key(self) -> str:
        """A name for files; other options have another one."""
        words = json.dumps([self.options, self.rows, self.targets, self.seconds, self.forward], sort_keys=True)
        return re.sub(r"[^\w.-]", "-", f"{self.problem}-{self.label}-{self.seed}-{crc32(words.encode()):08x}")
