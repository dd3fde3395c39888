"""The exam: VERIFIED is a statement with a known rate of error, and is never had cheaply (I10)."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from sdl.analysis.group_sequential import plan_looks, single_look
from sdl.analysis.verification import judge_exam, verify_replicates
from sdl.campaign.sections import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Exam, Observation, Purpose, ReplyClass, Verdict
from sdl.instruments.claude_light.channels import SPACE
from sdl.space import Window

TARGET, TOLERANCE, NOISE = 16384.0, 164.0, 131.7
ROUNDS = 2000


def exam(replicates, *, planned=None, noise=NOISE, confidence=0.95, censored=None, plan=None):
    """A verification over one channel ``(k,)`` or several ``(k, p)``, all of one target, tolerance and noise."""
    values = np.array(replicates, float)
    values = values[:, None] if values.ndim == 1 else values
    p = values.shape[1]
    return verify_replicates(
        Window.about(np.full(p, TARGET), np.full(p, TOLERANCE)),
        values,
        censored=np.zeros(values.shape, bool) if censored is None else np.array(censored),
        looks=plan or single_look(len(values) if planned is None else planned, confidence),
        confidence=confidence,
        known_noise=np.full(p, noise),
        names=[f"{i}nm" for i in range(p)],
    )


def share(verdict, off, k, seed=0, *, noise=NOISE, channels=1, confidence=0.95):
    """How often candidates that are off by so much get a verdict."""
    rng = np.random.default_rng(seed)
    readings = TARGET + off + NOISE * rng.standard_normal((ROUNDS, k, channels))
    return np.mean([exam(each, noise=noise, confidence=confidence).verdict is verdict for each in readings])


def looked_at(readings, plan, **options):
    """The verdict of an exam that ends with the first look that has one."""
    for k in range(1, len(readings) + 1):
        found = exam(readings[:k], plan=plan, **options)
        if found.verdict is not Verdict.INCONCLUSIVE:
            return found.verdict
    return Verdict.INCONCLUSIVE


# ---------------------------------------------------------------------- rates


@pytest.mark.parametrize("noise", [NOISE, np.nan], ids=["known", "estimated"])
@pytest.mark.parametrize("k", [4, 12])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_at_the_edge_of_the_tolerance_it_errs_as_rarely_as_it_says(noise, k, confidence):
    for off in (TOLERANCE, -TOLERANCE):
        wrong = share(Verdict.VERIFIED, off, k, noise=noise, confidence=confidence)
        assert wrong <= (1 - confidence) + 3 * np.sqrt(confidence * (1 - confidence) / ROUNDS)


@pytest.mark.parametrize("noise", [NOISE, np.nan], ids=["known", "estimated"])
def test_what_is_within_the_tolerance_is_refuted_as_rarely(noise):
    assert share(Verdict.REFUTED, TOLERANCE, 9, noise=noise) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / ROUNDS)
    assert share(Verdict.REFUTED, 0, 9, noise=noise) < 0.01


@pytest.mark.parametrize("noise", [NOISE, np.nan], ids=["known", "estimated"])
@pytest.mark.parametrize("off", [TOLERANCE, 0.0], ids=["edge", "target"])
def test_ending_at_the_first_look_that_has_a_verdict_errs_no_more_often(noise, off):
    rng, plan = np.random.default_rng(7), plan_looks(8, 0.95)
    readings = TARGET + np.array([off, -off, 0.0]) + NOISE * rng.standard_normal((400, 8, 3))
    found = [looked_at(each, plan, noise=noise) for each in readings]
    assert np.mean([verdict is Verdict.REFUTED for verdict in found]) <= 0.05
    if off:
        assert np.mean([verdict is Verdict.VERIFIED for verdict in found]) <= 0.05
    elif noise == NOISE:
        assert np.mean([verdict is Verdict.VERIFIED for verdict in found]) > 0.65


def test_many_channels_make_it_stricter_and_not_laxer():
    assert share(Verdict.VERIFIED, TOLERANCE, 9, channels=3) < 0.02


def test_a_good_candidate_passes_with_enough_replicates():
    assert share(Verdict.VERIFIED, 0, 4) < 0.75 < 0.95 < share(Verdict.VERIFIED, 0, 12)


@pytest.mark.fault("M-12")
def test_a_bad_candidate_is_refuted():
    assert share(Verdict.REFUTED, 3 * TOLERANCE, 9) > 0.99


# ---------------------------------------------------------------------- verdicts


@pytest.mark.fault("M-13")
def test_the_interval_decides_and_not_the_mean():
    margin, beyond = (-ndtri(level) * NOISE / 2 for level in (0.05, 0.05 / 8))  # 4 replicates, 2 sides
    for off, verdict in [
        (TOLERANCE - margin - 1, Verdict.VERIFIED),
        (TOLERANCE - margin + 1, Verdict.INCONCLUSIVE),
        (TOLERANCE + beyond - 1, Verdict.INCONCLUSIVE),
        (TOLERANCE + beyond + 1, Verdict.REFUTED),
    ]:
        for sign in (1, -1):
            result = exam(np.full(4, TARGET + sign * off))
            assert result.verdict is verdict
            assert result.margin == pytest.approx([margin])


@pytest.mark.fault("M-13")
def test_a_look_decides_at_its_own_level():
    plan = plan_looks(8, 0.95)
    for look in plan:
        k = look.replicates
        room = TOLERANCE + ndtri(look.known) * NOISE / np.sqrt(k)
        verdicts = [exam(np.full(k, TARGET + room + off), plan=plan).verdict for off in (-1, 1)]
        assert verdicts == [Verdict.VERIFIED if room > 0 else Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]
    assert exam(np.full(2, TARGET), plan=plan).verdict is Verdict.INCONCLUSIVE


@pytest.mark.fault("M-13")
def test_fewer_replicates_than_the_first_look_never_verify():
    assert exam(np.full(2, TARGET), noise=1e-3, plan=plan_looks(8, 0.95)).verdict is Verdict.INCONCLUSIVE
    assert exam(np.full(3, TARGET), noise=1e-3, plan=plan_looks(8, 0.95)).verdict is Verdict.VERIFIED


@pytest.mark.fault("M-13")
@given(
    offs=st.lists(st.floats(-2 * TOLERANCE, 2 * TOLERANCE), min_size=1, max_size=12),
    more=st.integers(1, 10),
    noise=st.sampled_from([NOISE, 1.0, 0.0, np.nan]),
    confidence=st.floats(0.51, 0.999),
)
def test_fewer_replicates_than_planned_never_verify(offs, more, noise, confidence):
    replicates = TARGET + np.array(offs)
    result = exam(replicates, planned=len(offs) + more, noise=noise, confidence=confidence)
    assert result.verdict is not Verdict.VERIFIED
    assert f"broken off after {len(offs)} of {len(offs) + more} replicates" in result.reason


@given(st.lists(st.floats(0, 65535), min_size=2, max_size=9), st.sampled_from([NOISE, 0.0, np.nan]))
def test_verified_says_that_the_whole_interval_is_within_the_tolerance(readings, noise):
    result = exam(readings, noise=noise)
    distance = abs(np.mean(readings) - TARGET)
    if result.verdict is Verdict.VERIFIED:
        assert distance + result.margin[0] <= TOLERANCE
    elif result.verdict is Verdict.REFUTED:
        assert distance - result.margin[0] > TOLERANCE


def test_one_bad_channel_is_named_and_enough():
    result = exam(np.tile([TARGET, TARGET + 500, TARGET], (9, 1)))
    assert result.verdict is Verdict.REFUTED
    assert result.reason == "off by more than the tolerance: 1nm 16884 ± 72 for 16384 ± 164"


def test_a_free_channel_decides_nothing():
    result = verify_replicates(
        Window.about(np.array([TARGET, np.nan]), np.array([TOLERANCE, np.nan])),
        np.tile([TARGET, 1.0], (9, 1)),
        censored=np.tile([False, True], (9, 1)),
        looks=single_look(9, 0.95),
        confidence=0.95,
        known_noise=np.array([NOISE, NOISE]),
        names=["a", "b"],
    )
    assert result.verdict is Verdict.VERIFIED
    assert result.reason == "within the tolerance: a 16384 ± 72 for 16384 ± 164"


@pytest.mark.fault("I-11")
@pytest.mark.parametrize(
    "censored", [[[True, False]] * 3, [[False, True], [False, False], [False, False]], [[True] * 2] * 3]
)
def test_a_reading_at_the_ceiling_refutes(censored):
    readings = np.where(censored, np.nan, TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = exam(readings, censored=censored)
    assert result.verdict is Verdict.REFUTED
    assert "at its ceiling" in result.reason
    assert "nan" not in result.reason


# ---------------------------------------------------------------------- noise


def test_replicates_that_contradict_the_known_noise_win():
    calm, wild = TARGET + np.array([-5.0, 0.0, 5.0, 0.0]), TARGET + np.array([-900.0, 900.0, -900.0, 900.0])
    assert exam(calm).noise == pytest.approx([NOISE])
    assert exam(wild).noise == pytest.approx([np.std(wild, ddof=1)])
    assert exam(wild).verdict is Verdict.INCONCLUSIVE
    assert exam(wild).margin[0] > 900


def test_a_known_noise_is_rarely_contradicted_by_chance():
    rng = np.random.default_rng(5)
    readings = TARGET + NOISE * rng.standard_normal((ROUNDS, 6))
    assert np.mean([exam(each).noise[0] != NOISE for each in readings]) < 0.004


def test_estimated_noise_costs_wider_intervals():
    readings = TARGET + NOISE * np.array([-1, 0, 1])
    assert exam(readings, noise=np.nan).margin > 1.5 * exam(readings).margin


@pytest.mark.fault("M-13")
def test_one_replicate_of_unknown_noise_proves_nothing():
    assert exam([TARGET], noise=np.nan).verdict is Verdict.INCONCLUSIVE
    assert exam([TARGET], noise=10.0).verdict is Verdict.VERIFIED


# ---------------------------------------------------------------------- exams of a campaign


def test_a_finding_speaks_of_the_channels_of_its_target():
    readings, nothing = SPACE.readings({"515nm": TARGET, "630nm": 9000, "clear": 50000}), np.full(10, np.nan)
    background = np.arange(10.0)
    target = ResolvedTarget(
        "white",
        Window.about(SPACE.readings({"515nm": TARGET, "630nm": 9060}), SPACE.readings({"515nm": 164, "630nm": 90})),
    )
    fresh = [
        Observation(3, 1, i, Purpose.VERIFICATION, np.ones(3), i, ReplyClass.OK, readings, np.zeros(10, bool))
        for i in range(9)
    ]
    frozen = Exam(3, "white", np.ones(3), "linear", 9, background, nothing)
    finding = judge_exam(frozen, target, fresh, VerificationPart(), SPACE)
    assert (finding.verdict, finding.round, finding.target) == (Verdict.INCONCLUSIVE, 3, "white")
    assert finding.facts.channels == ("515nm", "630nm")
    assert finding.facts.background.tolist() == [3, 6]
    assert finding.facts.mean.tolist() == [TARGET, 9000]
    np.testing.assert_array_equal(finding.settings, np.ones(3))
    assert "630nm 9000 ± 40 for 9060 ± 90" in finding.sentence
    assert "515nm" not in finding.sentence
    assert not finding.settles
    assert judge_exam(frozen, target, fresh, VerificationPart(noise="estimated"), SPACE).verdict is Verdict.VERIFIED
    assert judge_exam(frozen, target, fresh[:5], VerificationPart(), SPACE).verdict is not Verdict.VERIFIED
