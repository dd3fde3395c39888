"""An inverse problem looked at: Jacobian and noise, regularised answers, targets projected onto what can be had."""

import numpy as np
import pytest
from problems import CHANNELS, PAPER, twin_answer, twin_rows, two_branches
from scipy.optimize import least_squares
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from strategies.answers.diagnosis import diagnose
from strategies.answers.regularisation import regularised
from strategies.models.mixtures.mixture import Mixture
from strategies.numerics.jacobian import tangent
from strategies.numerics.projection import POOL, STARTS, project

NOISE = np.full(10, 130.0)
TRUTH = Twin(session_gain=False).truth
SLOPES = np.array([[100.0, 40.0, 0.0], [0.0, 30.0, 80.0]])
RNG = np.random.default_rng


def line(settings):
    return settings @ SLOPES


def array(*values):
    return np.array(values, float)


def test_slopes_are_of_second_order_up_to_the_walls():
    settings = np.vstack((RNG(0).random((50, 2)), [[0, 1], [1, 0], [0.005, 0.995], [0.01, 0.99]]))

    def forward(places):
        assert ((places >= 0) & (places <= 1)).all()
        return np.column_stack((places[:, 0] ** 2 - 3 * places[:, 1], np.exp(places[:, 1]), places.prod(axis=1)))

    readings, slopes = tangent(forward, settings)
    x, y = settings.T
    wanted = np.array([[2 * x, 0 * x - 3], [0 * x, np.exp(y)], [y, x]]).transpose(2, 0, 1)
    np.testing.assert_array_equal(readings, forward(settings))
    np.testing.assert_allclose(slopes, wanted, atol=2e-4)


@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_a_least_squares_answer_as_far_as_is_said(seed):
    rng, target, answer = RNG(seed), np.where(np.isnan(PAPER), np.nan, PAPER), twin_answer(PAPER)
    noise = rng.uniform(50, 300, 10)
    seen = diagnose(TRUTH, answer, target, noise)
    noisy = target + noise * rng.standard_normal((400, 10))
    answers = project(TRUTH, noisy, noise, 3).settings
    np.testing.assert_allclose(answers.std(axis=0), seen.deviation, rtol=0.15)
    for row, column in enumerate(seen.fixed):
        moved = project(TRUTH, (target + 10 * (np.arange(10) == column))[None], noise, 3).settings[0]
        np.testing.assert_allclose(moved - answer, 10 * seen.per_count[row], atol=2e-6)


def test_units_of_the_readings_do_not_matter():
    one = diagnose(line, array(0.4, 0.6), array(50, np.nan, 40), np.ones(3))
    other = diagnose(lambda x: 1000 * line(x), array(0.4, 0.6), array(5, np.nan, 4), np.full(3, 1000.0))
    np.testing.assert_allclose(other.singular, one.singular)
    np.testing.assert_allclose(other.deviation, one.deviation)
    np.testing.assert_allclose(other.per_count, one.per_count / 1000, atol=1e-12)
    assert one.condition == pytest.approx(100 / 80)
    assert one.jacobian.shape == one.per_count.shape == (2, 2)


def test_a_direction_that_moves_less_than_the_noise_is_not_determined():
    slopes = array(10, 10, 10.0)[:, None]
    seen = diagnose(lambda x: x @ slopes, array(0.5, 0.5, 0.5), array(15), array(1))
    assert seen.determined.tolist() == [True, False, False]
    assert seen.undetermined.shape == (2, 3)
    np.testing.assert_allclose(seen.undetermined @ slopes, 0, atol=1e-9)
    np.testing.assert_allclose(seen.deviation, 1, atol=0.2)
    assert (seen.deviation <= 1).all()
    assert np.isinf(seen.condition)
    assert seen.sentences(["R", "G", "B"], ["clear"]) == [
        "R, G and B are not determined separately: only 0.58 R + 0.58 G + 0.58 B."
    ]


def test_sentences_name_what_is_known_and_what_is_not():
    noise = np.ones(2)

    def forward(x):
        return np.column_stack((1000 * x[:, 0], 100 * x[:, 1] - 100 * x[:, 2]))

    seen = diagnose(forward, np.full(4, 0.5), array(500, 0), noise)
    assert seen.sentences(["R", "G", "B", "W"], ["red", "green"], "volt") == [
        "R is determined within 0.001 of its range.",
        "1 volt at red moves R by 0.001 of its range.",
        "W is not determined by this target.",
        "G and B are not determined separately: only 0.71 G - 0.71 B.",
    ]
    nothing = diagnose(lambda x: np.zeros((len(x), 1)), array(0.5, 0.5), array(0), array(1))
    assert nothing.sentences(["R", "G"], ["red"]) == [
        "R is not determined by this target.",
        "G is not determined by this target.",
    ]
    with pytest.raises(InvalidInput, match="knobs"):
        seen.sentences(["R"], ["red", "green"])


