"""A campaign for the paper's target at work, stage by stage, for the tests of its report."""

import numpy as np

from sdl.analysis.group_sequential import plan_looks
from sdl.analysis.verification import verify_replicates
from sdl.campaign.definition import Campaign
from sdl.errors import InstrumentSilent
from sdl.history import Exam, Finding, Purpose, Request, Round, RoundFacts, RoundKind, State
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange.export_import import import_campaign
from sdl.measurement.bench import Bench
from sdl.reports.campaign_page import render_campaign_page
from sdl.space import Window

CHANNELS = ["445nm", "515nm", "630nm"]
WRITTEN = {
    "name": "The paper's target",
    "seed": 11,
    "instrument": "twin",
    "targets": [{"name": "paper", "readings": dict.fromkeys(CHANNELS, 16384), "tolerance": "2 %"}],
}
CANDIDATE = np.array([0.536, 0.248, 0.535])


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
        self.bench.measure([off, *planned])

    def design(self):
        self.round(Round(0, RoundKind.DESIGN), Purpose.DESIGN, np.random.default_rng(0).random((5, 3)))

    def learn(self):
        facts = {"model": "linear", "rows": 5, "uncertainty": dict.fromkeys(CHANNELS, 90.0), "chance of passing": 0.2}
        facts |= {"skipped": {"mixture": "needs 8 rows, got 5"}, "refused draws": 0.125}
        facts |= {"rivals": {"pls": {"foretold": 4, "outside": 2, "fell": "2000 times less likely"}, "<linear>": {}}}
        facts |= {"chosen": "kept, as <pls> is better by no clear margin", "held out": 12}
        facts |= {"scores": {"linear": {"readings": 0.0031, "settings": 0.0052}, "pls": {"readings": None}}}
        facts |= {"candidates": [{"settings": {"R": r}, "share": 0.5} for r in (0.1, 0.9)]}
        learning = Round(1, RoundKind.LEARNING, facts=RoundFacts.from_json(facts))
        self.round(learning, Purpose.LEARNING, [CANDIDATE, 0.9 * CANDIDATE])

    def examine(self):
        columns = self.space.columns(CHANNELS)
        uncertainty = {"445nm": 20.0, "515nm": float("nan"), "630nm": None}
        rows = {"measured": [[1, 2, 3], [4, None, 6.5]], "predicted": [[1, 2, 3], [5, 5, float("nan")]]}
        facts = {"model": "linear", "rows": 7, "uncertainty": uncertainty, "chance of passing": 0.93}
        facts |= {"parity": {"channels": CHANNELS, "train": rows, "test": rows}}
        nothing = np.full(self.space.p, np.nan)
        exam = Exam(2, "paper", CANDIDATE, "linear", 4, nothing, nothing, plan_looks(4, 0.95))
        round_ = Round(2, RoundKind.EXAM, "paper", RoundFacts.from_json(facts))
        self.round(round_, Purpose.VERIFICATION, [CANDIDATE] * 4, exam)
        seen = self.ledger.history(self.id).of_round(2, Purpose.VERIFICATION)
        result = verify_replicates(
            Window.about(np.full(3, 16384.0), np.full(3, 0.02 * 16384)),
            np.array([each.readings[columns] for each in seen]),
            censored=np.zeros((4, 3), bool),
            looks=plan_looks(4, 0.95),
            confidence=0.95,
            known_noise=self.space.noise[columns],
            names=CHANNELS,
        )
        facts = result.facts(CHANNELS, "linear", np.array([0.5, np.nan, 3.0]))
        self.ledger.find(self.lease, self.id, Finding(2, "paper", result.verdict, result.reason, CANDIDATE, facts))

    def finish(self):
        self.ledger.set_state(self.lease, self.id, State.FINISHED, "every target is settled")


STAGES = {
    "registered": [],
    "designed": [Run.design],
    "learning": [Run.design, Run.learn],
    "finished": [Run.design, Run.learn, Run.examine, Run.finish],
}


def survey_page(ledger, path, name):
    """The report of imported rows."""
    import_campaign(ledger, path, name)
    return render_campaign_page(ledger, name)
