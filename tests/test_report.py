"""The report: whole at every stage, safe whatever strangers wrote, and it loads nothing."""

import base64
import json
import re
import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from sdl import story
from sdl.campaign import Campaign
from sdl.errors import InstrumentSilent, InvalidInput
from sdl.exchange import import_
from sdl.history import Exam, Finding, Purpose, Request, Round, RoundKind, State, Verdict
from sdl.instruments.twin import Twin
from sdl.ledger import Ledger
from sdl.looks import looks
from sdl.measuring import Bench
from sdl.proceedings import chapters, requests
from sdl.report import render, write
from sdl.screening import Class
from sdl.space import Channel, Knob, Space
from sdl.story import Story
from sdl.text import visible
from sdl.verification import verify

SECTIONS = [
    "verdict",
    "targets",
    "parity",
    "data",
    "uncertainty",
    "background",
    "requests",
    "decisions",
    "configuration",
]
CHANNELS = ["445nm", "515nm", "630nm"]
WRITTEN = {
    "name": "The paper's target",
    "seed": 11,
    "instrument": "twin",
    "targets": [{"name": "paper", "readings": dict.fromkeys(CHANNELS, 16384), "tolerance": "2 %"}],
}
CANDIDATE = np.array([0.536, 0.248, 0.535])
HOSTILE = [
    "<script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "\x1b[31mred",
    "\u202etxet",
    "$\\frac{1}{0}$",
    '"><img src=//evil.example onerror=x>',
    "_\U0001f701",
    "a\x00b\nc",
]


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.ids, self.words, self.pictures = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        self.pictures += [value for name, value in attributes if (tag, name) == ("img", "src")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def svg(address):
    kind, content = address.split(",")
    assert kind == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(content))


def check(html, sections=SECTIONS):
    """The page has all its sections, and nothing in it runs or loads."""
    page = Page(html)
    assert page.ids == sections
    assert {"script", "iframe", "object", "embed", "link", "form", "base"}.isdisjoint(page.tags)
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "srcset", "style", "action", "background")
        assert name != "src" or (tag == "img" and value.startswith("data:image/"))
    assert "url(" not in html
    assert "@import" not in html
    for address in page.pictures:
        for element in svg(address).iter():
            assert not element.tag.endswith(("script", "foreignObject"))
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith(("#", "data:image/png;base64,"))
    return page


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


class Flaky(Twin):
    """A twin that leaves its third request unanswered."""

    asked = 0

    def measure(self, settings):
        self.asked += 1
        if self.asked == 3:
            raise InstrumentSilent("no <b>answer</b> in time", raw="\x1b[2Jhalf")
        return super().measure(settings)


