"""A campaign for a ratio and two sides, from its file to report, terminal, ledger and a bundle recomputed elsewhere."""

import json

import numpy as np
import pytest
from pages import check

from flows.engine.ask_and_tell import AskAndTell
from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle
from sdl.campaign.definition import Campaign
from sdl.formatting import format_number
from sdl.history import Purpose, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page
from sdl.reports.campaign_summary import CampaignSummary

WRITTEN = {
    "name": "sides",
    "seed": 1,
    "budget": 60,
    "instrument": {"plugin": "twin", "seed": 5},
    "quantities": {"ratio": "445nm / 630nm"},
    "targets": [
        {"name": "warm", "readings": {"ratio": "0.5 .. 0.55", "515nm": ">= 12000", "590nm": "<= 20000"}},
        {"name": "glare", "readings": {"ratio": ">= 500"}},
    ],
}
CHANNELS = ("445nm", "515nm", "590nm", "630nm")


@pytest.mark.slow
def test_a_ratio_and_two_sides_from_the_file_to_the_bundle(tmp_path, drive, sdl, home):
    where = str(home / "ledger.sqlite")
    with open_session(WRITTEN, home, where) as session:
        drive(session)
    with Ledger(where) as book:
        entry = book.entry("sides")
        history, summary = book.history(entry.id), CampaignSummary.of(book, "sides")
        page, bundle = check(render_campaign_page(book, "sides")), write_bundle(book, "sides", tmp_path / "sides.zip")
    found = history.concluded("warm")
    assert found.verdict is Verdict.VERIFIED
    assert found.facts.window[1].low == 12000
    truth = dict(zip(Twin(seed=5).space.channel_names, Twin(seed=5).truth(found.settings[None])[0], strict=True))
    assert 0.5 <= truth["445nm"] / truth["630nm"] <= 0.55
    assert truth["515nm"] >= 12000
    assert truth["590nm"] <= 20000
    assert history.concluded("glare").verdict is not Verdict.VERIFIED
    column = entry.space.channel_names.index("ratio")
    for observation in history.observations:
        if observation.purpose is Purpose.REFERENCE:
            assert np.isnan(observation.readings[column])
        else:
            named = entry.space.named_readings(observation.readings)
            assert named["ratio"] == pytest.approx(named["445nm"] / named["630nm"])
    lines = {line.channel: line for line in summary.results[0].lines}
    assert [str(lines[name].wanted) for name in ("ratio", "515nm")] == ["0.525 ± 0.025", "at least 12000"]
    assert "within the bounds: " in page.text
    assert "at least 12000" in page.text
    assert "at most 20000" in page.text
    assert format_number(history.observations[-1].readings[column]) in page.text
    assert reproduce_bundle(bundle)["agrees"]
    watched = sdl("watch", "sides", "--once").said
    assert "at least" in watched
    assert "VERIFIED warm: within the bounds" in watched
    result = sdl("status", "--json").json
    assert result[0]["verified"] == "1 of 2"
    assert "below" in json.dumps(found.facts.to_json())


def test_a_person_is_asked_for_what_is_measured_and_not_for_what_is_computed(tmp_path):
    by_hand = {
        "plugin": "by-hand",
        "knobs": [{"name": name} for name in ("dye", "acid")],
        "channels": [{"name": name, "floor": 0} for name in ("A450", "A650")],
    }
    written = {
        "name": "ratio",
        "budget": 40,
        "background": {"every": 0},
        "instrument": by_hand,
        "quantities": {"ratio": "A450 / A650"},
        "targets": [{"name": "mix", "readings": {"ratio": "1.9 .. 2.1", "A650": ">= 0.6"}}],
    }
    rng, here = np.random.default_rng(3), AskAndTell(Campaign.parse(written), tmp_path)
    for _ in range(40):
        if not (samples := here.ask()):
            break
        assert here.entry().space.measured.channel_names == ("A450", "A650")
        answers = []
        for sample in samples:
            dye, acid = sample.request.settings
            values = np.array([0.3 + 2.0 * dye, 0.4 + 0.5 * acid + 0.3 * dye]) + 0.01 * rng.standard_normal(2)
            answers.append(
                {"sample": sample.name, "readings": dict(zip(("A450", "A650"), values.tolist(), strict=True))}
            )
        assert not here.tell(answers).faults
    with Ledger(here.where) as book:
        found = book.history(book.entry("ratio").id).concluded("mix")
    assert found.verdict is Verdict.VERIFIED
    dye, acid = found.settings
    assert 1.9 <= (0.3 + 2.0 * dye) / (0.4 + 0.5 * acid + 0.3 * dye) <= 2.1


EXTREMES = {
    "name": "extremes",
    "budget": 60,
    "instrument": {"plugin": "twin", "seed": 5},
    "targets": [
        {"name": "brightest", "readings": {"515nm": "maximum ± 1500", "630nm": "<= 9000"}},
        {"name": "glare", "readings": {"clear": "maximum ± 500"}},
    ],
}


@pytest.mark.slow
def test_a_maximum_is_verified_and_one_beyond_the_ceiling_is_given_up(tmp_path, drive, home):
    where = str(home / "ledger.sqlite")
    with open_session(EXTREMES, home, where) as session:
        drive(session)
    with Ledger(where) as book:
        history = book.history(book.entry("extremes").id)
        page = check(render_campaign_page(book, "extremes"))
        bundle = write_bundle(book, "extremes", tmp_path / "extremes.zip")
    found, twin = history.concluded("brightest"), Twin(seed=5)
    assert found.verdict is Verdict.VERIFIED
    assert "no settings are expected to give 515nm by more than 1500 more" in found.sentence
    green, red = (twin.space.channel_names.index(name) for name in ("515nm", "630nm"))
    everywhere = twin.truth(twin.space.from_unit(np.random.default_rng(0).random((20000, 3))))
    best = everywhere[everywhere[:, red] <= 9000, green].max()
    true = twin.truth(found.settings[None])[0]
    assert true[green] >= best - 1500
    assert true[red] <= 9000
    assert found.sentence in page.text
    beyond = history.concluded("glare")
    assert beyond.verdict is Verdict.INCONCLUSIVE
    assert "beyond the ceiling of the sensor" in beyond.sentence
    assert reproduce_bundle(bundle)["agrees"]
