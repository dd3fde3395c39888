"""The report: whole at every stage, and it tells what was found, in which light and why it ended."""

import json
import re
import stat

import pytest
from pages import check, svg
from stages import CANDIDATE, CHANNELS, STAGES, Flaky, Run

from sdl.analysis.model_card import model_cards
from sdl.errors import InvalidInput
from sdl.history import Finding, FindingFacts, Purpose, Request, Round, RoundKind, State, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange.export_import import import_campaign
from sdl.measurement.bench import Bench
from sdl.reports import campaign_summary
from sdl.reports.campaign_log import round_chapters
from sdl.reports.campaign_page import render_campaign_page, write_campaign_page
from sdl.reports.campaign_summary import CampaignSummary


@pytest.fixture
def run(ledger):
    instrument = Flaky(seed=1)
    with ledger.hold(instrument.identity, "test") as lease:
        yield Run(ledger, lease, instrument)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_whole_page(ledger, run, stage):
    for step in STAGES[stage]:
        step(run)
    page = check(render_campaign_page(ledger, run.name))
    pictures = {"registered": 1, "designed": 3, "learning": 4, "finished": 5}
    assert len(page.pictures) == pictures[stage]


@pytest.mark.fault("O-36")
@pytest.mark.parametrize(
    ("change", "word"), [({"colour": "mauve"}, "colour"), ({"budget": -1}, "budget"), ({"targets": [{}]}, "targets.0")]
)
def test_a_configuration_that_is_not_understood_is_said(ledger, run, change, word):
    for step in STAGES["finished"]:
        step(run)
    assert "does not understand" not in render_campaign_page(ledger, run.name)
    ledger.reconfigure(run.lease, ledger.entry(run.name).id, {**ledger.entry(run.name).config, **change})
    text = check(render_campaign_page(ledger, run.name)).text
    assert "This program does not understand all of the configuration" in text
    assert word in text[: text.index("Targets against measured")]
    assert "VERIFIED" in text


