"""Where to read about what a person got wrong: a line below the faults of a command."""

import re
from collections.abc import Iterable
from importlib.resources import as_file, files
from itertools import takewhile
from pathlib import Path

SECTIONS = {
    r"(timezone|schedule|notify|laboratory)\b|instruments[:?]": "The laboratory file",
    r"(targets\.\d+\.)?colour\b": "Colours",
    r"targets?\b|no target\b|quantities\b|the tolerance of |--target": "What a target wants",
    r".* needs (the form CHANNEL|a number such as 16384|a number, or words)|unknown channel": "What a target wants",
    r"constraints\b|max_step\b|instrument\.knobs|knob '": "Kinds of knobs, and what settings have to keep",
    r"price\b|history: .* rim": "Plates, prices and deadlines",
    r"models?\b|unknown inverse model": "Inverse models",
    r"rivals\b": "Rivals",
    r"sources?\b": "Sources beside the instrument",
    r"conditions\b|.*unknown condition": "Conditions",
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
SCHEDULED = re.compile(r"schedule\.\d+\.(parameters\.config\.|file: (?=.* is not TOML))")
"""What stands before a fault of a campaign that a laboratory file schedules."""
MEANT = re.compile(r"(?P<table>(?:[^:]*\.)?)[^.:]*: unknown key; did you mean '(?P<key>[^']+)'")


def pages_about(faults: Iterable[str]) -> list[str]:
    """Return where to read about some faults: file, line and section, each once, in the order of the faults.

    >>> pages_about(["tolerance: needs a number above 0", "no such file"])
    []
    """
    with as_file(files("flows.cli") / "reference.md") as packed:  # a wheel has it there, a checkout where it links to
        reference = packed.resolve()
    lines = reference.read_text(encoding="utf-8").splitlines() if reference.is_file() else []
    plain = [SCHEDULED.sub("", fault) for fault in faults]
    asked = [(fault, f"# {heading}") for fault in plain if (heading := _section(fault))]
    found = [(_line_about(fault, heading, lines), heading) for fault, heading in asked]
    shown = _shown(reference)
    return [f"{shown}:{line} ({heading[2:]})" for line, heading in dict.fromkeys(found) if line]


def _shown(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except (OSError, ValueError):  # it is elsewhere, or the folder in which this runs is gone
        return path


def _section(fault: str) -> str | None:
    """The section about such a fault; a misspelt key is taken for the one that is meant."""
    meant = MEANT.sub(r"\g<table>\g<key>", fault)
    return next((heading for pattern, heading in SECTIONS.items() if re.match(pattern, meant)), None)


def _line_about(fault: str, heading: str, lines: list[str]) -> int | None:
    """The first line of a section that names the key of a fault, or else its heading, counted from 1."""
    title = next((place for place, line in enumerate(lines, start=1) if line.endswith(heading)), None)
    section = list(takewhile(lambda line: not line.startswith("#"), lines[title:] if title else ()))
    for key in _keys(fault):
        named = re.compile(rf"`\[*{re.escape(key)}(?![\w.-])")
        if title and (found := next((place for place, line in enumerate(section, 1) if named.search(line)), None)):
            return title + found
    return title


def _keys(fault: str) -> list[str]:
    """What a line may name, the nearest first: what was meant, ``design.n`` or ``n``, then ``design``."""
    path = [part for part in fault.partition(":")[0].split(".") if part and not part.isdigit()]
    paths = [path[:end] for end in range(len(path), 0, -1)]
    if hint := re.search(r"did you mean '([^']+)'", fault):
        paths.insert(0, [*path[:-1], hint[1]])
    return [key for each in paths for key in (".".join(each), each[-1])]
