"""The loop, rehearsed on the twin: what comes of a campaign, and when it is given up."""

import re

import numpy as np
import pytest
from rehearsing import NOT_REACHABLE, SETTLED, WHITE, rehearsed

from sdl.errors import InvalidInput
from sdl.history import Purpose, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Space


@pytest.mark.parametrize(
    ("daylight", "seed"),
    [("dark", 1), ("dark", 2), (1000.0, 1), (1000.0, 2), ("hours", 3), ("hours", 6)],
)
def test_a_reachable_target_is_verified_in_any_light(daylight, seed):
    twin = Twin(seed=seed, daylight=daylight)
    done = rehearsed(instrument=twin, seed=seed, budget=200)
    assert done.reason == SETTLED
    last = done.findings[-1]
    assert last.verdict is Verdict.VERIFIED
    off = twin.truth(last.settings) - twin.space.readings(WHITE)
    assert np.nanmax(np.abs(off)) < 1.5 * 163.84, "the light moves on while it is examined"


@pytest.mark.parametrize("models", [["linear"], ["mixture"], ["pls"], ["mixture", "linear"]], ids=str)
def test_any_model_gets_there(models):
    assert rehearsed(models=models, budget=200).findings[-1].verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("design", "n"),
    [
        ("latin-hypercube", 5),
        ("random", 5),
        ({"plugin": "sobol", "n": 2}, 2),
        ("full-factorial", 27),
        ("box-behnken", 13),
        ({"plugin": "full-factorial", "levels": 2, "n": 8}, 8),
    ],
    ids=str,
)
def test_any_design_gets_there(design, n):
    done = rehearsed(design=design, budget=200)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.history.of_round(0, Purpose.DESIGN)) == n


def test_a_number_that_a_design_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match="has 27 points, got n=8: give n=27 or leave it out"):
        rehearsed(design={"plugin": "full-factorial", "n": 8})


@pytest.mark.fault("M-01")
@pytest.mark.parametrize("changes", [{}, {"models": ["mixture"]}], ids=["no model", "a model of many rows"])
def test_too_few_rows_for_any_model_are_no_hindrance(changes):
    done = rehearsed(design={"n": 1}, budget=100, **changes)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    first = done.rounds[1]
    assert first.kind is RoundKind.EXAM
    assert first.facts.model is None
    assert done.exams[0].model == "posterior"


@pytest.mark.fault("M-01")
def test_a_single_reading_is_followed_by_another_somewhere_else():
    done = rehearsed(design={"n": 1}, background={"every": 0}, budget=100)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert done.rounds[1].kind is RoundKind.LEARNING
    assert done.rounds[1].facts.why == "too few readings to begin with"
    assert rehearsed(design={"n": 1}, background={"every": 0}, budget=1).reason.startswith("all 1 requests")


def test_two_targets_fix_different_channels():
    targets = [{"name": "a", "readings": {"445nm": 16384, "515nm": 16384}}, {"name": "b", "readings": {"630nm": 9000}}]
    done = rehearsed(targets=targets, budget=200)
    assert done.reason == SETTLED
    assert {(f.target, f.verdict) for f in done.findings if f.settles} == {
        ("a", Verdict.VERIFIED),
        ("b", Verdict.VERIFIED),
    }
    for finding in done.findings:
        assert finding.facts.channels == {"a": ("445nm", "515nm"), "b": ("630nm",)}[finding.target]


def test_candidates_are_what_the_report_is_told():
    done = rehearsed()
    facts = next(round_.facts for round_ in done.rounds if round_.kind is RoundKind.EXAM)
    assert 0 <= facts.chance <= 1
    assert facts.rows >= 5
    assert set(facts.uncertainty) == set(WHITE)


# ---------------------------------------------------------------------- out of reach


@pytest.mark.fault("M-04")
def test_a_target_below_the_light_of_the_day_cannot_be_reached():
    done = rehearsed({"515nm": 9000}, instrument=Twin(steady={"515nm": 10000.0}))
    finding = done.findings[-1]
    assert finding.verdict is Verdict.NOT_REACHABLE
    assert finding.facts.readings[0] == pytest.approx(10000, abs=150)
    assert "the nearest that can be reached is 515nm " in finding.sentence
    assert finding.sentence.endswith(" for 9000 ± 90")


@pytest.mark.fault("M-04")
@pytest.mark.parametrize("ceiling", [False, True], ids=["too dim", "beyond the ceiling of a channel"])
def test_what_cannot_be_reached_is_said_once_readings_refute_what_comes_nearest(ceiling):
    wanted = {"445nm": 40000, "515nm": 16000, "630nm": 16000} if ceiling else NOT_REACHABLE
    done = rehearsed(wanted)
    assert done.reason == SETTLED
    finding = done.findings[-1]
    assert finding.verdict is Verdict.NOT_REACHABLE
    assert finding.sentence.startswith("no setting of the knobs gives this: the nearest that can be reached is ")
    refuted = [each for each in done.findings[:-1] if each.verdict is Verdict.REFUTED]
    assert refuted
    assert refuted[-1].facts.pooled >= 3
    assert finding.round > refuted[-1].round
    assert len(done.observations) <= 20
    assert done.plan.space.contains(finding.settings)


