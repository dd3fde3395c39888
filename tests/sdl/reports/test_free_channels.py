"""Channels left free, in words: in the report, at a terminal, in Prefect's UI and in what a run returns."""

import pytest
from pages import check
from rich.console import Console
from stages import CANDIDATE, Flaky, Run

from flows.cli.watch_view import draw_frame
from flows.engine.outcome import summarize_outcome
from flows.ui.artifacts import _verdict
from sdl.history import Finding, FindingFacts, ForetoldFacts, Verdict
from sdl.reports.campaign_page import render_campaign_page
from sdl.reports.free_channels import free_channels
from sdl.reports.status import campaign_statuses
from sdl.reports.status_detail import campaign_detail

FREE = {
    "590nm": ForetoldFacts(low=8786.1, high=8942.3, level=0.9, mean=8871.25),
    "nir": ForetoldFacts(low=1124.0, high=1222.4, level=0.9, mean=1300.0),
    "clear": ForetoldFacts(low=65535.0, high=65535.0, level=0.9),
}
WORDS = [
    "590nm left free: foretold 8786 to 8942 (90 %), measured 8871: held",
    "nir left free: foretold 1124 to 1222 (90 %), measured 1300: NOT HELD",
    "clear left free: foretold 65535.0 to 65535.0 (90 %)",
]
FINDING = Finding(1, "paper", Verdict.VERIFIED, "within the tolerance", CANDIDATE, FindingFacts(free=FREE))


@pytest.fixture
def run(ledger):
    instrument = Flaky(seed=1)
    with ledger.hold(instrument.identity, "test") as lease:
        run = Run(ledger, lease, instrument)
        ledger.find(lease, run.id, FINDING)
        yield run


def test_they_are_told_in_words_and_come_back_from_the_ledger(ledger, run):
    (kept,) = ledger.findings(run.id)
    assert kept.facts == FINDING.facts
    assert list(map(str, free_channels(kept, {}))) == WORDS


def test_the_report_has_them_beside_the_verdict(ledger, run):
    text = check(render_campaign_page(ledger, run.name)).text
    assert "590nm 8786 to 8942 8871 counts 90 % held nir 1124 to 1222 1300 counts 90 % NOT HELD" in text
    assert "; ".join(WORDS) in text


def test_who_watches_sees_them(ledger, run):
    console = Console(width=160)
    with console.capture() as result:
        console.print(draw_frame(campaign_detail(ledger, campaign_statuses(ledger, run.name)[0])))
    assert all(sentence in result.get() for sentence in WORDS)


def test_the_artifact_of_the_verdict_has_them(ledger, run):
    text = _verdict(ledger.entry(run.name), FINDING)
    assert "| 590nm | 8786 to 8942 | 8871 | 90 % held |" in text
    assert "| nir | 1124 to 1222 | 1300 | 90 % NOT HELD |" in text


def test_a_run_returns_them(ledger, run):
    (target,) = summarize_outcome(ledger, run.name)["targets"]
    assert target["free"] == WORDS


def test_a_finding_from_before_they_were_foretold_has_none():
    assert free_channels(Finding(1, "paper", Verdict.VERIFIED, "", CANDIDATE), {}) == []
