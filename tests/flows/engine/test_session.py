"""A session answers what comes next, and does it; who asks twice is answered twice the same."""

import json

import pytest

from flows.engine.opening import open_session
from flows.engine.step_json import step_to_json
from sdl.ledger.people.controls import Controls
from strategies.plan.steps import Fit, Stop

HERE, ELSEWHERE = {}, {"fitting": {}}
planners = pytest.mark.parametrize(
    "fitting",
    [HERE, pytest.param(ELSEWHERE, marks=pytest.mark.slow)],
    ids=["fitted in this process", "fitted in a process of its own"],
)


@pytest.fixture
def opened(paper, tmp_path):
    """Opens the paper's campaign by daylight with some changes."""
    twin = {"plugin": "twin", "seed": 3, "daylight": 1500.0}
    where = str(tmp_path / "ledger.sqlite")
    return lambda **changes: open_session(paper | {"instrument": twin} | changes, tmp_path, where)


def plain(step):
    """A step as text, without the moment at which it was proposed."""
    parts = {"fit": vars(step)} if isinstance(step, Fit) else step_to_json(step)
    timeless = {name: part | {"at": None} if isinstance(part, dict) else part for name, part in parts.items()}
    return json.dumps(timeless, sort_keys=True)


@planners
def test_to_ask_for_the_next_step_changes_nothing(opened, fitting):
    with opened(**fitting) as session:
        steps = [session.propose()]
        while not isinstance(steps[-1], Stop):
            assert plain(session.propose()) == plain(steps[-1])
            session.execute(steps[-1])
            steps.append(session.propose())
    assert any(isinstance(step, Fit) for step in steps)


@planners
def test_a_campaign_goes_on_with_requests_that_were_allowed_after_its_plan_said_stop(opened, fitting):
    with opened(budget=11, **fitting) as session:
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        sent = session.history.sent
        Controls(session.ledger).extend(session.entry.name, 20)
        assert not isinstance(session.propose(), Stop)
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        assert session.history.sent > sent