@pytest.mark.parametrize("seed", range(20))
def test_every_knob_is_spoken_of_once(seed):
    rng = RNG(seed)
    slopes = 10 ** rng.uniform(-2, 3, (4, 1)) * rng.standard_normal((4, 3)) * (rng.random((4, 3)) < 0.7)
    said = diagnose(lambda x: x @ slopes, np.full(4, 0.5), np.zeros(3), np.ones(3)).sentences("ABCD", "xyz")
    subjects = [each.partition(" is ")[0].partition(" are ")[0] for each in said if each[0] in "ABCD"]
    assert sorted(letter for subject in subjects for letter in subject if letter.isupper()) == list("ABCD")


def test_the_twin_at_the_answer_of_the_paper():
    model = Mixture().fit(*twin_rows(100))
    said = diagnose(model.predict, twin_answer(PAPER), PAPER, NOISE).sentences("RGB", CHANNELS)
    assert len(said) == 7
    assert "1 count at 445nm moves B by 3.3e-05 of its range." in said
    blue = np.where(np.arange(10) == CHANNELS.index("445nm"), PAPER, np.nan)
    said = diagnose(model.predict, twin_answer(PAPER), blue, NOISE).sentences("RGB", CHANNELS)
    assert said[:2] == ["R is not determined by this target.", "G is not determined by this target."]
    assert said[2].startswith("B is determined within 0.01")


@pytest.mark.parametrize("seed", range(5))
def test_regularised_answer_misses_by_no_more_and_no_less_than_the_noise(seed):
    rng = RNG(seed)
    prior, wanted = rng.random(3), TRUTH(rng.random(3))
    found = regularised(TRUTH, wanted, NOISE, prior)
    assert found.met
    assert found.misfit == pytest.approx(10, rel=0.01)
    assert "keep to the prior" in found.reason
    np.testing.assert_array_equal(found.readings, TRUTH(found.settings[None])[0])
    exact = project(TRUTH, wanted[None], NOISE, 3).settings[0]
    assert np.linalg.norm(found.settings - prior) < np.linalg.norm(exact - prior)
    noisier = regularised(TRUTH, wanted, 3 * NOISE, prior)
    assert np.linalg.norm(noisier.settings - prior) < np.linalg.norm(found.settings - prior)


def test_what_a_target_does_not_determine_stays_at_the_prior():
    found = regularised(line, array(np.nan, np.nan, 40), np.full(3, 0.01), array(0.9, 0.1))
    assert found.settings[0] == pytest.approx(0.9, abs=1e-6)
    assert found.settings[1] == pytest.approx(0.5, abs=1e-3)


def test_a_prior_that_answers_is_the_answer():
    found = regularised(line, line(array(0.4, 0.6)[None])[0] + 0.5, np.ones(3), array(0.4, 0.6))
    assert found.met
    assert np.isinf(found.strength)
    assert found.settings.tolist() == [0.4, 0.6]
    assert "prior settings answer" in found.reason


def test_a_target_beyond_the_noise_is_said_to_be():
    found = regularised(line, array(50, 200, 40), np.ones(3), array(0.4, 0.6))
    assert not found.met
    assert found.strength == 0
    assert found.misfit > found.allowed == 3
    assert "project the target" in found.reason
    nearest = project(line, array(50, 200, 40)[None], np.ones(3), 2)
    np.testing.assert_allclose(found.settings, nearest.settings[0], atol=1e-6)
    assert found.misfit == pytest.approx(nearest.distance[0] ** 2)


def test_regularised_answers_of_an_ill_conditioned_problem_are_nearer_to_the_truth():
    slopes = np.vander(np.linspace(0, 1, 8), 5).T

    def blurred(settings):
        return settings @ slopes

    errors = []
    for seed in range(10):
        rng = RNG(seed)
        truth = np.clip(0.5 + 0.1 * rng.standard_normal(5), 0, 1)
        wanted, noise = truth @ slopes + 0.03 * rng.standard_normal(8), np.full(8, 0.03)
        calm, fitted = regularised(blurred, wanted, noise, np.full(5, 0.5)), project(blurred, wanted[None], noise, 5)
        errors.append([np.linalg.norm(each - truth) for each in (calm.settings, fitted.settings[0])])
    calm, fitted = np.mean(errors, axis=0)
    assert calm < 0.6 * fitted


def crooked(settings):
    """Two knobs on a bent surface in three channels."""
    x, y = settings.T
    return np.column_stack((np.sin(5 * x), np.cos(4 * x * y), y**2))


