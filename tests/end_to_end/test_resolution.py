"""An instrument that applies settings in steps: proposals, exams and solutions are settings that it can apply."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from flows.engine.opening import open_session
from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import ReplyClass, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import screen_reply
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import campaigns
from sdl.space import Channel, Knob, Space
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

STEP = 1 / 255
ONE = Space(knobs=(Knob(name="x", low=1.0, high=2.05, resolution=0.1),), channels=(Channel(name="y"),))


def stepped(space):
    return space.model_copy(update={"knobs": tuple(k.model_copy(update={"resolution": STEP}) for k in space.knobs)})


class EightBits(Twin):
    """A twin whose lamps know 256 levels; what it says that it applied is one of them, and rounded in print."""

    def __init__(self, tells=True, **options):
        super().__init__(**options)
        self.space = stepped(self.space) if tells else self.space

    def measure(self, settings):
        applied = {name: round(value / STEP) * STEP for name, value in settings.items()}
        reply = super().measure(applied)
        return Reply({name: round(value, 4) for name, value in applied.items()}, reply.readings, reply.raw)


@pytest.mark.fault("I-23")
def test_a_campaign_ends_with_settings_that_can_be_applied(paper):
    twin = EightBits(seed=2, daylight=1500.0)
    rehearsal = Simulation(Plan(Campaign.parse(paper), twin.space), twin)
    rehearsal.run()
    found = rehearsal.findings[-1]
    assert found.verdict is Verdict.VERIFIED
    steps = np.array([each.settings for each in rehearsal.observations]) / STEP
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    np.testing.assert_allclose(found.settings / STEP, np.rint(found.settings / STEP), atol=1e-9)


@pytest.mark.fault("I-23")
def test_so_it_is_in_a_session_and_nothing_is_suspect(paper, drive, tmp_path, monkeypatch):
    twin, build = EightBits(seed=2), plugins.build
    monkeypatch.setattr(plugins, "build", lambda group, *rest: twin if "instr" in group else build(group, *rest))
    with open_session(paper, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        assert drive(session)["verified"]
        verdicts = {row["verdict"] for row in session.ledger.trail(session.entry.id)}
    assert verdicts <= {ReplyClass.OK, ReplyClass.OK_CENSORED}


@pytest.mark.fault("I-23")
def test_an_instrument_that_does_not_tell_is_suspect():
    twin, asked = EightBits(tells=False), np.array([0.1, 0.2, 0.3]) + 0.3 * STEP
    reply = twin.measure(twin.space.named_settings(asked))
    assert screen_reply(twin.space, asked, reply).verdict is ReplyClass.SUSPECT
    assert screen_reply(stepped(twin.space), asked, reply).verdict is ReplyClass.OK


@pytest.mark.fault("I-23")
@given(st.floats(1.0, 2.05))
def test_the_nearest_step_within_the_bounds(value):
    (found,) = ONE.settings({"x": value})
    assert 1.0 <= found <= 2.05
    assert abs(found - value) <= 0.05 + 1e-12
    assert ONE.settings({"x": found}) == pytest.approx(found, abs=1e-12)
    assert ONE.from_unit(ONE.to_unit([value])) == pytest.approx(found, abs=1e-12)


@pytest.mark.fault("I-23")
def test_where_no_steps_are_told_nothing_is_rounded():
    space, row = Space.unit("a", "b"), np.array([0.123456789, np.nextafter(1, 0)])
    assert space.reachable(row) is row


@pytest.mark.fault("I-23")
@pytest.mark.parametrize("step", [0, -0.1, float("inf"), float("nan")])
def test_a_step_is_a_number_above_0(step):
    with pytest.raises(ValueError, match="resolution"):
        Knob(name="x", resolution=step)


@pytest.mark.fault("I-23")
def test_a_campaign_that_was_begun_before_steps_were_known_goes_on(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as book:
        entry = book.register("white", "light", Twin().space, {}, {})
        old = entry.space.model_dump(mode="json")
        for knob in old["knobs"]:
            del knob["resolution"]
        with book.writing() as connection:
            connection.execute(update(campaigns).values(space=old))
        assert book.register("white", "light", Twin().space, {}, {}).id == entry.id
        with pytest.raises(InvalidInput, match="other knobs"):
            book.register("white", "light", stepped(Twin().space), {}, {})
