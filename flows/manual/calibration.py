"""The calibration: background and full drives, held against the control chart of the calibrations before."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from flows import environment
from flows.engine.handover import build_instrument, kept_instrument, take_instrument
from flows.engine.open_bench import open_bench
from flows.run_policy.failure_messages import is_deployed, says_what_to_do
from flows.run_policy.interrupts import finish_on_signal
from flows.run_policy.missed_schedules import skipped_state
from flows.ui import events
from sdl.analysis.control_chart import control_charts
from sdl.campaign.sections import Plugin
from sdl.history import Entry
from sdl.measurement import manual as by_hand
from sdl.space import Readings, Space

NAME = "calibration"


@task(name="calibrate", cache_policy=NO_CACHE)
async def compare_calibration(instrument: Plugin, home: str | None, ledger: str | None) -> dict[str, Any]:
    """Read background and full drives, and compare with the calibrations before."""
    with finish_on_signal() as interrupted, open_bench(instrument, home, ledger, NAME, interrupted) as bench:
        space = bench.instrument.space
        result = by_hand.calibrate_instrument(bench)
        control = control_charts(space, by_hand.calibration_responses(bench))
    from flows.ui.artifacts import (
        show_control_chart,  # figures take a second to load: not before the run is seen to have begun
    )

    await show_control_chart(bench.instrument.identity, control)
    return {
        "background": space.named_readings(result.background),
        "response": _by_knob(space, result.response),
        "change": None if result.change is None else _by_knob(space, result.change),
        "gain": {chart.knob: float(chart.gains[-1]) for chart in control},
        "alarms": [chart.alarm for chart in control if chart.alarm],
    }


@flow(name="calibrate", flow_run_name="calibrate-{instrument.plugin}")
@says_what_to_do
async def calibrate(instrument: Plugin, home: str | None = None, ledger: str | None = None) -> dict[str, Any]:
    """Read the background and each knob fully on, and compare with the calibrations before.

    A gain out of its band is an event, and the end of a run of a deployment is then a failure that says what to do.

    Args:
        instrument: The instrument and its options.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    where = environment.ledger(ledger, environment.home(home))
    built = take_instrument(instrument) or build_instrument(instrument)
    identity = built.identity

    def calibrated(entry: Entry) -> float | None:
        return entry.updated if entry.instrument == identity and entry.title.startswith(NAME) else None

    with kept_instrument(instrument, built):
        if (state := skipped_state(where, calibrated)) is not None:
            return state  # type: ignore[no-any-return]
        result = await compare_calibration(instrument, home, ledger)
    if not result["alarms"]:
        return result
    events.emit_out_of_band(identity, result["alarms"], result["gain"])
    if not is_deployed():
        return result
    words = f"Look at lamp and sensor of {identity}, then calibrate once more: {'; '.join(result['alarms'])}"
    return Failed(name="OutOfBand", message=words)  # type: ignore[return-value]


def _by_knob(space: Space, rows: Readings) -> dict[str, dict[str, float]]:
    return {knob: space.named_readings(row) for knob, row in zip(space.knob_names, rows, strict=True)}
