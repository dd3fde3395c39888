"""When a round learns instead of examining, from how many settings, and by whom they are chosen."""

from itertools import groupby

import numpy as np
import pytest
from rehearsing import NOT_REACHABLE, WHITE, rehearsed

from sdl import plugins
from sdl.history import Purpose, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.acquisitions.uncertainty import Uncertainty
from strategies.plan import learning_batch

OTHERS = [name for name in plugins.names("sdl.acquisitions") if name != "likeliest"]


def learned(done):
    """The settings of each learning round, in order."""
    numbers = [each.number for each in done.rounds if each.kind is RoundKind.LEARNING]
    return [np.array([each.settings for each in done.history.of_round(n, Purpose.LEARNING)]) for n in numbers]


def in_a_row(done):
    """How many learning rounds came after each other, each time."""
    kinds = groupby(each.kind for each in done.rounds)
    return [len(list(group)) for kind, group in kinds if kind is RoundKind.LEARNING]


def test_by_itself_a_campaign_learns_by_its_exams_alone():
    for done in (rehearsed(), rehearsed(NOT_REACHABLE), rehearsed(design={"n": 1})):
        assert {each.kind for each in done.rounds} == {RoundKind.DESIGN, RoundKind.EXAM}


@pytest.mark.parametrize("name", OTHERS)
def test_another_acquisition_is_asked_before_each_exam_that_may_fail(name):
    done = rehearsed(acquisition={"plugin": name, "n": 3, "rounds": 2, "below": 1.0}, budget=100)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    batches = learned(done)
    assert batches
    assert {each.facts.acquisition for each in done.rounds if each.kind is RoundKind.LEARNING} == {name}
    assert all(1 <= len(batch) <= 3 for batch in batches)
    assert max(in_a_row(done)) <= 2


def test_a_chance_that_suffices_is_taken():
    done = rehearsed(acquisition={"plugin": "random", "n": 2, "rounds": 5, "below": 0.5}, seed=3)
    facts = [(each.kind, each.facts.chance) for each in done.rounds[1:]]
    assert {kind for kind, chance in facts if chance >= 0.5} == {RoundKind.EXAM}
    assert {kind for kind, chance in facts if chance < 0.5} <= {RoundKind.LEARNING}
    assert not learned(rehearsed(acquisition={"plugin": "random", "below": 0.0}))


def test_no_rounds_for_learning_are_none():
    assert not learned(rehearsed(acquisition={"plugin": "random", "rounds": 0, "below": 1.0}))


def test_where_no_settings_give_the_target_readings_have_to_refute_the_nearest():
    done = rehearsed(NOT_REACHABLE, acquisition={"plugin": "random", "n": 1, "rounds": 50, "below": 1.0}, budget=60)
    assert done.findings[-1].verdict is Verdict.NOT_REACHABLE
    first = next(number for number, each in enumerate(done.rounds) if each.kind is RoundKind.EXAM)
    assert all(each.kind is RoundKind.EXAM for each in done.rounds[first:])


def test_without_a_model_an_ensemble_cannot_be_asked():
    done = rehearsed(
        acquisition={"plugin": "uncertainty", "below": 1.0}, models=["mixture"], design={"n": 1}, stop={"rounds": 1}
    )
    assert done.rounds[1].facts.model is None
    assert done.rounds[1].kind is RoundKind.EXAM


def test_the_last_requests_are_for_an_exam():
    done = rehearsed(acquisition={"plugin": "random", "n": 10, "rounds": 50, "below": 1.0}, budget=14)
    assert len(done.observations) == 14
    assert done.rounds[-1].kind is RoundKind.EXAM


@pytest.fixture
def told(monkeypatch):
    """What the acquisition that looks for uncertainty is told."""
    asked, propose = [], Uncertainty.propose

    def watched(self, *arguments):
        asked.append(arguments)
        return propose(self, *arguments)

    monkeypatch.setattr(Uncertainty, "propose", watched)
    return asked


def test_it_is_told_what_is_left_below_the_ceilings_in_the_light_of_the_moment(told):
    lit = Twin(seed=1, steady={"630nm": 2000.0})
    rehearsed(instrument=lit, acquisition={"plugin": "uncertainty", "below": 1.0}, budget=30)
    assert told[0][-1] == pytest.approx([65535, 65535, 63535], abs=300)


def test_it_is_told_of_all_open_targets(told):
    targets = [{"name": name, "readings": {"515nm": at}} for name, at in (("a", 9000), ("b", 15000), ("c", 20000))]
    done = rehearsed(targets=targets, acquisition={"plugin": "uncertainty", "rounds": 1, "below": 1.0}, budget=100)
    assert {each.verdict for each in done.findings if each.settles} == {Verdict.VERIFIED}
    numbers = [len(targets) for _, targets, *_ in told]
    assert numbers[0] == 3
    assert numbers == sorted(numbers, reverse=True)


class Measures:
    """An acquisition that asks the posterior: the middle of the box, for as long as it may."""

    def __init__(self):
        self.pursuits = []

    def propose_by(self, posterior, pursuits, n, rng):
        self.pursuits.append([pursuit.window.wanted.tolist() for pursuit in pursuits])
        return np.full((n, posterior.rows.settings.shape[1]), 0.5)


def test_one_that_asks_the_posterior_is_told_of_the_target_whose_turn_it_is_first(monkeypatch):
    mine, build = Measures(), plugins.build
    monkeypatch.setattr(
        learning_batch.plugins, "build", lambda group, *part: mine if "acquis" in group else build(group, *part)
    )
    targets = [{"name": "a", "readings": {"515nm": 9000}}, {"name": "b", "readings": WHITE}]
    done = rehearsed(targets=targets, acquisition={"n": 2, "below": 1.0}, budget=60)
    assert [len(batch) for batch in learned(done)] == [2] * len(learned(done))
    assert learned(done)
    assert np.ptp(np.vstack(learned(done)), axis=0).max() == 0
    for written, pursuits in zip([each for each in done.rounds if each.kind is RoundKind.LEARNING], mine.pursuits,
                                 strict=False):  # fmt: skip
        assert pursuits[0] == ([9000.0] if written.facts.target == "a" else [16384.0] * 3)
