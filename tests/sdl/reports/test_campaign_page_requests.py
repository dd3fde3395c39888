"""What stands beside each request of a report: conditions, the source or the well, notes; and very many channels."""

import json

import numpy as np
import pytest
from pages import check
from stages import Run, survey_page

from flows.engine.ask_and_tell import AskAndTell
from sdl.campaign.definition import Campaign
from sdl.history import Purpose, Request, Round, RoundFacts, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_log import request_rows
from sdl.reports.campaign_page import render_campaign_page
from sdl.reports.campaign_summary import CampaignSummary


def test_conditions_have_columns_of_their_own(ledger, tmp_path):
    rows = [{"in": {"a": i / 9}, "out": {"y": float(i)}, "cond": {"warmth": 20 + i / 8}} for i in range(9)]
    rows[4]["cond"]["warmth"] = None
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    page = check(survey_page(ledger, tmp_path / "rows.jsonl", "warm"))
    assert "Class a warmth y" in page.text
    shown = [row.values for row in request_rows(CampaignSummary.of(ledger, "warm")).rows]
    assert shown[3][1:] == ["20.38", "3"]
    assert shown[4][1:] == ["", "4"]


@pytest.fixture
def run(ledger):
    instrument = Twin(seed=1)
    with ledger.hold(instrument.identity, "test") as lease:
        yield Run(ledger, lease, instrument)


def test_a_reading_of_a_source_says_of_which(ledger, run):
    run.design()
    elsewhere = Round(1, RoundKind.SOURCE, facts=RoundFacts.from_json({"source": "the <old> lamp"}))
    asked = [Request(1, 1, 0, Purpose.SOURCE, np.full(3, 0.5))]
    ledger.plan(run.lease, run.id, elsewhere, asked)
    run.bench.measure(asked)
    assert "source, the <old> lamp" in check(render_campaign_page(ledger, run.name)).text


def test_notes_stand_below_their_readings_and_very_many_channels_are_folded(tmp_path):
    channels = [{"name": f"pixel {i}", "noise": 1.0} for i in range(60)]
    wanted = {each["name"]: 50.0 for each in channels}
    instrument = {"plugin": "by-hand", "knobs": [{"name": "a"}], "channels": channels}
    targets = [{"readings": wanted, "tolerance": 9.0}]
    campaign = Campaign.parse({"name": "pixels", "budget": 20, "targets": targets, "instrument": instrument})
    here, rng = AskAndTell(campaign, tmp_path), np.random.default_rng(0)
    while (samples := here.ask())[-1].request.purpose is not Purpose.VERIFICATION:  # whose request has no row yet
        here.tell([_read(sample, wanted, rng) for sample in samples])
    with Ledger(here.where) as book:
        page, rows = check(render_campaign_page(book, "pixels")), request_rows(CampaignSummary.of(book, "pixels")).rows
    assert page.text.count("noted: smelt of <almonds>") == len(rows)
    assert "neither drawn nor listed here, since there are too many: 48 of 60 channels" in page.text
    assert "All 60 channels" in page.text
    assert all(len(row.values) == 1 + 12 for row in rows)


def _read(sample, channels, rng):
    values = 100 * sample.request.settings[0] + rng.standard_normal(len(channels))
    readings = dict(zip(channels, values.tolist(), strict=True))
    return {"sample": sample.name, "readings": readings, "note": "smelt of <almonds>"}
