"""Campaigns that start from what earlier ones taught."""

import numpy as np
import pytest

from flows.benchmarks.decisions import loop
from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle
from sdl.analysis.lesson_learning import learn_lesson
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import Purpose, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange import bundle_writer as bundle
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit

DAYLIGHT = {"daylight": 1500.0, "memory_h": 1.0}
PAPER = loop.PAPER | {"design": "one-by-one"}


def rehearsed(twin, lessons=(), **changes):
    written = PAPER | changes | ({"history": {"lessons": list(lessons)}} if lessons else {})
    rehearsal = Simulation(Plan(Campaign.parse(written), twin.space), twin)
    rehearsal.run()
    return rehearsal


@pytest.fixture(scope="module")
def monday():
    """What a cold campaign in another light taught."""
    twin = Twin(seed=5000, daylight="dark")
    return learn_lesson("monday", twin.identity, twin.space, rehearsed(twin).observations, same=True)


def verified(rehearsal):
    return any(finding.verdict is Verdict.VERIFIED for finding in rehearsal.findings)


def likeness(rehearsal):
    """What was made of the lesson last."""
    return [each.facts.history for each in rehearsal.rounds if each.facts.history][-1]


def purposes(rehearsal):
    return {each.purpose for each in rehearsal.observations}


# ---------------------------------------------------------------------- lessons


def test_a_lesson_has_the_readings_without_their_background(monday):
    twin = Twin(seed=5000, daylight="dark")
    settings, readings, errors = monday.arrays(twin.space, ["445nm", "515nm", "630nm"])
    true = (twin.truth(settings) - twin.truth(np.zeros(3)))[:, [1, 3, 6]]
    assert (np.abs(readings - true) < 4 * errors).all()
    assert (errors[-1] < errors[0]).all()  # more replicates


def test_a_channel_that_it_lacks_is_not_known(monday):
    _, readings, errors = monday.arrays(Twin().space, ["515nm", "infrared"])
    assert np.isfinite(readings[:, 0]).all()
    assert np.isnan(readings[:, 1]).all()
    assert np.isnan(errors[:, 1]).all()


def test_references_alone_teach_nothing():
    twin = Twin(seed=1)
    dark = [each for each in rehearsed(twin).observations if each.purpose is Purpose.REFERENCE]
    assert learn_lesson("dark", "twin", twin.space, dark, same=True) is None


# ---------------------------------------------------------------------- campaigns


def test_the_same_instrument_needs_no_design(monday):
    campaign = rehearsed(Twin(seed=1002, **DAYLIGHT), [monday], seed=2)
    assert verified(campaign)
    assert Purpose.DESIGN not in purposes(campaign)
    assert likeness(campaign).campaign == "monday"
    assert likeness(campaign).kind == "the same"


def test_another_instrument_of_the_kind_is_told_by_its_first_reading(monday):
    other = monday.model_copy(update={"same": False})
    campaign = rehearsed(Twin(seed=1003, unit=4), [other], seed=3)
    assert verified(campaign)
    assert Purpose.DESIGN not in purposes(campaign)
    assert likeness(campaign).kind == "of its kind"
    assert 0.03 < likeness(campaign).distances["monday"] < 0.3


@pytest.mark.parametrize("same", [True, False])
def test_history_of_something_else_is_dropped_and_no_hindrance(same):
    twin = loop._Swapped(seed=5001)
    odd = learn_lesson("odd", "twin", twin.space, rehearsed(twin).observations, same=same)
    campaign = rehearsed(Twin(seed=1001), [odd], seed=1)
    assert verified(campaign)
    assert likeness(campaign).campaign is None
    assert likeness(campaign).distances["odd"] > 0.3


def test_rows_of_one_channel_alone_sharpen_what_is_expected_of_it(monday):
    alone = tuple((*(None,) * 3, row[3], *(None,) * 6) for row in monday.readings)
    partial = monday.model_copy(update={"readings": alone})
    plan, cold = (
        Plan(Campaign.parse(PAPER | ({"history": {"lessons": lessons}} if lessons else {})), Twin().space)
        for lessons in ([partial], None)
    )
    campaign = Simulation(cold, Twin(seed=1000))
    campaign._begin(cold.next_step(campaign.history, None))
    sure, places = [], np.random.default_rng(0).random((50, 3))
    for each in (plan, cold):
        insight = each.insight(campaign.history, each.fit(Fit(1, 1), campaign.history))
        sure.append(insight.posterior.at(places)[1].mean(axis=0))
    assert sure[0][1] < 0.7 * sure[1][1]
    assert sure[0][[0, 2]] == pytest.approx(sure[1][[0, 2]], rel=0.3)


def test_a_lesson_of_one_channel_alone_is_made_up_for_by_the_design(monday):
    """Of the channels that it lacks there is the background alone, which is too little for a posterior."""
    alone = tuple((*(None,) * 3, row[3], *(None,) * 6) for row in monday.readings)
    campaign = rehearsed(Twin(seed=1000), [monday.model_copy(update={"readings": alone})])
    assert verified(campaign)
    assert Purpose.DESIGN in purposes(campaign)


