"""Steps of the plan as plain data and back, for a decision that is made in another process."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

from sdl.history import Request, Round
from sdl.ledger import row_mapping as rows
from strategies.plan.steps import Conclude, Examine, Measure, Step, Stop, Together

Plain: TypeAlias = dict[str, Any]


def step_to_json(step: Step) -> Plain:
    """A step in what JSON knows; a ``Fit`` has no plain form, since it is what the other process is asked for."""
    match step:
        case Measure(round_, requests):
            return {"do": "measure", "round": rows.row_of_round(0, round_), "requests": _plain(requests)}
        case Examine(round_, exam, requests):
            plain = {
                "round": rows.row_of_round(0, round_),
                "exam": rows.row_of_exam(0, exam),
                "requests": _plain(requests),
            }
            return {"do": "examine", **plain}
        case Together(parts):
            return {"do": "together", "parts": [step_to_json(part) for part in parts]}
        case Conclude(finding):
            return {"do": "conclude", "finding": rows.row_of_finding(0, finding)}
        case Stop(reason):
            return {"do": "stop", "reason": reason}
    raise TypeError(f"a step of the kind {type(step).__name__} is not sent")


def step_from_json(plain: Mapping[str, Any]) -> Step:
    """The step that ``to_plain`` was given.

    Raises:
        KeyError, TypeError, ValueError: for anything else.
    """
    match plain["do"]:
        case "measure":
            return Measure(_round(plain), _requests(plain))
        case "examine":
            return Examine(_round(plain), rows.exam_from_row(_row(plain["exam"])), _requests(plain))
        case "together":
            parts = [step_from_json(part) for part in plain["parts"]]
            return Together([part for part in parts if isinstance(part, Measure | Examine)])
        case "conclude":
            return Conclude(rows.finding_from_row(_row(plain["finding"])))
        case "stop":
            return Stop(str(plain["reason"]))
    raise ValueError(f"no step is called {plain['do']!r}")


def _plain(requests: Any) -> list[Plain]:
    return [rows.row_of_request(0, each) for each in requests]


def _row(plain: Mapping[str, Any]) -> Any:
    """Something with the columns of a row as attributes, which is all that ``rows`` asks for."""
    return SimpleNamespace(**plain)


def _round(plain: Mapping[str, Any]) -> Round:
    return rows.round_from_row(_row(plain["round"]))


def _requests(plain: Mapping[str, Any]) -> list[Request]:
    return [rows.request_from_row(_row(each)) for each in plain["requests"]]