def test_a_finished_campaign_says_what_was_found_for_which_light_and_why_it_ended(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    text = check(render_campaign_page(ledger, run.name)).text
    assert text.index("FINISHED – every target is settled") < text.index("✓ VERIFIED") < text.index("Requests #")
    assert "1 of 1 target verified, 15 requests sent." in text
    assert "within the tolerance: 445nm" in text
    assert "R = 0.536 duty, G = 0.248 duty, B = 0.535 duty" in text
    assert "In a background of 445nm = 0.5 counts, 630nm = 3 counts" in text
    assert "16384 ± 328" in text
    assert "Model 'mixture' was skipped: needs 8 rows, got 5." in text
    assert "Rival 'pls' foretold 4 readings, 2 of them outside of its 99 % region, and fell: 2000 times less" in text
    assert "Rival '<linear>' foretold 0 readings" in text
    assert "Why this model: kept, as <pls> is better by no clear margin." in text
    assert "of settings, less is better: linear 0.0031 and 0.0052; pls – and –." in text
    assert "Chance that its candidate passes: 93 %." in text
    assert "share of its draws: R = 0.1 (50 %); R = 0.9 (50 %)." in text
    assert "12 % of its draws lay outside the box." in text
    assert "UNKNOWN" in text
    assert "no <b>answer</b> in time" in text
    assert "Seed 11" in text
    assert "python 3.11" in text
    assert '"tolerance": "2 %"' in text


def test_the_page_has_a_card_of_each_model_that_was_asked_folded(ledger, run):
    assert "No model was asked" in check(render_campaign_page(ledger, run.name)).text
    for step in STAGES["finished"]:
        step(run)
    html = render_campaign_page(ledger, run.name)
    text = check(html).text
    entry = ledger.entry(run.name)
    (card, *_) = cards = model_cards(entry, ledger.history(entry.id))
    assert {card.model for card in cards} == {"linear"}
    section = text[text.index("A card of each model") : text.index("Configuration and versions")]
    assert (
        f"linear model {card.words()['model']} data {card.words()['data']} domain {card.words()['domain']}" in section
    )
    assert f"calibration {card.words()['calibration']} limits" in section
    assert re.search(r'<section id="models">\s*<h2>Models</h2>\s*<details>', html)


def test_many_targets_are_a_table_before_each_is_told(ledger, run, monkeypatch):
    monkeypatch.setattr(campaign_summary, "MANY_TARGETS", 0)
    for step in STAGES["finished"]:
        step(run)
    page = check(render_campaign_page(ledger, run.name))
    assert "1 of 1 target verified, 15 requests sent, 15.0 a target." in page.text
    row = page.text[page.text.index("Target Verdict R (duty)") :]
    assert "Off, tolerances Readings paper VERIFIED 0.536 0.248 0.535 0." in row
    assert "5 Settings are those of the last candidate" in row, "four replicates and their reference"
    assert "9 more served all of them." in row
    assert page.text.index("Each target in full") < page.text.index("✓ VERIFIED")
    bars = [text for element in svg(page.pictures[0]).iter() if (text := element.text) and text.startswith("paper: ")]
    assert len(bars) == 1, "of many targets the figure has the worst channel alone"


def test_marks_of_a_figure_lie_where_they_are_drawn_and_say_which_request_they_are(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    page = check(render_campaign_page(ledger, run.name))
    *_, (background, picture) = [
        (json.loads(value), page.pictures[place])
        for value, place in zip(
            [value for _, name, value in page.attributes if name == "data-marks"], (2, 4), strict=True
        )
    ]
    _, _, wide, high = map(float, svg(picture).attrib["viewBox"].split())
    drawn = [
        (1e4 * float(each.attrib["x"]) / wide, 1e4 * float(each.attrib["y"]) / high)
        for each in svg(picture).iter("{http://www.w3.org/2000/svg}use")
    ]
    places = [place for each in background["at"] for place in zip(each[::2], each[1::2], strict=True)]
    assert len(places) == len(background["words"]) * len(CHANNELS)
    assert all(min(abs(x - a) + abs(y - b) for a, b in drawn) < 3 for x, y in places)
    assert background["words"][0].startswith("request 1, reference: R = 0 duty, G = 0 duty, B = 0 duty; read 445nm = ")


def test_scores_leave_out_what_is_not_known(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    text = check(render_campaign_page(ledger, run.name)).text
    assert "445nm (counts) train 2 0.778 0.5 0.7071" in text
    assert "515nm (counts) test 1 – 0 0" in text


def test_a_suspended_campaign_shows_its_reason_first(ledger, run):
    run.design()
    ledger.set_state(run.lease, run.id, State.SUSPENDED, "the lamp <is> \x1b[1mlit")
    assert (
        "SUSPENDED – the lamp <is> \\x1b[1mlit 0 of 1 target verified"
        in check(render_campaign_page(ledger, run.name)).text
    )


@pytest.mark.parametrize(
    ("findings", "shown"),
    [
        ([Finding(3, "paper", Verdict.INCONCLUSIVE, "given up: nothing helps")], "○ INCONCLUSIVE paper given up"),
        (
            [Finding(1, "paper", Verdict.NOT_REACHABLE, "no setting", CANDIDATE,
                     FindingFacts.from_json(
                         {"channels": CHANNELS, "readings": [1e4, 2e4, 3e4], "target": [2e4, "nan", 3e4],
                          "tolerance": [200, None, 300], "uncertainty": [1, 2, 3]}))],
            "✗ NOT REACHABLE paper no setting Nearest settings R = 0.536 duty, G = 0.248 duty, B = 0.535 duty "
            "Channel Wanted Expected there Unit 445nm 20000 ± 200 10000 counts 630nm",
        ),
        (
            [Finding(1, "by hand", Verdict.REFUTED, "off", CANDIDATE,
                     FindingFacts.from_json({"channels": ["clear"], "target": [6e4], "tolerance": [100.0],
                                             "mean": ["inf"], "margin": [5]}))],
            "✗ REFUTED by hand off Settings R = 0.536 duty, G = 0.248 duty, B = 0.535 duty "
            "Channel Wanted Measured mean Unit clear 60000 ± 100 ∞ counts",
        ),
    ],
    ids=["given up", "not reachable", "at the ceiling"],
)  # fmt: skip
def test_each_verdict_is_told(ledger, run, findings, shown):
    for finding in findings:
        ledger.find(run.lease, run.id, finding)
    assert shown in check(render_campaign_page(ledger, run.name)).text


def test_readings_by_hand_without_a_target(ledger, run):
    entry = ledger.register("hand", "twin-1", run.space, {"by": "hand"}, {}, title="By hand")
    request = Request(0, 0, 0, Purpose.BY_HAND, CANDIDATE)
    ledger.plan(run.lease, entry.id, Round(0, RoundKind.BY_HAND), [request])
    Bench(ledger, run.lease, entry.id, Twin(), 5).measure([request])
    text = check(render_campaign_page(ledger, "hand")).text
    assert "No target was set; 1 request sent." in text
    assert "415nm" in text


def test_an_imported_campaign_has_a_report(ledger, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"in": [0.1, 0.2, 0.3], "out": {"515nm": 9}, "time": None}))
    import_campaign(ledger, path, "imported")
    assert "No target was set" in check(render_campaign_page(ledger, "imported")).text


@pytest.mark.fault("I-18")
def test_the_background_is_shown_with_its_certainty_and_a_switched_lamp_is_named(ledger, run):
    run.design()
    run.bench.instrument.lamp = 1000.0
    run.learn()
    page = render_campaign_page(ledger, run.name)
    assert "within two standard deviations (bands, 95 %)" in page
    said = r"Between requests 1 and \d it changed at one stroke, as when a lamp is switched; what was read meanwhile"
    assert re.search(said, page)


def test_decisions_follow_the_rounds(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    ledger.find(run.lease, run.id, Finding(3, "paper", Verdict.INCONCLUSIVE, "given up: enough"))
    result = list(round_chapters(CampaignSummary.of(ledger, run.name)))
    assert [chapter.title for chapter in result] == [
        "Round 0: design",
        "Round 1: learning",
        "Round 2: exam of paper",
        "After round 2",
    ]
    assert result[0].paragraphs == ["Read: 1 reference, 5 design."]
    assert result[2].paragraphs[2].startswith("Candidate of the model 'linear' for at most 4 replicates: R = 0.536")
    assert result[3].paragraphs == ["paper: INCONCLUSIVE – given up: enough."]


# ---------------------------------------------------------------------- the file


def test_writing_replaces_the_earlier_report_and_keeps_it_private(ledger, run, tmp_path):
    path = tmp_path / "reports" / "report.html"
    first = write_campaign_page(ledger, run.name, path).read_text()
    run.design()
    assert write_campaign_page(ledger, run.name, path) == path
    assert path.read_text() == render_campaign_page(ledger, run.name) != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


@pytest.mark.fault("O-25")
def test_a_report_that_cannot_be_written_says_where(ledger, run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot make the folder .*file: "):
        write_campaign_page(ledger, run.name, tmp_path / "file" / "report.html")


def test_an_unknown_campaign_is_named_with_the_nearest(ledger, run):
    with pytest.raises(InvalidInput, match="did you mean 'the-paper-s-target'"):
        render_campaign_page(ledger, "the-papers-target")


def test_the_only_round_has_a_whole_number(ledger, run):
    for step in STAGES["learning"]:
        step(run)
    words = [each.text for each in svg(check(render_campaign_page(ledger, run.name)).pictures[2]).iter() if each.text]
    assert "chance that the candidate passes" in words
    numbers = words[words.index("round") - 9 : words.index("round")]
    assert not [each for each in numbers if re.fullmatch(r"0\.9\d+|1\.0\d+", each)], words