class Run:
    """A campaign at work, step by step."""

    def __init__(self, ledger, lease, instrument):
        campaign = Campaign.parse(WRITTEN)
        config, versions = campaign.model_dump(mode="json"), {"sdl": "0.1.0", "python": "3.11"}
        self.ledger, self.lease, self.space = ledger, lease, instrument.space
        entry = ledger.register(campaign.slug, instrument.identity, self.space, config, versions, title=campaign.name)
        self.name, self.id = entry.name, entry.id
        self.bench = Bench(ledger, lease, self.id, instrument, 100, CHANNELS, sleep=lambda _: None)

    def round(self, round_, purpose, settings, exam=None):
        off = Request(round_.number, 0, 0, Purpose.REFERENCE, self.space.off)
        planned = [Request(round_.number, i, 0, purpose, row) for i, row in enumerate(settings, start=1)]
        self.ledger.plan(self.lease, self.id, round_, [off, *planned], exam)
        self.bench.take([off, *planned])

    def design(self):
        self.round(Round(0, RoundKind.DESIGN), Purpose.DESIGN, np.random.default_rng(0).random((5, 3)))

    def learn(self):
        facts = {"model": "linear", "rows": 5, "uncertainty": dict.fromkeys(CHANNELS, 90.0), "chance of passing": 0.2}
        facts |= {"skipped": {"mixture": "needs 8 rows, got 5"}, "refused draws": 0.125}
        facts |= {"chosen": "kept, as <pls> is better by no clear margin", "held out": 12}
        facts |= {"scores": {"linear": {"readings": 0.0031, "settings": 0.0052}, "pls": {"readings": None}}}
        facts |= {"candidates": [{"settings": {"R": r}, "share": 0.5} for r in (0.1, 0.9)]}
        self.round(Round(1, RoundKind.LEARNING, facts=facts), Purpose.LEARNING, [CANDIDATE, 0.9 * CANDIDATE])

    def examine(self):
        columns = self.space.columns(CHANNELS)
        uncertainty = {"445nm": 20.0, "515nm": float("nan"), "630nm": None}
        rows = {"measured": [[1, 2, 3], [4, None, 6.5]], "predicted": [[1, 2, 3], [5, 5, float("nan")]]}
        facts = {"model": "linear", "rows": 7, "uncertainty": uncertainty, "chance of passing": 0.93}
        facts |= {"parity": {"channels": CHANNELS, "train": rows, "test": rows}}
        nothing = np.full(self.space.p, np.nan)
        exam = Exam(2, "paper", CANDIDATE, "linear", 4, nothing, nothing, looks(4, 0.95))
        self.round(Round(2, RoundKind.EXAM, "paper", facts), Purpose.VERIFICATION, [CANDIDATE] * 4, exam)
        seen = self.ledger.history(self.id).of_round(2, Purpose.VERIFICATION)
        result = verify(
            np.full(3, 16384.0),
            np.full(3, 0.02 * 16384),
            np.array([each.readings[columns] for each in seen]),
            censored=np.zeros((4, 3), bool),
            looks=looks(4, 0.95),
            confidence=0.95,
            known_noise=self.space.noise[columns],
            names=CHANNELS,
        )
        facts = {"channels": CHANNELS, "model": "linear", **result.facts(), "background": np.array([0.5, np.nan, 3.0])}
        self.ledger.find(self.lease, self.id, Finding(2, "paper", result.verdict, result.reason, CANDIDATE, facts))

    def finish(self):
        self.ledger.set_state(self.lease, self.id, State.FINISHED, "every target is settled")


STAGES = {
    "registered": [],
    "designed": [Run.design],
    "learning": [Run.design, Run.learn],
    "finished": [Run.design, Run.learn, Run.examine, Run.finish],
}


@pytest.fixture
def run(ledger):
    instrument = Flaky(seed=1)
    with ledger.hold(instrument.identity, "test") as lease:
        yield Run(ledger, lease, instrument)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_whole_page(ledger, run, stage):
    for step in STAGES[stage]:
        step(run)
    page = check(render(ledger, run.name))
    pictures = {"registered": 1, "designed": 3, "learning": 4, "finished": 5}
    assert len(page.pictures) == pictures[stage]


