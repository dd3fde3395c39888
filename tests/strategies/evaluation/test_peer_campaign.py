"""A peer under our rules: the same exams, references and budget for everybody, and what it is told."""

from dataclasses import replace

import numpy as np
import pytest

from sdl import plugins
from sdl.history import Purpose, RoundKind, Verdict
from sdl.space import Interval, Space, Window
from strategies.evaluation.peer_campaign import PeerCampaign
from strategies.evaluation.peers.pls import HypercubePLS
from strategies.evaluation.peers.protocol import Aim, Seen
from strategies.evaluation.peers.random import AtRandom
from strategies.evaluation.scenarios import SCENARIOS
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.posterior.verdict import FEWEST

DARK = SCENARIOS["dark"]
OURS = None
"""In place of a peer: our own loop."""


def led(peer, seed=0, problem=DARK, budget=60):
    """A campaign that a peer led to its end, with all that befalls the instrument on the way."""
    twin, done = problem.build(1000 + seed), []

    def watch(observation):
        done.append(observation)
        problem.befall(twin, len(done))

    plan = Plan(problem.campaign(seed, budget), twin.space, led=peer is not OURS)
    campaign = Simulation(plan if peer is OURS else PeerCampaign(plan, "peer", peer), twin, watch)
    campaign.run()
    return campaign


def every(requests, problem=DARK):
    """The problem with references at a fixed distance."""
    return replace(problem, parts={"background": {"every": requests}})


class Knows:
    """A peer that knows the answer in the dark."""

    def design(self, d, rng):
        return np.zeros((0, d))

    def propose(self, seen, rng):
        return np.array([0.536, 0.248, 0.535])

    def lacks(self, space, window):
        return ""


def test_peers_registered_are_peers():
    from strategies.evaluation.peers.protocol import Peer

    assert {"random", "hypercube-pls"} <= set(plugins.names("sdl.peers"))
    assert isinstance(plugins.build("sdl.peers", "random"), Peer)
    assert RoundKind.DESIGN in {each.kind for each in led(HypercubePLS(), budget=12).rounds}


# ---------------------------------------------------------------------- exams


def test_who_knows_the_answer_pays_for_one_reading_and_one_exam():
    campaign = led(Knows())
    purposes = [each.purpose for each in campaign.observations]
    first = purposes.index(Purpose.VERIFICATION)
    assert purposes[:first].count(Purpose.LEARNING) >= 1
    assert [at for at, each in enumerate(purposes) if each is Purpose.REFERENCE] == [0]
    assert campaign.findings[-1].verdict is Verdict.VERIFIED
    assert len(campaign.observations) < 40


@pytest.mark.parametrize("seed", range(3))
def test_exams_are_judged_as_our_own_and_left_only_where_they_are_hopeless(seed):
    campaign = led(HypercubePLS(), seed)
    assert campaign.exams
    for exam, finding in zip(campaign.exams, campaign.findings, strict=True):
        taken = campaign.history.of_round(exam.round, Purpose.VERIFICATION)
        assert 1 <= len(taken) == finding.facts.replicates <= exam.replicates
        assert exam.model == "peer"
        assert np.isfinite(exam.background).sum() == 3
        if finding.verdict is Verdict.INCONCLUSIVE:
            why = finding.sentence.rpartition("; ")[2]
            assert why == "further readings are unlikely to bring it within"
        else:
            assert finding.facts.pooled >= FEWEST
    assert finding.verdict is Verdict.VERIFIED


def test_an_exam_of_a_fixed_number_takes_all_of_them():
    campaign = led(HypercubePLS(), problem=replace(DARK, parts={"verification": {"replicates": 5}}))
    assert campaign.findings[-1].verdict is Verdict.VERIFIED
    for exam in campaign.exams:
        assert len(campaign.history.of_round(exam.round, Purpose.VERIFICATION)) == exam.replicates == 5


@pytest.mark.parametrize("peer", [HypercubePLS(), Knows()])
def test_what_is_examined_was_proposed_since_it_was_last_examined(peer):
    for campaign in (led(peer, seed) for seed in range(3)):
        examined = {}
        for exam in campaign.exams:
            key = exam.settings.tobytes()
            rows = [each for each in campaign.observations if each.settings.tobytes() == key]
            proposed = [each.round for each in rows if each.purpose is not Purpose.VERIFICATION]
            assert any(examined.get(key, -1) < round_ < exam.round for round_ in proposed)
            examined[key] = exam.round


# ---------------------------------------------------------------------- references


def test_references_come_as_often_as_for_our_own_loop():
    campaign = led(AtRandom(), problem=every(10), budget=45)
    at = [each.seq for each in campaign.observations if each.purpose is Purpose.REFERENCE]
    assert at == [0, 11, 22, 33, 44]


def begun(campaign):
    """With how many references each exam was begun."""
    exams = (each.number for each in campaign.rounds if each.kind is RoundKind.EXAM)
    return [len(campaign.history.of_round(number, Purpose.REFERENCE)) for number in exams]


