"""What agents ask of the engine: what the plan would do next, and readings that they proposed."""

from pathlib import Path
from typing import Any

from flows.engine.handover import build_instrument
from flows.engine.open_bench import hold_bench
from flows.engine.planner import DirectPlanner
from sdl.campaign.definition import Campaign
from sdl.campaign.sections import Plugin
from sdl.errors import InvalidInput
from sdl.history import Entry, State
from sdl.ledger.ledger import Ledger
from sdl.measurement.driver_call import close_driver
from sdl.measurement.manual import measure_by_hand
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Stop, Together


def take_proposed(entry: Entry, directory: Path, where: str) -> list[dict[str, Any]]:
    """Take the readings that were proposed and approved, once, and return them by name.

    Args:
        entry: Of the ledger, with ``settings`` in its configuration.
        directory: Data directory.
        where: File or URL of the ledger.

    Raises:
        ApprovalWanted: as long as no person approved of them.
        InvalidInput: if they were taken already.
    """
    with Ledger(where) as book:
        book.obey(entry.name)
    if entry.state is State.FINISHED:
        raise InvalidInput(f"{entry.name!r} is over ({entry.reason}): more readings are another proposal")
    part, space = Plugin.model_validate(entry.config["instrument"]), entry.space
    instrument = build_instrument(part)
    try:
        with hold_bench(part, instrument, directory, where, entry.title) as bench:
            rows = [space.settings(settings) for settings in entry.config["settings"]]
            taken = measure_by_hand(bench, rows)
    finally:
        close_driver(instrument)
    return [
        {"settings": space.shown_settings(each.settings), "readings": space.named_readings(each.readings)}
        for each in taken
    ]


def foresee(ledger: Ledger, entry: Entry) -> dict[str, Any]:
    """Return what the plan of a campaign would do next, by what the ledger holds now; nothing is changed.

    Returns:
        The ``step`` in a word, and what there is to say of it: its round, with ``rows`` of a purpose and settings by
        name, or a verdict, or the reason to stop.

    Raises:
        InvalidInput: if it has no plan, since it was measured by hand or imported.
    """
    if "targets" not in entry.config:
        raise InvalidInput(f"{entry.name!r} has no plan: it was measured by hand or imported")
    campaign = Campaign.parse(entry.config)
    planner, history = DirectPlanner(campaign, entry.space), ledger.history(entry.id, campaign.background.max_age_s)
    step = planner.next_step(history)
    while isinstance(step, Fit):
        planner.fit(step, history)
        step = planner.next_step(history)
    found: dict[str, Any] = {"step": type(step).__name__.lower()}
    match step:
        case Measure() | Examine():
            round_ = step.round
            rows = [(request.purpose, entry.space.shown_settings(request.settings)) for request in step.requests]
            return found | {"round": round_.number, "kind": round_.kind, "target": round_.target, "rows": rows}
        case Together(parts):
            requests = [request for part in parts for request in part.requests]
            rows = [(request.purpose, entry.space.shown_settings(request.settings)) for request in requests]
            targets = list(dict.fromkeys(part.round.target for part in parts if part.round.target))
            return found | {"round": parts[0].round.number, "targets": targets, "rows": rows}
        case Conclude(finding):
            return found | {"target": finding.target, "verdict": finding.verdict, "sentence": finding.sentence}
        case Stop(reason):
            return found | {"reason": reason}
