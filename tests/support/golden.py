"""Whole campaigns whose every request, verdict and word of the report is kept, to show that a change changes nothing.

``python tests/support/golden.py`` writes the records anew: for a change that is meant to change what is sent.
"""

import html
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from places import ROOT

from flows.engine.opening import open_session
from flows.engine.outcome import recorded_end, summarize_outcome
from flows.engine.session import Session
from sdl.history import Observation
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from strategies.numerics.blas_threads import one_thread
from strategies.plan.steps import Stop

RECORDS = ROOT / "tests" / "end_to_end" / "golden_record"
DAYLIGHT = {"plugin": "twin", "seed": 7, "daylight": 1500.0, "memory_h": 1.0}
DARK = {"plugin": "twin", "seed": 3}
WHITE = {"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}
HASTY = {"read_s": 5.0, "first_wait_s": 0.01, "longest_wait_s": 0.05, "quiet_s": 0.01, "allow_private": True}
SINE = {"plugin": "sinewave", "noise": 0.02, "seed": 1}
RIPPLE = {"name": "ripple", "readings": {"y": 1.2}, "tolerance": 0.05}
COLOURS = {
    "white": (16000, 16000, 16000),
    "rose": (11000, 12000, 20000),
    "mint": (12000, 24000, 11000),
    "ultramarine": (40000, 12000, 9000),
}


def _learning(acquisition: str) -> dict[str, Any]:
    """A campaign whose exams would hardly pass at first, so that its acquisition is asked."""
    return {
        "instrument": {**DAYLIGHT, "seed": 11},
        "targets": [
            {"name": "dim", "readings": {"445nm": 9000, "515nm": 14000, "630nm": 8000}, "tolerance": "0.8 %"},
            {"name": "warm", "readings": {"445nm": 11000, "515nm": 20000, "630nm": 19000}, "tolerance": "0.8 %"},
        ],
        "design": {"plugin": "latin-hypercube", "n": 5},
        "models": ["pls", "mixture"],
        "acquisition": {"plugin": acquisition, "n": 3, "rounds": 2, "below": 0.9},
        "budget": 40,
        "seed": 4,
    }


ACQUISITIONS = (
    "uncertainty", "space-filling", "inverse-uncertainty", "forward-uncertainty", "both-uncertainties", "disagreement",
    "expected-improvement", "solution-set", "random", "latin-hypercube",
)  # fmt: skip

CAMPAIGNS: dict[str, list[dict[str, Any]]] = {
    "paper": [{"instrument": DAYLIGHT, "targets": [WHITE], "design": "one-by-one", "seed": 1}],
    "hypercube": [
        {
            "instrument": DARK,
            "targets": [WHITE],
            "design": {"plugin": "maximin-latin-hypercube", "n": 5},
            "models": ["mixture", "bayesian-linear"],
            "seed": 2,
        }
    ],
    "arm": [
        {
            "instrument": {"plugin": "robotic-arm", "noise": 0.01},
            "targets": [
                {"name": "hand", "readings": {"reach": 1.6, "height": 0.4}, "tolerance": 0.02, "answers": 3},
            ],
            "background": {"every": 0},
            "budget": 150,
            "seed": 1,
        }
    ],
    "colours": [
        {
            "instrument": {**DARK, "seed": 5},
            "targets": [
                {"name": name, "readings": dict(zip(WHITE["readings"], counts, strict=True)), "tolerance": "2 %"}
                for name, counts in COLOURS.items()
            ],
            "budget": 48,
            "seed": 1,
        }
    ],
    "history": [
        {"name": "monday", "instrument": DARK, "targets": [WHITE], "seed": 1},
        {"instrument": {**DAYLIGHT, "seed": 8}, "targets": [WHITE], "history": {"campaigns": ["monday"]}, "seed": 2},
    ],
    "unknown-noise": [
        {"instrument": DARK, "targets": [WHITE], "verification": {"noise": "estimated"}, "budget": 60, "seed": 3}
    ],
    "sinewave": [{"instrument": SINE, "targets": [RIPPLE], "background": {"every": 0}, "budget": 60, "seed": 2}],
    "unreachable": [
        {
            "instrument": DAYLIGHT,
            "targets": [{"name": "odd", "readings": {"590nm": 1024, "630nm": 16384}, "tolerance": "2 %"}],
            "seed": 1,
        }
    ],
    "ahead": [
        {"instrument": DAYLIGHT, "targets": [WHITE], "fitting": {"ahead": True, "limit_s": 600.0}, "seed": 6},
    ],
    "references": [
        {
            "instrument": {**DAYLIGHT, "seed": 9},
            "targets": [WHITE],
            "background": {"every": 8},
            "verification": {"replicates": 6},
            "seed": 8,
        }
    ],
    "lamp": [{"faults": ["lamp@12-"], "targets": [WHITE], "seed": 1}],
    "faults": [
        {
            "faults": ["busy@2", "500@4", "reset@6", "json@8", "nan@10", "saturated@12", "echo@14"],
            "targets": [WHITE],
            "seed": 1,
        }
    ],
    **{f"acquisition-{name}": [_learning(name)] for name in ACQUISITIONS},
}
"""By name, the campaigns that run one after the other on one ledger; the record is of the last one."""


@contextmanager
def _served(written: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A campaign whose instrument answers over HTTP, if faults are asked of it."""
    faults = written.pop("faults", None)
    if faults is None:
        yield written
        return
    twin = Twin(seed=7, daylight=1500.0, memory_h=1.0)
    with InstrumentServer(twin, faults=Faults.parse(faults)) as server:
        yield {**written, "instrument": {"plugin": "claude-light", "url": server.url, **HASTY}}


def run(name: str, directory: Path) -> dict[str, Any]:
    """Run a campaign to its end and return what is kept of it."""
    for written in CAMPAIGNS[name]:
        with (
            one_thread(),
            _served({"name": name, **written}) as ready,
            open_session(ready, directory, str(directory / "ledger.sqlite")) as session,
        ):
            record = _to_its_end(session)
    return record


def _to_its_end(session: Session) -> dict[str, Any]:
    with recorded_end(session):
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
    history = session.history
    return {
        "reason": step.reason,
        "sent": history.sent,
        "rounds": [[each.number, each.kind, each.target, each.facts.model] for each in history.rounds],
        "requests": [_kept(each) for each in history.observations],
        "findings": [[each.round, each.target, each.verdict, each.sentence] for each in history.findings],
        "outcome": summarize_outcome(session.ledger, session.entry.name),
        "report": words(session.report().read_text("utf-8")),
    }


def _kept(observation: Observation) -> list[Any]:
    return [*observation.key, observation.purpose, observation.verdict, *observation.settings.tolist()]


VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r" \((TIME|\d\d:\d\d:\d\d) [^)]+\)| \d\d:\d\d:\d\d \S+", ""),  # the same by the clock on the wall
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"\b\d+(\.\d+)? ?(ms|s|min)( \d+ (s|ms))?\b", "SPAN"),
    (r"\b\d+\.\d+\.\d+\b", "VERSION"),
)


def words(page: str) -> list[str]:
    """What a person reads on a page, a line each, without what changes from run to run."""
    page = re.sub(r"(?s)<(style|script|head)\b.*?</\1>", "", page)
    page = re.sub(
        r'(?s)<section id="models">.*?</section>', "", page
    )  # sums of what rounds and findings say, both kept
    lines = (html.unescape(re.sub(r"<[^>]*>", " ", line)) for line in re.sub(r"\n\s*", " ", page).split("</"))
    kept = (" ".join(re.sub(r"^\w+>", "", line).split()) for line in lines)
    result = [line for line in kept if line]
    for pattern, instead in VARYING:
        result = [re.sub(pattern, instead, line) for line in result]
    return result


NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def differences(kept: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where two records differ beyond the last digits of a number, in which processors differ."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key in sorted(kept.keys() | now.keys()):
            yield from differences(kept.get(key), now.get(key), f"{place}/{key}")
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for index, (one, other) in enumerate(zip(kept, now, strict=True)):
            yield from differences(one, other, f"{place}/{index}")
    elif isinstance(kept, str) and isinstance(now, str):
        same = NUMBER.sub("#", kept) == NUMBER.sub("#", now)
        numbers = (map(_number, NUMBER.findall(each)) for each in (kept, now))
        if not same or not all(math.isclose(a, b, rel_tol=2e-3) for a, b in zip(*numbers, strict=True)):
            yield f"{place}: {kept!r} became {now!r}"
    elif isinstance(kept, float) or isinstance(now, float):
        if kept is None or now is None or not math.isclose(kept, now, rel_tol=1e-6, abs_tol=1e-9):
            yield f"{place}: {kept!r} became {now!r}"
    elif kept != now:
        yield f"{place}: {kept!r} became {now!r}"


def _number(text: str) -> float:
    return float(text.replace("−", "-"))


def _record_file(name: str) -> Path:
    kind, _, rest = name.partition("-")
    return RECORDS / "acquisition" / f"{rest}.json" if kind == "acquisition" else RECORDS / f"{name}.json"


def record(name: str) -> Any:
    """What was kept of a campaign."""
    return json.loads(_record_file(name).read_text("utf-8"))


def main() -> None:
    """Write the records of the campaigns that are named, or of all."""
    for name in sys.argv[1:] or CAMPAIGNS:
        with tempfile.TemporaryDirectory() as folder:
            kept = run(name, Path(folder))
        text = json.dumps(kept, indent=0, ensure_ascii=False)
        _record_file(name).write_text(text + "\n", "utf-8")
        learning = sum(purpose == "learning" for _, _, _, purpose, *_ in kept["requests"])
        print(f"{name}: {kept['sent']} requests, {learning} of them to learn; {kept['reason']}")


if __name__ == "__main__":
    main()