@pytest.mark.parametrize("leads", [OURS, HypercubePLS(), Knows()])
@pytest.mark.parametrize(("problem", "references"), [(DARK, 0), (every(4), 1)])
def test_an_exam_begins_with_a_reference_for_all_or_for_none(leads, problem, references):
    """In a steady light that is planned for nobody needs one; by a fixed cadence everybody pays for one."""
    for seed in range(3):
        found = begun(led(leads, seed, problem))
        assert found
        assert set(found) == {references}


# ---------------------------------------------------------------------- the budget


@pytest.mark.parametrize(("peer", "budget"), [(HypercubePLS(), 1), (HypercubePLS(), 7), (AtRandom(), 23)])
def test_nobody_sends_more_than_the_budget(peer, budget):
    assert len(led(peer, budget=budget).observations) == budget


def test_a_budget_may_end_in_an_exam_which_is_then_judged_by_what_it_has():
    ample = led(HypercubePLS())
    first = next(each.seq for each in ample.observations if each.round == ample.exams[0].round)
    short = led(HypercubePLS(), budget=first + 1)
    assert len(short.observations) == first + 1
    (finding,) = short.findings
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence.startswith("too few readings to judge by: ")
    assert finding.sentence.endswith("; the budget is spent")


def test_one_reading_is_too_little_for_an_exam_whatever_it_reads():
    """Of one row there is no posterior: what was proposed is read again."""
    campaign = led(Knows(), problem=every(0), budget=30)
    assert campaign.findings[-1].verdict is Verdict.VERIFIED
    first = next(number for number, each in enumerate(campaign.rounds) if each.kind is RoundKind.EXAM)
    assert first == 2


# ---------------------------------------------------------------------- what a peer is told


def test_a_peer_is_told_readings_without_their_background():
    result = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            result.append(seen)
            return np.zeros(3)

    led(Listens(), problem=replace(DARK, options={"steady": {"515nm": 4000.0}}), budget=9)
    assert np.abs(result[-1].readings).max() < 1000
    assert result[-1].window.wanted[1] == pytest.approx(16384 - 4000, abs=1000)


def test_a_peer_is_told_which_rows_have_an_unsure_background():
    """A lamp is switched on after the eighth request: what was read between the two references is known less well."""
    result = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            result.append(seen.noise[:, 1])
            return rng.random(3)

    stated = led(Listens(), problem=every(10, SCENARIOS["lamp"]), budget=20).plan.space.noise[3]
    walked = np.diff(result[5] ** 2, prepend=stated**2)  # what each request adds, by what is usual
    assert walked == pytest.approx(np.full(5, walked[0]))
    assert 0 < walked[0] < 0.01 * stated**2
    assert result[-1][5] > 3 * stated
    assert result[-1][5] > result[-1][0] > stated


def test_a_reading_at_the_ceiling_stands_there_for_a_peer():
    result = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            result.append(seen)
            return np.ones(3)

    led(Listens(), problem=replace(DARK, options={"steady": {"515nm": 9000.0}}), budget=6)
    assert np.isfinite(result[-1].readings).all()
    assert result[-1].readings[:, 1].max() == pytest.approx(65535 - 9000, abs=1000)


def test_distance_is_that_of_the_worst_channel():
    readings = np.array([[3.0, 10.0]])
    window = Window.about(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
    seen = Seen(Space.unit("x", channels=("a", "b")), np.zeros((1, 1)), readings, window, np.ones((1, 2)))
    assert seen.distance.tolist() == [3.0]


def test_sides_and_maxima_are_put_so_that_more_is_better_and_enough_is_nought():
    window = Window.of([Interval.at_least(2), Interval.at_most(2), Interval.smallest(0.1), Interval.about(2, 0.5)])
    readings = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    seen = Seen(Space.unit("x", channels="abcd"), np.zeros((2, 1)), readings, window, np.ones((2, 4)))
    assert seen.aims == [Aim.SIDE, Aim.SIDE, Aim.MOST, Aim.MATCH]
    assert seen.scores.tolist() == [[-0.5, 0.5, -0.5, -2.0], [0.5, -0.5, -1.5, 2.0]]


class Rises(AtRandom):
    """A peer that asks for more and more of every knob."""

    def propose(self, seen, rng):
        return np.minimum(seen.settings[-1] + 0.1, 1.0) if len(seen.settings) else np.zeros(3)


def test_a_setting_on_the_right_side_of_its_bound_is_examined():
    problem = replace(DARK, readings={"515nm": ">= 20000"}, tolerance=1.0)
    campaign = led(Rises(), problem=problem, budget=20)
    assert campaign.findings[-1].verdict is Verdict.VERIFIED


def test_nothing_is_examined_where_as_much_as_possible_is_wanted():
    problem = replace(DARK, readings={"515nm": "maximum ± 500"}, tolerance=1.0)
    campaign = led(Rises(), problem=problem, budget=15)
    assert not campaign.exams
    assert len(campaign.observations) == 15
