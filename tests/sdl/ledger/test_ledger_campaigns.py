"""A campaign in the ledger: entered once, changed under the lease, its decisions kept as they were made."""

import time

import numpy as np
import pytest
from desk import NONE, request

from sdl.errors import InvalidInput
from sdl.history import Control, Exam, Finding, FindingFacts, Purpose, Round, RoundFacts, RoundKind, State, Verdict
from sdl.instruments.claude_light.channels import SPACE
from sdl.ledger.ledger import Ledger
from sdl.space import Space


def test_a_campaign_is_entered_once_and_found_again(desk):
    again = desk.ledger.register("white", "light", SPACE, {"seed": 2}, {}, title="other")
    assert again.id == desk.campaign
    assert (again.title, again.config, again.space) == ("white", {"seed": 1}, SPACE)
    assert (again.state, again.control) == (State.RUNNING, Control.RUN)
    assert [entry.name for entry in desk.ledger.entries()] == ["white"]


def test_a_campaign_does_not_change_its_instrument(desk):
    with pytest.raises(InvalidInput, match="'white' was begun on light with other knobs or channels than lamp has"):
        desk.ledger.register("white", "lamp", Space.unit("x"), {}, {})


def test_an_unknown_campaign_is_answered_with_the_nearest(desk):
    with pytest.raises(InvalidInput, match="no campaign 'wite' in this ledger; did you mean 'white'"):
        desk.ledger.entry("wite")


def test_state_and_configuration_change_under_the_lease(desk):
    desk.ledger.set_state(desk.lease, desk.campaign, State.SUSPENDED, "no answer")
    desk.ledger.reconfigure(desk.lease, desk.campaign, {"seed": 1, "budget": 7})
    entry = desk.ledger.entry("white")
    assert (entry.state, entry.reason, entry.config) == (State.SUSPENDED, "no answer", {"seed": 1, "budget": 7})


def test_a_configuration_that_did_not_change_leaves_no_trace(where):
    with Ledger(where) as ledger, ledger.hold("light", "me") as lease:
        campaign = ledger.register("white", "light", SPACE, {"budget": 1}, {}).id
        ledger.reconfigure(lease, campaign, {"budget": 1})
        assert ledger.account(campaign)["changes"] == []


def test_a_title_and_a_sentence_may_hold_nul_too(desk):
    assert desk.ledger.register("nul", "light\0", SPACE, {"note": "a\0b"}, {}, title="a\0b").title == "a␀b"
    desk.plan()
    finding = Finding(0, "t", Verdict.REFUTED, "a\0b", facts=FindingFacts(model="a\0b"))
    desk.ledger.find(desk.lease, desk.campaign, finding)
    desk.ledger.set_state(desk.lease, desk.campaign, State.SUSPENDED, "a\0b")
    assert desk.history.findings[0].sentence == "a␀b"
    assert desk.ledger.entry("white").reason == "a␀b"


def test_rounds_exams_and_findings_come_back_as_they_were(desk):
    facts = {"scores": np.array([1.0, np.nan]), "model": "linear", "deep": {"n": np.int64(3)}}
    asked = [request(0, 1, i, Purpose.VERIFICATION) for i in range(3)]
    background, uncertainty = np.where(NONE, 0, np.nan), np.arange(10.0)
    exam = Exam(1, "white", asked[0].settings, "linear", 3, background, uncertainty)
    desk.plan(*asked, round_=Round(1, RoundKind.EXAM, "white", RoundFacts.from_json(facts)), exam=exam)
    desk.plan(*asked, round_=Round(1, RoundKind.EXAM, "white"), exam=exam)
    finding = Finding(1, "white", Verdict.VERIFIED, "within", asked[0].settings, FindingFacts(margin=np.array([2.0])))
    desk.ledger.find(desk.lease, desk.campaign, finding)
    desk.ledger.find(desk.lease, desk.campaign, Finding(1, "white", Verdict.REFUTED, "a second verdict"))
    history = desk.history
    (round_,), (kept,), (found,) = history.rounds, history.exams, history.findings
    assert (round_.kind, round_.target) == (RoundKind.EXAM, "white")
    assert round_.facts.model == "linear"
    assert round_.facts.to_json() == {"scores": [1.0, "nan"], "model": "linear", "deep": {"n": 3}}
    assert (kept.model, kept.replicates, kept.target) == ("linear", 3, "white")
    np.testing.assert_array_equal(kept.background, background)
    np.testing.assert_array_equal(kept.uncertainty, uncertainty)
    assert (found.verdict, found.sentence, found.facts.to_json()) == (Verdict.VERIFIED, "within", {"margin": [2.0]})
    assert history.concluded("white") is found
    assert history.open_exam is None


def test_a_campaign_is_stale_some_time_after_its_last_request(desk):
    assert not desk.ledger.history(desk.campaign, fresh_for_s=0.0).stale
    desk.plan(request(0))
    desk.measured(request(0))
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    time.sleep(0.02)
    assert desk.ledger.history(desk.campaign, fresh_for_s=0.01).stale
