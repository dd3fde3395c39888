"""Several answers to one target: each verified by its own exam, of a family with a number, and an honest end."""

import json
import re
import tomllib

import numpy as np
import pytest
from places import ROOT
from problems import two_branches

from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl import plugins
from sdl.analysis.answer_count import concluding_verdict, count_answers
from sdl.campaign.definition import Campaign, Target
from sdl.errors import InvalidInput
from sdl.history import Finding, FindingFacts, Purpose, Verdict
from sdl.instruments.protocol import Patience
from sdl.instruments.simulated.base import Simulated
from sdl.instruments.simulated.robotic_arm import RoboticArm
from sdl.interchange import bundle_writer as bundle
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page
from sdl.space import Knob
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

MIRRORED = {"a": 0.25, "b": 0.5}
"""Where x is 0.25 and where it is 0.75."""


class Folded(Simulated):
    """Every reading has two settings, mirror images about the middle of x."""

    NAME = "folded"
    KNOBS = (Knob(name="x"), Knob(name="y"))
    CHANNELS = {"a": "V", "b": "V"}  # noqa: RUF012
    patience = Patience(attempts=1)

    def truth(self, settings):
        return two_branches(np.asarray(settings, float))

    def prior(self, n, rng):
        return rng.random((n, 2))


@pytest.fixture
def folded(monkeypatch):
    """Registers the instrument for one test."""
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Folded if name == "folded" else known(group, name))


def campaign(answers, **changes):
    target = {"name": "fold", "readings": MIRRORED, "tolerance": 0.02, "answers": answers}
    return {
        "name": "several",
        "seed": 1,
        "budget": 100,
        "instrument": {"plugin": "folded", "noise": 0.005},
        "targets": [target],
        "background": {"every": 0},
        **changes,
    }


def rehearsed(answers, **changes):
    instrument = Folded(seed=2, noise=0.005)
    rehearsal = Simulation(Plan(Campaign.parse(campaign(answers, **changes)), instrument.space), instrument)
    rehearsal.reason = rehearsal.run()
    return rehearsal


def passed(rehearsal):
    return [each for each in rehearsal.findings if each.verdict is Verdict.VERIFIED]


def test_both_answers_are_verified_each_by_an_exam_of_its_own():
    done = rehearsed(2)
    assert done.reason == "every target is settled"
    found = passed(done)
    assert sorted(float(each.settings[0]) for each in found) == pytest.approx([0.25, 0.75], abs=0.02)
    assert [each.facts.family for each in found] == [0, 1]
    assert [each.sentence.rpartition("; ")[2] for each in found] == ["of family 1", "of family 2"]
    for each in found:
        np.testing.assert_allclose(two_branches(each.settings[None])[0], [0.25, 0.5], atol=0.02)
        fresh = done.history.of_round(each.round, Purpose.VERIFICATION)
        assert len(fresh) == each.facts.replicates >= 2
        assert all(np.array_equal(one.settings, each.settings) for one in fresh)


def test_more_than_there_are_ends_with_what_was_found():
    done = rehearsed(3)
    last = done.findings[-1]
    assert len(passed(done)) == 2
    assert last.sentence == (
        "2 of 3 answers verified, of 2 families; no more, as no other settings are likely to give it"
    )
    assert last.settings is None
    assert last.settles
    assert len(done.observations) < 60


def test_all_there_are():
    done = rehearsed("all")
    assert len(passed(done)) == 2
    assert done.findings[-1].sentence.startswith("2 answers verified, of 2 families; no more, as")


def test_a_budget_that_is_spent_leaves_what_was_found():
    whole = len(rehearsed(2).observations)
    done = rehearsed(2, budget=whole - 1)
    assert len(passed(done)) == 1
    assert str(whole - 1) in done.reason


def test_exams_that_fail_count_from_the_last_one_that_was_passed():
    done = rehearsed(2, stop={"exams": 1}, targets=campaign(2)["targets"])
    sentence = done.findings[-1].sentence
    assert len(passed(done)) == 2 or sentence.endswith("no more, as none of 1 candidates passed its exam")


def test_a_process_that_forgets_everything_asks_for_the_same():
    class Forgetful(Plan):
        def next_step(self, history, fitted):
            return Plan(self.campaign, self.space).next_step(history, fitted)

    instrument = Folded(seed=2, noise=0.005)
    again = Simulation(Forgetful(Campaign.parse(campaign(2)), instrument.space), instrument)
    again.run()
    once = rehearsed(2)
    assert [each.key for each in again.observations] == [each.key for each in once.observations]
    np.testing.assert_array_equal([e.settings for e in again.observations], [e.settings for e in once.observations])


# ---------------------------------------------------------------------- what is written down and told


