"""The back-test: the same rules for everybody, every request counted, verdicts held against the truth."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from flows import backtest_cells
from flows.backtest_cells import DIED, Cell
from flows.benchmarks import loop
from sdl import backtest_page, plugins
from sdl.errors import InvalidInput
from sdl.history import Purpose, RoundKind, Verdict
from sdl.looks import looks, single
from sdl.preparing import wanted
from sdl.verification import judge
from strategies import backtest
from strategies.exams import BEGUN
from strategies.fitting import fit
from strategies.guided import Guided
from strategies.interludes import Interludes
from strategies.peers.pls import HypercubePLS
from strategies.peers.protocol import Seen
from strategies.peers.random import AtRandom
from strategies.plan import Plan
from strategies.problems import PROBLEMS, posed
from strategies.rehearsal import Rehearsal
from strategies.standings import curve, interval, overlap, ranked, sentences, share, standing

DARK = PROBLEMS["dark"]
OURS = None
"""In place of a peer: our own loop."""


def led(peer, seed=0, problem=DARK, budget=60):
    """A campaign that a peer led to its end, with all that befalls the instrument on the way."""
    twin, done = problem.build(1000 + seed), []

    def watch(observation):
        done.append(observation)
        problem.befall(twin, len(done))

    plan = Plan(problem.campaign(seed, budget), twin.space)
    campaign = Rehearsal(plan if peer is OURS else Guided(plan, "peer", peer), twin, watch)
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


# ---------------------------------------------------------------------- the rules


def test_who_knows_the_answer_pays_for_one_reading_and_one_exam():
    campaign = led(Knows())
    purposes = [each.purpose for each in campaign.observations]
    first = purposes.index(Purpose.VERIFICATION)
    assert purposes[:first].count(Purpose.LEARNING) >= 1
    assert [at for at, each in enumerate(purposes) if each is Purpose.REFERENCE] == [0]
    assert campaign.findings[-1].verdict is Verdict.VERIFIED
    assert len(campaign.observations) < 40


@pytest.mark.parametrize("seed", range(3))
def test_exams_are_those_of_our_own_plan(seed):
    campaign = led(HypercubePLS(), seed)
    plan, rule = campaign.plan.plan, campaign.plan.campaign.verification
    assert campaign.exams
    for exam, finding in zip(campaign.exams, campaign.findings, strict=True):
        taken = campaign.history.of_round(exam.round, Purpose.VERIFICATION)
        assert BEGUN <= len(taken) <= exam.replicates
        assert exam.model == "peer"
        assert np.isfinite(exam.background).sum() == 3
        assert exam.looks == looks(exam.replicates, rule.confidence)
        target = wanted(plan.space, plan.campaign.targets[0])
        verdicts = [judge(exam, target, taken[: k + 1], rule, plan.space).verdict for k in range(len(taken))]
        assert verdicts[-1] is finding.verdict
        assert set(verdicts[BEGUN - 1 : -1]) <= {Verdict.INCONCLUSIVE}  # it ends as soon as it is decided
    assert finding.verdict is Verdict.VERIFIED
    assert len(taken) in [look.replicates for look in exam.looks]


def test_an_exam_of_a_fixed_number_takes_all_of_them():
    campaign = led(HypercubePLS(), problem=replace(DARK, parts={"verification": {"replicates": 5}}))
    assert campaign.findings[-1].verdict is Verdict.VERIFIED
    for exam in campaign.exams:
        assert len(campaign.history.of_round(exam.round, Purpose.VERIFICATION)) == exam.replicates == 5
        assert exam.looks == single(5, 0.95)


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


def test_a_reference_comes_before_an_exam_where_our_own_plan_would_read_one():
    wants = []
    campaign = led(HypercubePLS(), problem=replace(DARK, options={"daylight": 3000.0, "memory_h": 1.0}))
    plan = campaign.plan.plan
    for exam in campaign.exams:
        before = campaign.history.before(exam.round)
        insight = plan.insight(before, fit(plan.campaign.models, plan.space, plan.columns, before, exam.round))
        offer = insight.guide.offer(plan.space.to_unit(exam.settings))
        wants.append(insight.wants_reference(plan.targets[0], offer, plan.targets))
        assert not Interludes.after(plan.campaign, plan.space, before).due(exam.round, 0)
        assert len(campaign.history.of_round(exam.round, Purpose.REFERENCE)) == wants[-1]
    assert set(wants) == {False, True}


def test_a_peer_proposes_anew_where_the_reference_of_an_exam_shows_a_lamp():
    """It leaves the candidate within its tolerance, but what is known of that stands on another light."""
    campaign = led(Knows(), 1, replace(every(10), lamp=(4, 60.0)), budget=20)
    dropped = next(each for each in campaign.rounds if each.kind is RoundKind.EXAM)
    assert [each.purpose for each in campaign.observations if each.round == dropped.number] == [Purpose.REFERENCE]
    assert campaign.rounds[campaign.rounds.index(dropped) + 1].kind is RoundKind.LEARNING
    assert campaign.exams
    assert campaign.exams[0].round > dropped.number


@pytest.mark.parametrize(("peer", "budget"), [(HypercubePLS(), 1), (HypercubePLS(), 7), (AtRandom(), 23)])
def test_nobody_sends_more_than_the_budget(peer, budget):
    assert len(led(peer, budget=budget).observations) == budget


def test_a_budget_may_end_in_an_exam_but_no_exam_begins_with_less_than_its_first_look():
    """As for our own loop: an exam that could not be decided is not worth its requests."""
    ample = led(HypercubePLS())
    first = next(each.seq for each in ample.observations if each.round == ample.exams[0].round)
    least = ample.exams[0].looks[0].replicates
    enough, short = (led(HypercubePLS(), budget=first + least - lacks) for lacks in (0, 1))
    assert len(enough.exams) == 1
    assert len(enough.observations) <= first + least
    assert short.exams == []
    assert len(short.observations) == first


def test_a_peer_is_told_readings_without_their_background():
    told = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            told.append(seen)
            return np.zeros(3)

    led(Listens(), problem=replace(DARK, options={"steady": {"515nm": 4000.0}}), budget=9)
    assert np.abs(told[-1].readings).max() < 1000
    assert told[-1].target[1] == pytest.approx(16384 - 4000, abs=1000)


def test_a_peer_is_told_which_rows_have_an_unsure_background():
    """A lamp is switched on after the eighth request: what was read between the two references is known less well."""
    told = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            told.append(seen.noise[:, 1])
            return rng.random(3)

    stated = led(Listens(), problem=every(10, PROBLEMS["lamp"]), budget=20).plan.space.noise[3]
    walked = np.diff(told[5] ** 2, prepend=stated**2)  # what each request adds, by what is usual
    assert walked == pytest.approx(np.full(5, walked[0]))
    assert 0 < walked[0] < 0.01 * stated**2
    assert told[-1][5] > 3 * stated
    assert told[-1][5] > told[-1][0] > stated


def test_a_reading_at_the_ceiling_stands_there_for_a_peer():
    told = []

    class Listens(AtRandom):
        def propose(self, seen, rng):
            told.append(seen)
            return np.ones(3)

    led(Listens(), problem=replace(DARK, options={"steady": {"515nm": 9000.0}}), budget=6)
    assert np.isfinite(told[-1].readings).all()
    assert told[-1].readings[:, 1].max() == pytest.approx(65535 - 9000, abs=1000)


def test_distance_is_that_of_the_worst_channel():
    readings = np.array([[3.0, 10.0]])
    seen = Seen(np.zeros((1, 1)), readings, np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.ones((1, 2)))
    assert seen.distance.tolist() == [3.0]


# ---------------------------------------------------------------------- one cell


def test_a_run_depends_on_its_seed_alone():
    assert backtest.run(DARK, "hypercube-pls", 3, 60) == backtest.run(DARK, "hypercube-pls", 3, 60)
    assert backtest.run(DARK, "hypercube-pls", 3, 60) != backtest.run(DARK, "hypercube-pls", 4, 60)


def test_our_own_loop_runs_as_in_its_own_benchmark():
    fate = loop.rehearse(loop.PAPER, ("dark", 2))
    run = backtest.run(DARK, "sdl", 2, 100)
    assert (run.requests, run.verified, run.exams, run.false) == (fate.requests, fate.verified, fate.exams, fate.false)


def test_the_curve_ends_within_the_tolerance_where_the_verdict_is_true():
    run = backtest.run(DARK, "sdl", 1, 100)
    assert run.verified
    assert run.true
    assert len(run.curve) == run.requests
    assert run.curve[0] is None  # a reference comes first
    assert run.curve[1] > 5
    assert run.curve[-1] < 1.5


def test_who_never_gets_there_counts_the_whole_budget():
    run = backtest.run(DARK, "random", 0, 12)
    assert (run.requests, run.verified, run.true, run.exams) == (12, False, None, 0)


def test_a_lamp_is_switched_on_for_everybody_after_the_same_request():
    lit = []

    def watch(_):
        lit.append(campaign.instrument.lamp)
        problem.befall(campaign.instrument, len(lit))

    problem = PROBLEMS["lamp"]
    twin = problem.build(1)
    campaign = Rehearsal(Guided(Plan(problem.campaign(0, 12), twin.space), "peer", AtRandom()), twin, watch)
    campaign.run()
    assert lit == [0.0] * 8 + [2000.0] * 4


def test_leds_age_from_request_to_request():
    twin = PROBLEMS["ageing"].build(0)
    before = twin.truth(np.ones(3))
    for _ in range(30):
        twin.measure({"R": 0.5, "G": 0.5, "B": 0.5})
    assert 0.985 < (twin.truth(np.ones(3)) / before)[3] < 0.995


def test_every_problem_can_be_posed_or_says_why_not():
    for problem in posed():
        if problem.lacking:
            assert problem.name in problem.lacking
        else:
            campaign = problem.campaign(0, 10)
            assert Plan(campaign, problem.build(0).space).targets


def test_unknown_names_are_told():
    with pytest.raises(InvalidInput, match="unknown problem 'drak'; did you mean 'dark'"):
        posed(["drak"])
    with pytest.raises(InvalidInput, match="unknown strategy 'sld'; did you mean 'sdl'"):
        backtest.lacking("sld")
    with pytest.raises(InvalidInput, match="unknown strategy 'sdl:nothing'"):
        backtest.lacking("sdl:nothing")


# ---------------------------------------------------------------------- intervals and sentences


def test_shares_have_wilsons_interval():
    assert share(9, 10) == {
        "value": 0.9,
        "low": pytest.approx(0.5958, abs=1e-4),
        "high": pytest.approx(0.9821, abs=1e-4),
    }
    assert share(0, 0) == {"value": None, "low": None, "high": None}


def test_interval_of_the_median_holds_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = [interval(rng.exponential(1, 40).tolist(), np.median) for _ in range(200)]
    assert 0.88 <= np.mean([each["low"] <= np.log(2) <= each["high"] for each in held]) <= 0.99


def test_one_run_has_no_interval_and_can_be_told_from_nothing():
    alone = interval([7.0], np.median)
    assert alone == {"value": 7.0, "low": None, "high": None}
    assert overlap(alone, interval([90.0, 91.0], np.median))


def made(strategy, requests, budget=60):
    runs = [backtest.Run(n, n < budget, "ended", n < budget or None, 1, 1, 0, [None, 9.0, 0.5][:n]) for n in requests]
    return standing(strategy, dict(enumerate(runs)), 5)


def ended(requests):
    return backtest.Run(requests, True, "", True, 1, 1, 0, [1.0])


def test_strategies_are_compared_seed_by_seed():
    """Seeds differ by far more than the strategies do, and both have to have run them."""
    ours = {seed: ended(10 + 5 * seed) for seed in range(9)}
    other = {seed: ended(13 + 5 * seed) for seed in range(2, 12)}
    assert standing("other", other, 5, ours)["more"] == {"value": 3.0, "low": 3.0, "high": 3.0}
    assert standing("sdl", ours, 5)["more"] == {"value": None, "low": None, "high": None}


def test_sentences_say_who_wins_and_whether_that_is_certain():
    ours, near, far = made("sdl", range(10, 30)), made("near", range(11, 31)), made("far", range(40, 60))
    said = " ".join(sentences(ranked([far, near, ours]), 60))
    assert "Our own loop needs the fewest requests: 19.5" in said
    assert "overlaps with that of near" in said
    assert "better than far by intervals that do not overlap" in said


def test_sentences_say_that_a_peer_wins():
    said = " ".join(sentences(ranked([made("sdl", range(40, 60)), made("peer", range(10, 30))]), 60))
    assert "peer needs the fewest requests" in said
    assert "A peer is ahead here: our own loop needs 49.5" in said
    assert "is clearly behind" in said


def test_sentences_say_that_nobody_gets_there():
    assert sentences(ranked([made("sdl", [60, 60])]), 60) == [
        "No strategy is VERIFIED within 60 requests in the median."
    ]


def test_learning_curve_begins_when_all_have_begun_and_stays_where_a_run_ended():
    found = curve([[None, 8.0, 2.0], [None, None, 4.0, 4.0]], 5)
    assert found["median"] == [None, None, 3.0, 3.0, 3.0]


# ---------------------------------------------------------------------- cells


@pytest.fixture
def in_this_process(monkeypatch):
    """For what is claimed of the file alone: a process of its own takes seconds to begin."""
    monkeypatch.setattr(backtest_cells, "_pool", ThreadPoolExecutor)


@pytest.mark.usefixtures("in_this_process")
def test_cells_are_run_once(tmp_path):
    cells, told = [Cell(DARK, "random", seed, 8) for seed in range(3)], []
    first = backtest_cells.run(cells[:2], tmp_path / "cells.jsonl", 1, told.append)
    again = backtest_cells.run(cells, tmp_path / "cells.jsonl", 1, told.append)
    assert [each.cell.seed for each in told] == [0, 1, 2]
    assert [each.run for each in again[:2]] == [each.run for each in first]


def test_another_question_is_another_cell():
    keys = {Cell(DARK, "random", 0, 8).key, Cell(DARK, "random", 0, 9).key, Cell(DARK, "random", 0, 8, "2 %").key}
    assert len(keys | {Cell(replace(DARK, lamp=(3, 1.0)), "random", 0, 8).key}) == 4


@pytest.mark.usefixtures("in_this_process")
def test_a_line_cut_off_by_a_kill_is_run_again(tmp_path):
    cells, told = [Cell(DARK, "random", seed, 8) for seed in range(2)], []
    file = tmp_path / "cells.jsonl"
    backtest_cells.run(cells, file, 1, lambda _: None)
    whole = file.read_text()
    file.write_text(whole[:-40])
    backtest_cells.run(cells, file, 1, told.append)
    assert [each.cell.seed for each in told] == [1]
    backtest_cells.run(cells, file, 1, told.append)
    assert len(told) == 1


@pytest.mark.usefixtures("in_this_process")
def test_a_cell_that_crashes_says_so_and_is_run_again(tmp_path, monkeypatch):
    def breaks(*_):
        raise RuntimeError("no such\nthing")

    with monkeypatch.context() as patch:
        patch.setattr(backtest, "run", breaks)
        ended = backtest_cells.attempt(Cell(DARK, "random", 0, 8))
    assert (ended.run, ended.error) == (None, "RuntimeError: no such thing")
    file = tmp_path / "cells.jsonl"
    file.write_text(ended.line())
    assert backtest_cells.run([ended.cell], file, 1, lambda _: None)[0].run is not None


def _dies(cell):
    if cell.seed == 1:
        os._exit(9)
    return backtest_cells.Ended(cell, backtest.Run(1, True, "", True, 1, 1, 0, []), "", 0.0)


@pytest.mark.slow
def test_a_process_that_dies_takes_one_cell_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(backtest_cells, "attempt", _dies)
    cells = [Cell(DARK, "random", seed, 8) for seed in range(3)]
    ended = backtest_cells.run(cells, tmp_path / "cells.jsonl", 1, lambda _: None)
    assert [each.error for each in ended] == ["", DIED, ""]


# ---------------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    from flows import backtesting

    folder = tmp_path_factory.mktemp("backtest")
    names = ("sdl", "random", "hypercube-pls")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtest_cells, "_pool", ThreadPoolExecutor)
        return backtesting.study(folder, problems=["dark"], strategies=names, seeds=2), folder


def test_result_is_plain_data_with_every_run(studied):
    result, folder = studied
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result, allow_nan=False))
    assert len(result["runs"]) == 6
    assert {each["strategy"] for each in result["problems"][0]["strategies"]} == {"sdl", "random", "hypercube-pls"}
    assert result["problems"][0]["strategies"][-1]["strategy"] == "random"


def test_page_holds_all_it_shows(studied):
    page = (studied[1] / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.count("data:image/svg+xml") == 2
    for words in ("hypercube-pls", "Every request counts", "needs the fewest requests"):
        assert words in page


def test_what_was_run_is_shown_without_a_run(studied):
    from flows import backtesting

    told = []
    result = backtesting.study(
        studied[1], problems=["dark"], strategies=["sdl", "random"], seeds=5, show=True, tell=told.append
    )
    assert not told
    assert [each["runs"] for each in result["problems"][0]["strategies"]] == [2, 2]


def test_page_says_what_crashed_and_what_is_left_out(studied):
    result = {**studied[0], "notes": ["<b>peer</b> on dark, seed 0, crashed: no memory"], "problems": []}
    page = backtest_page.render(result)
    assert "&lt;b&gt;peer&lt;/b&gt; on dark, seed 0, crashed: no memory" in page


def test_command_tells_every_wrong_name_at_once(sdl):
    told = sdl("backtest", "--problem", "drak", "--strategy", "sld", "--tolerance", "1 %")
    assert told.code == 2
    assert "unknown problem 'drak'" in told.said
    assert "unknown strategy 'sld'" in told.said


def test_command_refuses_what_is_no_tolerance(sdl):
    told = sdl("backtest", "--problem", "dark", "--strategy", "random", "--tolerance", "soon")
    assert told.code == 2
    assert "'1 %'" in told.said


def test_command_shows_a_table_and_where_the_page_is(sdl, home):
    words = ("backtest", "--problem", "dark", "--strategy", "random", "--seeds", 1, "--budget", 8)
    told = sdl(*words)
    assert told.code == 0
    assert "No strategy is VERIFIED within 8 requests" in told.said
    assert str(home / "backtest" / "index.html") in told.out.replace("\n", "")
    again = sdl(*words, "--json").json
    assert again["problems"][0]["strategies"][0]["median"]["value"] == 8


def test_peers_registered_are_peers():
    from strategies.peers.protocol import Peer

    assert {"random", "hypercube-pls"} <= set(plugins.names("sdl.peers"))
    assert isinstance(plugins.build("sdl.peers", "random"), Peer)
    assert RoundKind.DESIGN in {each.kind for each in led(HypercubePLS(), budget=12).rounds}