def test_nothing_is_called_unreachable_on_what_others_read_alone(monday):
    target = [{"readings": {"445nm": 60000, "630nm": 10000}, "tolerance": "1 %"}]
    campaign = rehearsed(Twin(seed=1000), [monday], targets=target)
    assert campaign.findings[-1].verdict is Verdict.NOT_REACHABLE
    assert any(each.verdict is Verdict.REFUTED for each in campaign.findings)


# ---------------------------------------------------------------------- in the ledger


def written(name, seed, **more):
    return PAPER | {"name": name, "instrument": {"plugin": "twin", "seed": seed, **DAYLIGHT}} | more


def test_lessons_are_frozen_reproduced_and_told(drive, tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    with open_session(written("monday", 1), tmp_path, where) as session:
        drive(session)
    tuesday = written("tuesday", 1, history={"campaigns": ["monday"]})
    with open_session(tuesday, tmp_path, where) as session:
        session.execute(session.propose())  # the background; then its process ends
        frozen = session.campaign.lessons
    assert [(each.campaign, each.same) for each in frozen] == [("monday", True)]
    with open_session(written("wednesday", 1), tmp_path, where) as session:
        drive(session)  # comes too late for Tuesday
    with open_session(tuesday, tmp_path, where) as session:
        assert session.campaign.lessons == frozen
        drive(session)
    with Ledger(where) as book:
        assert "Nearest earlier campaign: &#39;monday&#39;" in render_campaign_page(book, "tuesday")
        assert reproduce_bundle(bundle.write_bundle(book, "tuesday", tmp_path / "tuesday.zip"))["agrees"]


def test_earlier_campaigns_that_are_not_there_are_all_refused_before_anything_is_measured(tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    history = {"campaigns": ["monday", "sunday"]}
    with pytest.raises(InvalidInput) as caught, open_session(written("tuesday", 1, history=history), tmp_path, where):
        pass
    assert len(caught.value.faults) == 2
    with Ledger(where) as book:
        assert book.entries() == []
    nowhere = written("tuesday", 1, history={"ledger": str(tmp_path / "nowhere.db")})
    with pytest.raises(InvalidInput, match="there is no file"), open_session(nowhere, tmp_path, where):
        pass


@pytest.mark.parametrize("named", ["al", [], [1], 3])
def test_names_of_earlier_campaigns_are_a_list_or_the_word_for_all(named):
    with pytest.raises(InvalidInput) as caught:
        Campaign.parse(written("tuesday", 1, history={"campaigns": named}))
    (fault,) = caught.value.faults
    assert fault.startswith("history.campaigns: needs 'all' or a list of names, got")


def test_without_earlier_campaigns_all_is_a_cold_start(drive, tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    with open_session(written("first", 1, history={"campaigns": "all"}), tmp_path, where) as session:
        drive(session)
        asked = [(each.purpose, each.settings.tolist()) for each in session.history.observations]
    cold = rehearsed(Twin(seed=1, **DAYLIGHT)).observations
    assert asked == [(each.purpose, each.settings.tolist()) for each in cold]


def gappy(lesson, seed):
    """The same with half of the cells of the channels of the target missing, and none of its rows whole."""
    rng, at = np.random.default_rng(seed), [lesson.channels.index(name) for name in ("445nm", "515nm", "630nm")]
    lost = np.zeros((len(lesson.readings), len(lesson.channels)), bool)
    for row in lost:
        row[rng.choice(at, rng.integers(1, 3), replace=False)] = True
    return lesson.model_copy(
        update={
            part: tuple(
                tuple(None if missing else value for value, missing in zip(row, gone, strict=True))
                for row, gone in zip(getattr(lesson, part), lost, strict=True)
            )
            for part in ("readings", "errors")
        }
    )


def test_rows_with_gaps_of_an_earlier_campaign_teach_a_model_that_learns_from_them(monday):
    twin = Twin(seed=1002, **DAYLIGHT)
    plan = Plan(
        Campaign.parse(PAPER | {"models": ["any-conditional"], "history": {"lessons": [gappy(monday, 0)]}}), twin.space
    )
    rehearsal = Simulation(plan, twin)
    rehearsal.run()
    assert verified(rehearsal)
    fitted = plan.fit(Fit(99, 99), rehearsal.history)
    assert fitted.name == "any-conditional"
    assert fitted.translated == 0  # no row is whole
    assert len(fitted.partial.settings) == len(monday.settings)
    assert len(fitted.taught[0]) == len(fitted.settings) + len(monday.settings)
    cold = rehearsed(Twin(seed=1002, **DAYLIGHT), models=["any-conditional"])
    assert len(rehearsal.observations) < len(cold.observations)