def test_one_answer_is_what_was_always_asked_for():
    without = {"readings": MIRRORED, "tolerance": 0.02}
    assert Target.model_validate({**without, "answers": 1}).model_dump() == Target.model_validate(without).model_dump()
    assert "answers" not in Target.model_validate(without).model_dump(mode="json")
    assert Target.model_validate({**without, "answers": "all"}).model_dump(mode="json")["answers"] == "all"


@pytest.mark.parametrize("answers", [0, 101, "every", True, 1.5])
def test_a_number_of_answers_that_makes_no_sense_is_a_fault(answers):
    with pytest.raises(InvalidInput, match=r"targets\.0\.answers: needs 'all' or a whole number from 1 to 100, got"):
        Campaign.parse(campaign(answers))


@pytest.mark.parametrize(
    ("answers", "verified", "verdict", "words"),
    [
        (2, 2, Verdict.VERIFIED, "2 of 2 answers verified, of 2 families"),
        (3, 1, Verdict.INCONCLUSIVE, "1 of 3 answers verified, of 1 family"),
        ("all", 1, Verdict.VERIFIED, "1 answer verified, of 1 family"),
    ],
)
def test_the_verdict_on_the_target_as_a_whole(answers, verified, verdict, words):
    target = Target.model_validate({"name": "t", "readings": MIRRORED, "answers": answers})
    found = [Finding(i, "t", Verdict.VERIFIED, "", np.zeros(2), FindingFacts(family=i)) for i in range(verified)]
    assert count_answers(target, found) == words
    assert concluding_verdict(target, found) == (verdict, words)
    closing = Finding(9, "t", Verdict.INCONCLUSIVE, f"{words}; no more, as nothing is left")
    assert concluding_verdict(target, [*found, closing]) == (verdict, closing.sentence)


def test_report_and_bundle_have_every_answer(folded, tmp_path, drive):
    where = str(tmp_path / "ledger.db")
    with open_session(campaign(2), tmp_path / "home", where) as session:
        outcome = drive(session)
    assert outcome["verified"]
    (target,) = outcome["targets"]
    assert target["sentence"] == "2 of 2 answers verified, of 2 families"
    assert [each["family"] for each in target["answers"]] == [1, 2]
    json.dumps(outcome)
    with Ledger(where) as ledger:
        page = render_campaign_page(ledger, "several")
        packed = bundle.write_bundle(ledger, "several", tmp_path / "several.zip")
    assert len(re.findall(r'<td class="n"[^>]*>2</td><td class="n"[^>]*>2</td>', page)) == 1
    assert "Answers of one family can be moved into each other" in page
    result = reproduce_bundle(packed)
    assert result["agrees"], "\n".join(summarise_reproduction(result))


def test_a_campaign_of_one_answer_tells_of_no_families(folded, tmp_path, drive):
    where = str(tmp_path / "ledger.db")
    with open_session(campaign(1), tmp_path / "home", where) as session:
        outcome = drive(session)
        history = session.history
    assert outcome["verified"]
    assert "answers" not in outcome["targets"][0]
    assert all(each.facts.family is None for each in (*history.rounds, *history.findings))


@pytest.mark.slow
def test_a_noisy_arm_ends_with_several_verified_answers():
    written = tomllib.loads((ROOT / "deployments" / "arm.toml").read_text(encoding="utf-8"))
    written["targets"][0]["answers"] = 2
    arm = RoboticArm(seed=0, noise=0.01)
    done = Simulation(Plan(Campaign.parse(written), arm.space), arm)
    assert done.run() == "every target is settled"
    one, other = passed(done)
    for each in (one, other):
        assert np.abs(arm.truth(each.settings[None])[0] - [1.6, 0.4]).max() <= 0.02
    apart = np.linalg.norm(arm.space.to_unit(one.settings[None]) - arm.space.to_unit(other.settings[None]))
    assert apart > 0.1, "one speaks for those within 0.15, as they were before the last correction"


class TwoSolvents(Simulated):
    """Both solvents give every reading, each at nearly the same settings."""

    NAME = "two solvents"
    KNOBS = (Knob(name="x"), Knob(name="solvent", values=("water", "ethanol")))
    CHANNELS = {"a": "V"}  # noqa: RUF012
    patience = Patience(attempts=1)

    def truth(self, settings):
        x, solvent = np.asarray(settings, float).T
        return (x + 0.02 * solvent)[:, None]

    def prior(self, n, rng):
        return self.space.from_unit(rng.random((n, 2)))


def test_answers_with_different_names_are_of_different_families_however_near_they_read():
    made = TwoSolvents(noise=0.005)
    target = {"name": "half", "readings": {"a": 0.5}, "tolerance": 0.02, "answers": 2}
    written = {"name": "any", "seed": 2, "budget": 80, "instrument": {"plugin": "twin"}, "targets": [target]}
    done = Simulation(Plan(Campaign.parse(written), made.space), made)
    assert done.run() == "every target is settled"
    one, other = passed(done)
    assert one.settings[1] != other.settings[1]
    assert one.facts.family != other.facts.family