def test_a_finished_campaign_says_what_was_found_for_which_light_and_why_it_ended(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    text = check(render(ledger, run.name)).text
    assert text.index("FINISHED – every target is settled") < text.index("✓ VERIFIED") < text.index("Requests #")
    assert "1 of 1 target verified, 15 requests sent." in text
    assert "within the tolerance: 445nm" in text
    assert "R = 0.536 duty, G = 0.248 duty, B = 0.535 duty" in text
    assert "In a background of 445nm = 0.5 counts, 630nm = 3 counts" in text
    assert "16384 ± 328" in text
    assert "Model 'mixture' was skipped: needs 8 rows, got 5." in text
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


def test_many_targets_are_a_table_before_each_is_told(ledger, run, monkeypatch):
    monkeypatch.setattr(story, "MANY", 0)
    for step in STAGES["finished"]:
        step(run)
    page = check(render(ledger, run.name))
    assert "1 of 1 target verified, 15 requests sent, 15.0 a target." in page.text
    row = page.text[page.text.index("Target Verdict R (duty)") :]
    assert "Off, tolerances Readings paper VERIFIED 0.536 0.248 0.535 0." in row
    assert "5 Settings are those of the last candidate" in row, "four replicates and their reference"
    assert "9 more served all of them." in row
    assert page.text.index("Each target in full") < page.text.index("✓ VERIFIED")
    bars = [text for element in svg(page.pictures[0]).iter() if (text := element.text) and text.startswith("paper: ")]
    assert len(bars) == 1, "of many targets the figure has the worst channel alone"


def test_scores_leave_out_what_is_not_known(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    text = check(render(ledger, run.name)).text
    assert "445nm (counts) train 2 0.778 0.5 0.7071" in text
    assert "515nm (counts) test 1 – 0 0" in text


def test_a_suspended_campaign_shows_its_reason_first(ledger, run):
    run.design()
    ledger.set_state(run.lease, run.id, State.SUSPENDED, "the lamp <is> \x1b[1mlit")
    assert "SUSPENDED – the lamp <is> \\x1b[1mlit 0 of 1 target verified" in check(render(ledger, run.name)).text


@pytest.mark.parametrize(
    ("findings", "shown"),
    [
        ([Finding(3, "paper", Verdict.INCONCLUSIVE, "given up: nothing helps")], "○ INCONCLUSIVE paper given up"),
        (
            [Finding(1, "paper", Verdict.NOT_REACHABLE, "no setting", CANDIDATE,
                     {"channels": CHANNELS, "readings": [1e4, 2e4, 3e4], "target": [2e4, "nan", 3e4],
                      "tolerance": [200, None, 300], "uncertainty": [1, 2, 3]})],
            "✗ NOT REACHABLE paper no setting Nearest settings R = 0.536 duty, G = 0.248 duty, B = 0.535 duty "
            "Channel Wanted Expected there Unit 445nm 20000 ± 200 10000 counts 630nm",
        ),
        (
            [Finding(1, "by hand", Verdict.REFUTED, "off", CANDIDATE,
                     {"channels": ["clear"], "target": [6e4], "tolerance": [100.0], "mean": ["inf"], "margin": [5]})],
            "✗ REFUTED by hand off Settings R = 0.536 duty, G = 0.248 duty, B = 0.535 duty "
            "Channel Wanted Measured mean Unit clear 60000 ± 100 ∞ counts",
        ),
    ],
    ids=["given up", "not reachable", "at the ceiling"],
)  # fmt: skip
def test_each_verdict_is_told(ledger, run, findings, shown):
    for finding in findings:
        ledger.find(run.lease, run.id, finding)
    assert shown in check(render(ledger, run.name)).text


def test_readings_by_hand_without_a_target(ledger, run):
    entry = ledger.register("hand", "twin-1", run.space, {"by": "hand"}, {}, title="By hand")
    request = Request(0, 0, 0, Purpose.BY_HAND, CANDIDATE)
    ledger.plan(run.lease, entry.id, Round(0, RoundKind.BY_HAND), [request])
    Bench(ledger, run.lease, entry.id, Twin(), 5).take([request])
    text = check(render(ledger, "hand")).text
    assert "No target was set; 1 request sent." in text
    assert "415nm" in text


@pytest.fixture
def hostile(ledger):
    """A campaign in which every string is somebody's trap."""
    space = Space(
        knobs=tuple(Knob(name=f"{trap}{i}", unit=trap) for i, trap in enumerate(HOSTILE[:3])),
        channels=tuple(Channel(name=trap, unit=trap, floor=None, integral=False) for trap in HOSTILE),
    )
    target = {"name": HOSTILE[0], "readings": dict.fromkeys(HOSTILE, 5.0)}
    config = {"name": "trap", "instrument": {"plugin": "twin", "note": HOSTILE}, "targets": [target]}
    rows = []
    for index, trap in enumerate(HOSTILE * 2):
        out = {name: trap if name == trap else float(index) for name in HOSTILE}
        row = {
            "round": 0,
            "index": index,
            "replicate": 0,
            "purpose": Purpose.REFERENCE,
            "settings": [0.0, 0.5, index / 20],
        }
        row |= {"attempt": 1, "state": "DONE", "reason": trap, "raw": trap, "applied": {}, "out": out, "seconds": None}
        verdict, readings = (Class.SUSPECT, None) if index % 2 else (Class.OK, [1e308, None, *map(float, range(6))])
        row |= {"verdict": verdict, "readings": readings, "censored": readings and [True] + [False] * 7}
        rows.append(row | {"sent_at": (1e300, -1e18, None)[index % 3], "done_at": None})
    entry = ledger.adopt("trap", HOSTILE[5], space, config, rows, title=HOSTILE[0])
    facts = {"model": HOSTILE[0], "why": HOSTILE[1], "skipped": {HOSTILE[2]: HOSTILE[5]}}
    facts |= {"chosen": HOSTILE[3], "scores": {HOSTILE[4]: {"readings": HOSTILE[5], "settings": None}}}
    facts |= {"uncertainty": dict.fromkeys(HOSTILE, 1.0), "chance of passing": None, "rows": HOSTILE[0]}
    numbers = [[1.0] * 8, [None] * 8]
    facts |= {"parity": {"channels": HOSTILE, "train": {"measured": numbers, "predicted": numbers}}}
    with ledger.hold(HOSTILE[5], "test") as lease:
        ledger.plan(lease, entry.id, Round(1, RoundKind.EXAM, HOSTILE[0], facts), [])
        facts = {
            "channels": HOSTILE,
            "target": [5.0] * 8,
            "tolerance": [0.1] * 8,
            "mean": [5.0] * 8,
            "margin": [0.01] * 8,
        }
        ledger.find(lease, entry.id, Finding(1, HOSTILE[0], Verdict.REFUTED, HOSTILE[5], np.zeros(3), facts))
    return "trap"


@pytest.mark.fault("N-05")
@pytest.mark.filterwarnings("error")
def test_nothing_that_strangers_wrote_runs_or_hides(ledger, hostile):
    html = render(ledger, hostile)
    page = check(html)
    assert len(page.pictures) == 5
    assert "{{7*7}}" in page.text
    assert "49{%" not in html
    assert "<script>alert(1)</script>" in page.text
    assert "\\x1b[31mred" in page.text
    assert "\\u202etxet" in page.text
    assert {"\x1b", "\u202e", "\x00"}.isdisjoint(html)
    for address in page.pictures:
        words = " ".join(svg(address).itertext())
        assert {"\x1b", "\u202e"}.isdisjoint(words)
    assert "$\\frac{1}{0}$" in " ".join(svg(page.pictures[0]).itertext())


def many(n):
    """A trail of n requests, one in fifty of no use."""
    rng = np.random.default_rng(0)
    for index in range(n):
        settings = rng.random(3)
        out = {name: int(50000 * settings @ rng.random(3) / 3) for name in Twin().space.channel_names}
        row = {"round": index // 20, "index": index, "replicate": 0, "attempt": 1, "settings": settings.tolist()}
        row |= {"purpose": Purpose.LEARNING, "state": "DONE", "reason": "", "raw": "", "applied": {}, "out": out}
        usable = index % 50 != 7
        row |= {"verdict": Class.OK if usable else Class.SUSPECT, "readings": list(out.values()) if usable else None}
        yield row | {
            "censored": [False] * 10 if usable else None,
            "sent_at": 1.7e9 + index,
            "done_at": None,
            "seconds": 1,
        }


def test_a_long_campaign_shows_its_ends_and_its_troubles(ledger):
    ledger.adopt("long", "twin", Twin().space, WRITTEN, list(many(1000)))
    story = Story.of(ledger, "long")
    table = requests(story)
    places = [row.place for row in table.rows]
    assert places == [*range(1, 101), *(p for p in range(101, 901) if p % 50 == 8), *range(901, 1001)]
    assert table.note.startswith("Of 1000 requests these are the first and last 100, and all 16 others")
    check(render(ledger, "long"))


def test_figures_of_a_very_long_campaign_are_thinned_and_say_so(ledger):
    ledger.adopt("longer", "twin", Twin().space, WRITTEN, list(many(2500)))
    page = check(render(ledger, "longer"))
    assert "Of 2450 readings 2000 are drawn, evenly from the first to the last." in page.text
    assert "Of 125 rounds" not in page.text
    assert "are drawn" not in check(render_of(ledger, 100)).text


def render_of(ledger, n):
    ledger.adopt(f"short-{n}", "twin", Twin().space, WRITTEN, list(many(n)))
    return render(ledger, f"short-{n}")


def test_of_very_many_rounds_the_ends_and_the_verdicts_are_told(ledger):
    ledger.adopt("rounds", "twin", Twin().space, WRITTEN, [row | {"round": row["index"]} for row in many(600)])
    told = list(chapters(Story.of(ledger, "rounds")))
    assert told[0].paragraphs == [
        "Of 600 rounds these are the first and last 100 and those with a verdict, 200 in all."
    ]
    assert [told[1].title, told[-1].title] == ["Round 0: imported", "Round 599: imported"]


def test_an_imported_campaign_has_a_report(ledger, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"in": [0.1, 0.2, 0.3], "out": {"515nm": 9}, "time": None}))
    import_(ledger, path, "imported")
    assert "No target was set" in check(render(ledger, "imported")).text


def test_decisions_follow_the_rounds(ledger, run):
    for step in STAGES["finished"]:
        step(run)
    ledger.find(run.lease, run.id, Finding(3, "paper", Verdict.INCONCLUSIVE, "given up: enough"))
    told = list(chapters(Story.of(ledger, run.name)))
    assert [chapter.title for chapter in told] == [
        "Round 0: design",
        "Round 1: learning",
        "Round 2: exam of paper",
        "After round 2",
    ]
    assert told[0].paragraphs == ["Read: 1 reference, 5 design."]
    assert told[2].paragraphs[2].startswith("Candidate of the model 'linear' for at most 4 replicates: R = 0.536")
    assert told[3].paragraphs == ["paper: INCONCLUSIVE – given up: enough."]


def test_writing_replaces_the_earlier_report_and_keeps_it_private(ledger, run, tmp_path):
    path = tmp_path / "reports" / "report.html"
    first = write(ledger, run.name, path).read_text()
    run.design()
    assert write(ledger, run.name, path) == path
    assert path.read_text() == render(ledger, run.name) != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


@pytest.mark.fault("O-25")
def test_a_report_that_cannot_be_written_says_where(ledger, run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"cannot make the folder .*file: "):
        write(ledger, run.name, tmp_path / "file" / "report.html")


def test_an_unknown_campaign_is_named_with_the_nearest(ledger, run):
    with pytest.raises(InvalidInput, match="did you mean 'the-paper-s-target'"):
        render(ledger, "the-papers-target")


def test_what_cannot_be_seen_is_written_out():
    assert visible("a\x7f\u200bb\ud800\u2028ü\n") == "a\\x7f\\u200bb\\ud800\\u2028ü\n"


@pytest.mark.fault("I-18")
def test_the_background_is_shown_with_its_certainty_and_a_switched_lamp_is_named(ledger, run):
    run.design()
    run.bench.instrument.lamp = 1000.0
    run.learn()
    page = render(ledger, run.name)
    assert "within two standard deviations (bands)" in page
    assert re.search(r"Between requests 1 and \d a lamp was switched; what was read meanwhile teaches no model", page)
