"""A bundle recomputed: what was recorded against what this program makes of the same replies, round by round."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.versions import versions
from sdl.interchange import bundle_reader as unbundling
from sdl.interchange.evidence import Evidence, parse_evidence
from strategies.evaluation.replay import TOLERANCE, Check, Replay

BY_HAND = "nothing was proposed here: readings were taken or imported without targets, so the replies alone are judged"


def reproduce_bundle(path: str | Path, tell: Callable[[int, int], object] = lambda *_: None) -> dict[str, Any]:
    """Check a bundle, recompute it, and say for each round whether the record agrees; nothing but the file is needed.

    Args:
        path: Of the bundle.
        tell: Called with how many rounds are done, and how many there are.

    Returns:
        Plain data: ``agrees``, ``rounds`` with their ``differences``, ``versions`` that differ, ``notes``.

    Raises:
        InvalidInput: if it is no valid bundle, naming each fault, or needs a plug-in that is not installed.
    """
    evidence = parse_evidence(unbundling.read_bundle(path))
    checks = Replay(evidence).run(tell)
    here = versions()
    written = evidence.campaign.versions
    return {
        "bundle": str(path),
        "campaign": evidence.campaign.name,
        "seed": evidence.campaign.seed,
        "agrees": all(check.agrees for check in checks),
        "tolerance": TOLERANCE,
        "largest deviation": max((check.largest for check in checks), default=0.0),
        "rounds": [_round(number, evidence, checks) for number in sorted({check.round for check in checks})],
        "versions": {
            name: {"recorded": version, "here": here.get(name)}
            for name, version in written.items()
            if here.get(name) != version
        },
        "notes": [] if "targets" in evidence.campaign.config else [BY_HAND],
    }


def summarise_reproduction(result: Mapping[str, Any]) -> list[str]:
    """The sentences of a result of ``reproduce_bundle``, besides the table of rounds."""
    said = [
        f"round {each['round']}, {check['what']}: {difference}"
        for each in result["rounds"]
        for check in each["checks"]
        for difference in check["differences"]
    ]
    said += [f"{name} was {of['recorded']} and is {of['here']} here" for name, of in result["versions"].items()]
    word = "agrees with" if result["agrees"] else "differs from"
    largest = f"largest deviation {result['largest deviation']:.2g}, accepted {result['tolerance']:g}"
    return [*said, *result["notes"], f"{result['campaign']} {word} its record ({largest})"]


def _round(number: int, evidence: Evidence, checks: Sequence[Check]) -> dict[str, Any]:
    line = next((each for each in evidence.rounds if each.number == number), None)
    mine = [check for check in checks if check.round == number]
    return {
        "round": number,
        "kind": line and line.kind,
        "target": line and line.target,
        "replies": sum(each.round == number for each in evidence.replies),
        "agrees": all(check.agrees for check in mine),
        "largest deviation": max(check.largest for check in mine),
        "checks": [
            {"what": check.what, "agrees": check.agrees, "differences": list(check.differences)} for check in mine
        ],
    }