@pytest.mark.fault("M-04")
def test_one_of_two_targets_may_be_out_of_reach():
    done = rehearsed(
        targets=[{"name": "no", "readings": NOT_REACHABLE}, {"name": "yes", "readings": WHITE}], budget=200
    )
    assert {f.target: f.verdict for f in done.findings if f.settles} == {
        "no": Verdict.NOT_REACHABLE,
        "yes": Verdict.VERIFIED,
    }


# ---------------------------------------------------------------------- given up


def test_a_tolerance_far_below_the_noise_is_given_up_when_repeats_have_told_the_noise():
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 1}])
    *_, finding = done.findings
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.settles
    assert re.fullmatch(
        r"given up: even 100 readings at perfect settings could not verify it: one reading scatters by 1\d\d, and the "
        r"tolerance is 1; allow more requests or a wider tolerance",
        finding.sentence,
    )
    assert len(done.observations) <= 25
    assert done.exams, "what a model leaves over is no noise"


def test_a_stated_noise_alone_gives_up_nothing():
    """The instrument scatters less than it says, so that a tolerance below the statement is met after all."""
    quiet = Twin(seed=1, noise=0.1)
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 40}], instrument=quiet, budget=100)
    assert done.findings[-1].verdict is Verdict.VERIFIED


@pytest.mark.parametrize("replicates", [1, 2, 5])
def test_exams_of_a_fixed_number_are_judged_when_all_are_taken_and_together(replicates):
    done = rehearsed(verification={"replicates": replicates})
    assert done.findings[-1].verdict is Verdict.VERIFIED
    for exam in done.exams:
        assert len(done.history.of_round(exam.round, Purpose.VERIFICATION)) == exam.replicates == replicates
    for finding in done.findings[:-1]:
        assert finding.sentence.endswith(f"an exam may have no more replicates than {replicates}")


@pytest.mark.fault("M-12")
def test_a_tolerance_near_the_noise_ends_after_some_exams():
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 66}], stop={"exams": 2}, budget=300)
    assert done.findings[-1].sentence == "given up: none of 2 candidates passed its exam"
    assert done.findings[-1].settles
    assert sum(each.facts.replicates >= 3 for each in done.findings[:-1]) == 2, "one left at once is none"


def test_rounds_are_limited():
    done = rehearsed(stop={"rounds": 1}, budget=300)
    assert done.reason == "all 1 rounds are done"
    assert [round_.number for round_ in done.rounds] == [0, 1]


@pytest.mark.fault("M-03")
def test_a_channel_that_never_gives_a_reading_cannot_be_learned():
    lit = Twin(steady={"515nm": 70000.0})
    done = rehearsed(instrument=lit, background={"every": 0})
    assert done.reason == "515nm had no usable reading at any setting, so it cannot be learned"


# ---------------------------------------------------------------------- an instrument that states no noise


class Bent:
    """Two knobs, a bent response and a noise of 1 that nobody knows."""

    identity, patience = "bent", Patience()
    space = Space(
        knobs=(Knob(name="x", low=-1.0), Knob(name="y", high=2.0)),
        channels=(Channel(name="a", floor=None, integral=False), Channel(name="b", floor=None, integral=False)),
    )

    def __init__(self, scale=1.0):
        self.rng, self.scale = np.random.default_rng(0), scale

    def measure(self, settings):
        x, y = (settings["x"] + 1) / 2, settings["y"] / 2
        values = np.array([1000 * (x + x * x) + 100 * y, 1000 * (y + y * y) + 100 * x]) + self.rng.standard_normal(2)
        values *= self.scale
        return Reply(settings, dict(zip("ab", values.tolist(), strict=True)), "")

    def close(self):
        pass


@pytest.mark.parametrize("models", [["linear"], ["mixture", "linear"]], ids=str)
@pytest.mark.parametrize("rule", [{}, {"replicates": 5}, {"noise": "estimated"}], ids=str)
def test_what_a_model_misses_is_not_taken_for_noise(models, rule):
    targets = [{"readings": {"a": 800, "b": 900}, "tolerance": 10}]
    done = rehearsed(instrument=Bent(), targets=targets, models=models, verification=rule)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.observations) < 50


@pytest.mark.fault("M-04")
def test_readings_of_order_one_are_told_to_the_digits_of_their_tolerance():
    one = [{"readings": {"a": 5.4, "b": 0.9}, "tolerance": 0.01}]
    done = rehearsed(instrument=Bent(scale=1e-3), targets=one, models=["linear"])
    last = done.findings[-1]
    assert last.verdict is Verdict.NOT_REACHABLE
    assert re.search(r"a \d\.\d{3} for 5\.400 ± 0\.010, b \d\.\d{3} for 0\.900 ± 0\.010$", last.sentence), last.sentence
