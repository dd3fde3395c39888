"""Calibrations against their control chart, sweeps, and scheduled runs that were overtaken."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from flows.engine.open_bench import open_bench
from flows.run_policy import missed_schedules as scheduled
from sdl.analysis.control_chart import control_charts
from sdl.campaign.sections import Plugin
from sdl.instruments.claude_light.twin import Twin
from sdl.measurement import manual as by_hand
from sdl.reports import figures
from sdl.space import Space

SPACE = Space.unit("R", "G", channels=("a", "b", "c"))
USUAL = np.array([[100.0, 20.0, 5.0], [10.0, 300.0, 40.0]])


def scattered(n, rng, sigma=0.002):
    """Responses of an instrument whose gains only scatter."""
    return [USUAL * (1 + sigma * rng.standard_normal((2, 1))) for _ in range(n)]


class TestControlChart:
    def test_scatter_alone_raises_no_alarm(self):
        alarms = [chart.alarm for seed in range(20)
                  for chart in control_charts(SPACE, scattered(30, np.random.default_rng(seed)))]  # fmt: skip
        assert [each for each in alarms if each] == []

    def test_the_first_calibration_is_its_own_measure(self):
        assert [chart.gains.tolist() for chart in control_charts(SPACE, [USUAL])] == [[1.0], [1.0]]

    def test_a_jump_of_one_knob_is_told_with_its_size(self):
        responses = [*scattered(10, np.random.default_rng(1)), USUAL * [[0.95], [1.0]]]
        red, green = control_charts(SPACE, responses)
        assert red.alarm.startswith("gain of R is -5.0")
        assert green.alarm is None

    def test_a_slow_drift_is_seen_before_it_is_a_jump(self):
        rng = np.random.default_rng(2)
        drifting = [row * (1 - 0.0006 * max(0, place - 15)) for place, row in enumerate(scattered(30, rng, 0.0005))]
        red, _ = control_charts(SPACE, drifting)
        assert abs(red.gains[-1] - 1) < red.limit
        assert "drifted" in red.alarm

    def test_channels_at_their_ceiling_are_left_out(self):
        blind = USUAL.copy()
        blind[0, 0] = np.nan
        red, _ = control_charts(SPACE, [USUAL, blind])
        assert red.gains == pytest.approx(1)
        assert control_charts(SPACE, [np.full((2, 3), np.nan)])[0].alarm is None

    @pytest.mark.filterwarnings("error")
    def test_a_knob_that_adds_nothing_fully_on_has_no_gain_to_be_off(self):
        idle = np.array([USUAL[0], np.zeros(3)])
        assert control_charts(SPACE, [idle, idle])[1].gains.tolist() == [1.0, 1.0]

    def test_it_can_be_drawn(self):
        drawn = figures.draw_control_charts(
            control_charts(SPACE, [*scattered(5, np.random.default_rng(3)), USUAL * 0.9])
        )
        assert drawn.startswith("data:image/")


def test_a_lamp_that_lost_a_tenth_is_out_of_band(tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    for _ in range(3):
        with open_bench(Plugin(plugin="twin"), str(tmp_path), where, "calibration") as bench:
            by_hand.calibrate_instrument(bench)
    with open_bench(Plugin(plugin="twin"), str(tmp_path), where, "calibration") as bench:
        bench.instrument._gain *= 0.9
        by_hand.calibrate_instrument(bench)
        alarms = [chart.alarm for chart in control_charts(bench.instrument.space, by_hand.calibration_responses(bench))]
    assert all("off" in alarm for alarm in alarms)


def test_instruments_of_one_ledger_have_calibrations_of_their_own(tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    names = []
    for part in (
        Plugin(plugin="twin"),
        Plugin(plugin="claude-light", url="http://127.0.0.1:9/api", allow_private=True),
    ):
        with open_bench(part, str(tmp_path), where, "calibration") as bench:
            names.append(next(each.title for each in bench.ledger.entries() if each.id == bench.campaign))
    assert names == ["calibration", "calibration claude-light http://127.0.0.1:9/api"]


class TestScheduled:
    DUE = datetime(2026, 3, 1, 3, 30, tzinfo=UTC)

    @pytest.fixture
    def due(self, monkeypatch, tmp_path):
        """A run of a schedule, and a ledger with one entry that is updated at a moment of choice."""

        def made(tags, after):
            run = SimpleNamespace(scheduled_start_time=self.DUE, tags=tags)
            monkeypatch.setattr(scheduled.runtime, "flow_run", run)
            with open_bench(Plugin(plugin="twin"), str(tmp_path), None, "calibration"):
                pass
            return scheduled.skipped_state(str(tmp_path / "ledger.sqlite"), lambda _: (self.DUE + after).timestamp())

        return made

    def test_it_ends_at_once_where_the_work_was_done_later_than_it_was_due(self, due):
        state = due([scheduled.TAG], timedelta(hours=5))
        assert (state.name, state.type.value) == ("Skipped", "COMPLETED")
        assert "was due 2026-03-01 03:30:00 UTC" in state.message

    def test_it_works_where_the_last_was_earlier(self, due):
        assert due([scheduled.TAG], timedelta(hours=-20)) is None

    def test_what_a_person_asked_for_is_always_done(self, due):
        assert due([], timedelta(hours=5)) is None


def test_the_space_of_the_twin_is_that_of_its_form():
    from flows.laboratory.definition import Laboratory
    from flows.laboratory.deployments import define_deployments

    offered = {each.run: each for each in define_deployments(Laboratory.of_a_twin("http://127.0.0.1:5005/api"))}
    schema = {"properties": {"config": {}, "home": {}}, "required": ["config"],
              "definitions": {"Campaign": {"properties": {"instrument": {}}}}}  # fmt: skip
    form = offered["campaign"].form(schema)
    assert list(form["properties"]) == ["config"]
    instrument = form["definitions"]["Campaign"]["properties"]["instrument"]
    assert {name: field["default"] for name, field in instrument["properties"].items()} == {
        "plugin": "claude-light", "url": "http://127.0.0.1:5005/api", "allow_private": True
    }  # fmt: skip
    knobs = offered["measure"].form({"properties": {"settings": {}}})["properties"]["settings"]["properties"]
    assert list(knobs) == list(Twin().space.knob_names)
