"""Where to read about what a person got wrong: a line below the faults of a command."""

import re
from collections.abc import Iterable
from importlib.resources import as_file, files
from itertools import takewhile
from pathlib import Path

SECTIONS = {
    r"(targets\.\d+\.)?colour\b": "Colours",
    r"targets?\b|no target\b|quantities\b|the tolerance of |--target": "What a target wants",
    r".* needs (the form CHANNEL|a number such as 16384|a number, or words)|unknown channel": "What a target wants",
    r"constraints\b|instrument\.knobs|knob '": "Kinds of knobs, and what settings have to keep",
    r"price\b|history: .* rim": "Plates, prices and deadlines",
    r"models?\b|unknown inverse model": "Inverse models",
    r"acquisition\b": "Acquisitions",
    r"instruments?\b|unknown instrument": "Instruments",
    r"(knobs|channels|prepare|write|query|errors|safe)\.": "Instruments by configuration",
    r".* is not TOML": "The campaign file",
    r".* (is no bundle|give a bundle)|--license": "Records that others read",
    r"\S+\.(csv|tsv|jsonl?|parquet|db|sqlite)\b": "Rows from elsewhere",
    r"(SDL_HOME|--home|--ledger|ledger) ": "Where things lie",
    r"(name|seed|budget|design|background|verification|stop|approval|suspend|history|fitting)\b": "The campaign file",
}
"""By a regular expression of how a fault begins, the section of the reference about such things."""
MEANT = re.compile(r"(?P<table>(?:[^:]*\.)?)[^.:]*: unknown key; did you mean '(?P<key>[^']+)'")


def pages_about(faults: Iterable[str]) -> list[str]:
    """Return where to read about some faults: file, line and section, each once, in the order of the faults.

    >>> pages_about(["tolerance: needs a number above 0", "no such file"])
    []
    """
    lines = _reference().read_text(encoding="utf-8").splitlines()
    found = [(_line_about(fault, heading, lines), heading) for fault in faults if (heading := _section(fault))]
    return [f"{_shown(_reference())}:{line} ({heading})" for line, heading in dict.fromkeys(found)]


def _reference() -> Path:
    """The file, which a wheel has beside this one, and a checkout where its link leads."""
    with as_file(files("flows.cli") / "reference.md") as path:
        return path.resolve()


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _section(fault: str) -> str | None:
    """The section about such a fault; a misspelt key is taken for the one that is meant."""
    meant = MEANT.sub(r"\g<table>\g<key>", fault)
    return next((heading for pattern, heading in SECTIONS.items() if re.match(pattern, meant)), None)


def _line_about(fault: str, heading: str, lines: list[str]) -> int:
    """The first line of a section that names the key of a fault, or else what holds it, counted from 1."""
    title = next(place for place, line in enumerate(lines) if line.lstrip("# ") == heading and line.startswith("#"))
    section = list(takewhile(lambda line: not line.startswith("#"), lines[title + 1 :]))
    for key in _keys(fault):
        named = re.compile(rf"`\[*{re.escape(key)}(?![\w.-])")
        if found := next((place for place, line in enumerate(section) if named.search(line)), None):
            return title + 2 + found
    return title + 1


def _keys(fault: str) -> list[str]:
    """What a line may name, the nearest first: ``design.n`` or ``n``, then ``design``; before it what was meant."""
    path = [part for part in fault.partition(":")[0].split(".") if part and not part.isdigit()]
    whole = [key for end in range(len(path), 0, -1) for key in (".".join(path[:end]), path[end - 1])]
    hint = re.search(r"did you mean '([^']+)'", fault)
    return [*(key for key in ([".".join([*path[:-1], hint[1]]), hint[1]] if hint else [])), *whole]
