"""Conditions from an instrument's reply to the verdict: through the ledger, a kill, the report and an export."""

import numpy as np
import pytest
from problems import Oven, oven_campaign, oven_target

from flows.engine.opening import open_session
from flows.studies.solve import solve
from sdl import plugins
from sdl.history import Verdict
from sdl.interchange.export_import import export_campaign
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page
from strategies import Plan, Simulation

pytestmark = pytest.mark.slow


@pytest.fixture
def oven(monkeypatch):
    oven, build = Oven(7), plugins.build
    monkeypatch.setattr(plugins, "build", lambda group, *rest: oven if "instr" in group else build(group, *rest))
    return oven


def test_a_campaign_with_conditions_is_that_of_memory_goes_on_after_a_break_and_goes_out_with_them(
    oven, tmp_path, drive
):
    target = oven_target(oven, 7)
    file, ledger = oven_campaign(7, target, conditions={"temperature": 25}), str(tmp_path / "ledger.sqlite")
    with open_session(file, tmp_path, ledger) as session:
        for _ in range(3):  # a design, a fit, and what comes then
            session.execute(session.propose())
    with open_session(file, tmp_path, ledger) as session:
        assert drive(session)["verified"]
        campaign, space = session.campaign, session.entry.space
    with Ledger(ledger) as book:
        entry = book.entry("oven")
        history = book.history(entry.id)
        said = [row["conditions"]["temperature"] for row in book.trail(entry.id)]
        assert said == [observation.conditions["temperature"] for observation in history.observations]
        assert np.ptp(said) > 2
        assert history.findings[-1].verdict is Verdict.VERIFIED
        assert "for temperature = 25 (it was " in render_campaign_page(book, "oven")
        export_campaign(book, "oven", tmp_path / "oven.csv")
    twin = Oven(7)
    memory = Simulation(Plan(campaign, space), twin)
    memory.run()
    assert [row.settings.tolist() for row in memory.observations[:5]] == [
        row.settings.tolist() for row in history.observations[:5]
    ]
    wish = [f"{name}={value}" for name, value in zip("yz", target.tolist(), strict=True)]
    found = solve(tmp_path / "oven.csv", wish, models=["linear"], given=["temperature=25"], tolerance="1.5")
    (offer, *_) = found["models"][0]["candidates"]
    assert np.abs(oven.truth(np.array([offer["settings"][name] for name in "ab"]), 25.0) - target).max() < 3