def by_scipy(forward, target, scale, d):
    """Least distance of one target in units of the scale, from the same starts, by another hand."""
    fixed, pool = ~np.isnan(target), qmc.Sobol(d, scramble=False).random_base2(POOL)

    def residuals(settings):
        return ((forward(settings[None])[0] - target) / scale)[fixed]

    costs = (((forward(pool) - target) / scale)[:, fixed] ** 2).sum(axis=1)
    starts = pool[np.argsort(costs, kind="stable")[:STARTS]]
    found = [least_squares(residuals, start, bounds=(0, 1), max_nfev=100).cost for start in starts]
    return np.sqrt(2 * min(found))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("forward", "d", "scale"), [(crooked, 2, np.full(3, 0.01)), (TRUTH, 3, NOISE)], ids=["crooked", "twin"]
)
def test_projection_is_as_near_as_scipy_comes(forward, d, scale, seed):
    rng = RNG(seed)
    targets = forward(rng.random((8, d)))
    targets += 20 * scale * rng.standard_normal(targets.shape)
    targets[:4, 0] = np.nan
    found = project(forward, targets, scale, d)
    other = [by_scipy(forward, target, scale, d) for target in targets]
    assert (found.distance <= np.array(other) + 1e-3).all()
    assert ((found.settings >= 0) & (found.settings <= 1)).all()
    np.testing.assert_array_equal(np.isnan(found.misses), np.isnan(targets))


def test_what_can_be_had_is_its_own_projection():
    targets = project(TRUTH, 40000 * RNG(0).random((30, 10)), NOISE, 3).readings
    again = project(TRUTH, targets, NOISE, 3)
    assert again.distance.max() < 1e-3
    np.testing.assert_allclose(again.readings, targets, atol=0.1)


def test_a_thousand_targets_cost_few_questions_to_the_model():
    questions, settings = [], RNG(1).random((500, 3))
    model = Mixture().fit(*twin_rows(100))
    near, far = model.predict(settings), model.predict(settings) * (1 + 0.1 * RNG(2).choice([-1, 1], (500, 10)))

    def forward(places):
        questions.append(len(places))
        return model.predict(places)

    found = project(forward, np.vstack((near, far)), np.maximum(0.01 * np.vstack((near, far)), 100), 3)
    assert len(questions) <= 205
    assert sum(questions) < 20 * STARTS * 1000 * 7
    assert found.distance[:500].max() < 0.01
    assert (found.distance[500:] > 1).mean() > 0.98


def test_targets_do_not_speak_to_each_other():
    targets = 40000 * RNG(3).random((6, 10))
    targets[RNG(4).random((6, 10)) < 0.5] = np.nan
    scale = RNG(5).uniform(50, 500, (6, 10))
    together = project(TRUTH, targets, scale, 3)
    for row in range(6):
        alone = project(TRUTH, targets[row : row + 1], scale[row], 3)
        np.testing.assert_allclose(together.settings[row], alone.settings[0], atol=1e-9)


def test_models_of_steps_are_projected_on_too():
    def steps(settings):
        return np.floor(30 * crooked(settings)) / 30

    targets = crooked(RNG(6).random((50, 2)))
    assert np.quantile(project(steps, targets, np.ones(3), 2).distance, 0.9) < 0.06


def test_a_target_between_two_branches_is_projected_on_one_of_them():
    found = project(two_branches, array(0.25, 0.5)[None], np.full(2, 0.01), 2)
    assert found.distance[0] < 1e-6
    assert abs(found.settings[0, 0] - 0.5) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"targets": np.full((2, 3), np.nan)}, "targets \\[0, 1\\]"),
        ({"targets": array(1, 2, 3)}, "shape"),
        ({"targets": np.full((1, 3), np.inf)}, "finite"),
        ({"scale": array(1, 0, 1)}, "positive"),
        ({"scale": np.ones(2)}, "scale needs the shape"),
        ({"d": 0}, "d >= 1"),
        ({"starts": 0}, "starts"),
        ({"forward": lambda settings: settings}, "forward model"),
    ],
)
def test_senseless_projections_are_refused(change, word):
    with pytest.raises(InvalidInput, match=word):
        project(**({"forward": line, "targets": np.ones((1, 3)), "scale": np.ones(3), "d": 2} | change))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"target": np.full(3, np.nan)}, "fixed channel"),
        ({"noise": array(1, 0, 1)}, "positive"),
        ({"noise": np.ones(2)}, "noise needs the shape"),
        ({"settings": array(0.5, -0.1)}, "unit box"),
        ({"settings": np.zeros((1, 2))}, "shape"),
        ({"forward": lambda settings: settings}, "forward model"),
    ],
)
def test_senseless_questions_are_refused(change, word):
    question = {"forward": line, "target": array(50, 40, 40), "noise": np.ones(3), "settings": array(0.5, 0.5)} | change
    with pytest.raises(InvalidInput, match=word):
        diagnose(**question)
    prior = question.pop("settings")
    with pytest.raises(InvalidInput, match=word):
        regularised(**question, prior=prior)


def test_a_discrepancy_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="tau"):
        regularised(line, array(50, 40, 40), np.ones(3), array(0.5, 0.5), tau=0)
