"""Which of many offers to take, and why, in two sentences that end what ``solve`` and ``compare`` say."""

from collections.abc import Mapping
from typing import Any

from sdl.formatting import format_number, format_percent, format_quantities

APART = 2.0
"""Standard deviations of both that settings of two models may be apart to count as the same answer."""
UNPROVED = "Nothing of this was measured: 'sdl measure' or a campaign is to say whether it holds."


def take_this_one(result: Mapping[str, Any], row: Mapping[str, Any] | None) -> str:
    """Say which settings to take.

    Args:
        result: What ``flows.studies.solve.solve`` or ``flows.studies.compare.compare`` returns.
        row: Of the model whose first offer is to be taken; None where no model has one that hits.
    """
    silent = [f"{each['model']} has no answer: {each['error']}" for each in result["models"] if each["error"]]
    if len(silent) == len(result["models"]):
        return f"Take none: {'; '.join(silent)}."
    if row is None:
        near = result["row"]
        settings = format_quantities(near["settings"], result.get("units"))
        misses = f", though it misses {', '.join(near['misses'])}" if near["misses"] else ""
        return (
            "Take none of these: no model that explains the rows has settings that hit. Nearest is what was measured "
            f"in line {near['line']}, {settings}{misses}: measure more rows about there, or allow a wider tolerance."
        )
    offer = row["candidates"][0]
    reasons = [f"the rows give it a chance of {format_percent(offer['chance'])} to hit"]
    others = [each for each in result["models"] if each["error"] is None and each is not row and each["candidates"]]
    if others:
        same = sum(any(_agree(offer, place) for place in each["candidates"]) for each in others)
        reasons.append(f"{same} of {len(others)} other models {'offers' if same == 1 else 'offer'} the same")
    if row["scores"]:
        reasons.append(_proof(row["scores"]))
    warned = " It lies in a gap of the rows: measure there first." if offer["remote"] > 1 else ""
    known = result.get("conditions", {}).items()
    if unseen := [name for name, each in known if not each["seen"]]:
        warned += f" No row had such a {' and '.join(unseen)}: measure there first."
    settings = format_quantities(offer["settings"], result.get("units"))
    return f"Take {settings} of {row['model']}, because {'; '.join(reasons)}.{warned} {UNPROVED}"


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two offers are apart by no more than their spread allows."""
    return all(
        abs(value - other["settings"][name]) <= APART * (one["spread"][name] + other["spread"][name])
        for name, value in one["settings"].items()
    )


def _proof(scores: Mapping[str, Any]) -> str:
    """What rows that were not seen say of the model."""
    readings = scores.get("readings", scores)  # as 'compare' has them, and as 'solve'
    test, off = readings["test"], scores["off"]
    wrong = off if isinstance(off, list) else [*off["settings"], *off["readings"]]
    held = f"though its intervals are off in {', '.join(dict.fromkeys(wrong))}" if wrong else "its intervals hold there"
    least = min((value for value in test["r2"].values() if value is not None), default=None)
    rows = f"{test['rows']} row{'' if test['rows'] == 1 else 's'} not seen"
    if least is None:
        return f"on {rows} {held}"
    return f"on {rows} it explains {format_number(100 * least)} % of the readings or more, {held}"
