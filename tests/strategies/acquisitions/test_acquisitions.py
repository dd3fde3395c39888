import numpy as np
import pytest
from problems import PAPER, Line, twin_rows
from scipy.spatial.distance import cdist, pdist

from sdl import plugins
from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Window
from strategies.acquisitions.asks_posterior import AsksPosterior
from strategies.acquisitions.disagreement import Disagreement
from strategies.acquisitions.ensemble_beliefs import Beliefs
from strategies.acquisitions.expected_improvement import ExpectedImprovement
from strategies.acquisitions.likeliest import Likeliest
from strategies.acquisitions.random import LatinHypercubeBatch, RandomBatch
from strategies.acquisitions.solution_set import SolutionSet
from strategies.acquisitions.space_filling import SpaceFilling
from strategies.acquisitions.uncertainty import Uncertainty
from strategies.acquisitions.variance_reduction import BothUncertainties, ForwardUncertainty, InverseUncertainty
from strategies.contract import Acquisition
from strategies.fitting.bootstrap import refit_on_resamples
from strategies.models.linear.linear_program import LinearProgram
from strategies.models.mixtures.mixture import Mixture
from strategies.posterior import Pursuit, Rows, Statement, learn_all

NOISE = np.array([30.0, 74, 60, 132, 50, 50, 73, 40, 522, 100])
NAMES = [name for name in plugins.names("sdl.acquisitions") if name != "likeliest"]
"""Those that ask an ensemble of models."""


def rng(seed=0):
    return np.random.default_rng(seed)


def ensemble(n, model=LinearProgram, members=8):
    readings, settings = twin_rows(n)
    return refit_on_resamples(model, readings, settings, members, rng()), settings


def propose(acquisition, n=6, rows=5, seed=0, targets=(PAPER,)):
    models, settings = ensemble(rows)
    return acquisition.propose(models, targets, settings, NOISE, n, rng(seed)), settings


def test_every_acquisition_asks_an_ensemble_or_the_posterior():
    for name in plugins.names("sdl.acquisitions"):
        built = plugins.build("sdl.acquisitions", name)
        assert isinstance(built, Acquisition) is not isinstance(built, AsksPosterior)


def test_the_likeliest_settings_are_for_an_exam_and_never_for_learning():
    about = Statement.unstated(2, 1)
    rows = Rows.empty(2, 1).with_row(np.zeros(2), np.zeros(1), about).with_row(np.ones(2), np.ones(1), about)
    batch = Likeliest().propose_by(learn_all(rows, about), [Pursuit(0, Window.about(np.ones(1), np.ones(1)))], 5, rng())
    assert batch.shape == (0, 2)


@pytest.fixture(params=NAMES)
def acquisition(request):
    return plugins.build("sdl.acquisitions", request.param)


@pytest.mark.fault("M-11")
def test_batch_is_in_the_box_and_apart(acquisition):
    batch, measured = propose(acquisition)
    assert isinstance(acquisition, Acquisition)
    few = isinstance(acquisition, ExpectedImprovement)  # once the best point is read, hardly another can improve on it
    assert 1 <= len(batch) <= 6 if few else len(batch) == 6
    assert ((batch >= 0) & (batch <= 1)).all()
    assert pdist(batch).min(initial=1.0) > 0.025
    assert cdist(batch, measured).min() > 0.025


def test_rng_alone_decides(acquisition):
    assert np.array_equal(propose(acquisition, seed=3)[0], propose(acquisition, seed=3)[0])
    assert not np.array_equal(propose(acquisition, seed=3)[0], propose(acquisition, seed=4)[0])


def test_global_generator_is_left_alone(acquisition):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    propose(acquisition)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_first_points_of_a_larger_batch_are_the_smaller_batch(acquisition):
    if isinstance(acquisition, LatinHypercubeBatch):
        pytest.skip("a hypercube of two points is not a part of one of five")
    assert np.array_equal(propose(acquisition, n=2)[0], propose(acquisition, n=5)[0][:2])


@pytest.mark.parametrize("model", [LinearProgram, Mixture])
def test_nothing_left_to_learn_below_the_noise(model):
    models, settings = ensemble(60, model)
    loud, quiet = 10 * NOISE, NOISE / 100
    assert Uncertainty().propose(models, [PAPER], settings, loud, 4, rng()).shape == (0, 3)
    assert len(Uncertainty().propose(models, [PAPER], settings, quiet, 4, rng())) == 4


@pytest.mark.parametrize("model", [LinearProgram, Mixture])
def test_rows_as_few_as_the_model_needs_leave_much_to_learn(model):
    models, settings = ensemble(model().rows_needed(3, 10), model)
    assert len(Uncertainty().propose(models, [PAPER], settings, NOISE, 3, rng())) == 3


def test_disagreement_in_free_channels_does_not_count():
    models = [Line([1.0, slope], [[0.5, 0.5]]) for slope in (0.0, 1.0, 2.0)]
    target, measured, noise = np.array([0.5, np.nan]), np.zeros((0, 2)), np.full(2, 0.01)
    assert not len(Uncertainty().propose(models, [target], measured, noise, 3, rng()))
    assert len(Uncertainty().propose(models, [target[::-1]], measured, noise, 3, rng())) == 3


def test_uncertain_region_is_preferred():
    class Half(Line):
        """Members agree below 0.5 and part above it."""

        def predict(self, settings):
            return settings[:, :1] + self.slope * np.maximum(settings[:, :1] - 0.5, 0)

    models = [Half([slope], [[0.1, 0.5], [0.8, 0.5]]) for slope in (-0.5, 0.0, 0.5)]
    batch = Uncertainty().propose(models, [np.array([0.3])], np.zeros((0, 2)), np.array([0.01]), 8, rng())
    assert (batch[:, 0] > 0.5).all()


def test_target_that_is_uncertain_comes_first():
    """The offers for one target are scattered and those for the other are not; the members disagree all the same."""

    class TwoTargets(Line):
        def sample(self, target, n, rng):
            low, high = ([0.2, 0.5], [0.21, 0.51]) if target[0] < 0 else ([0.6, 0.3], [1.0, 0.7])
            return rng.uniform(low, high, (n, 2))

        def predict(self, settings):
            left = settings[:, 0] < 0.5
            return self.slope * np.column_stack((left, ~left))

    models = [TwoTargets(slope, [[0.0]]) for slope in (-0.1, 0.0, 0.1)]
    targets = [np.array([-1.0, -1.0]), np.array([1.0, 1.0])]
    batch = Uncertainty().propose(models, targets, np.zeros((0, 2)), np.full(2, 0.01), 2, rng())
    assert (batch[:, 0] > 0.5).all()


def test_box_without_an_offer_is_explored():
    models = [Line([slope], [[3.0]]) for slope in (0.5, 1.0)]
    assert len(Uncertainty().propose(models, [np.array([9.0])], np.zeros((0, 1)), np.array([0.01]), 2, rng())) == 2


@pytest.mark.fault("M-11")
def test_crowded_box_gives_fewer():
    models = [Line([slope], [[0.5]]) for slope in (0.5, 1.0)]
    batch = Uncertainty(repulsion=1.0).propose(models, [np.array([0.5])], np.zeros((0, 1)), np.array([0.01]), 50, rng())
    assert 2 <= len(batch) <= 5


def test_disagreement_needs_two():
    with pytest.raises(InvalidInput, match="two models"):
        Uncertainty().propose([Line([1.0], [[0.5]])], [np.ones(1)], np.zeros((0, 1)), np.ones(1), 1, rng())


def test_space_filling_starts_from_nothing_and_fills():
    batch = SpaceFilling().propose([], [], np.zeros((0, 2)), np.ones(1), 16, rng())
    assert pdist(batch).min() > 0.15


# ---------------------------------------------------------------------- one worth each

KINDS = [InverseUncertainty, ForwardUncertainty, BothUncertainties, Disagreement, ExpectedImprovement, SolutionSet]
AWARE = [Uncertainty, *KINDS]


class Bent(Line):
    """Members agree below 0.5 and part above it; the second knob does nothing."""

    def predict(self, settings):
        return settings[:, :1] + self.slope * np.maximum(settings[:, :1] - 0.5, 0)


class Parting(Line):
    """Members part with the distance from the middle, on both sides alike."""

    def predict(self, settings):
        return settings[:, :1] + self.slope * np.abs(settings[:, :1] - 0.5)


class Answering(Parting):
    """The same, but each member has one answer, as far from that of the others as it says."""

    def __init__(self, slope, answer):
        super().__init__([slope], [answer])
        self.answer = np.asarray(answer, float)

    def sample(self, target, n, rng):
        return self.answer + 1e-3 * rng.standard_normal((n, 2))


def parting(answers=((0.70, 0.5), (0.74, 0.5), (0.78, 0.5))):
    return [Answering(slope, answer) for slope, answer in zip((-0.5, 0.0, 0.5), answers, strict=True)]


def asked(acquisition, models, noise=0.01, n=4, target=0.9, measured=(), **options):
    noise_ = noise if callable(noise) else np.array([noise])
    return acquisition.propose(
        models, [np.array([target])], np.array(measured).reshape(-1, 2), noise_, n, rng(), **options
    )


@pytest.mark.parametrize("kind", AWARE)
def test_where_models_agree_there_is_nothing_to_learn(kind):
    agreeing = [Bent([slope], [[0.2, 0.2], [0.3, 0.8]]) for slope in (-0.5, 0.0, 0.5)]
    alike = [Bent([0.0], [[0.2, 0.2], [0.3, 0.8]]) for _ in range(3)]
    assert not len(asked(kind(), alike))
    if kind in (ForwardUncertainty, Disagreement):  # they look at the whole box
        assert (asked(kind(), agreeing)[:, 0] > 0.5).all()
    else:
        assert not len(asked(kind(), agreeing))


@pytest.mark.parametrize("kind", AWARE)
def test_a_point_where_readings_are_noisy_is_worth_less(kind):
    """To the right of 0.74 a reading is a hundred times as noisy."""

    def noise(settings):
        return np.where(settings[:, :1] > 0.74, 1.0, 0.01)

    models = parting()
    assert asked(kind(), models, noise=noise, n=1)[0, 0] <= 0.74


@pytest.mark.parametrize("kind", AWARE)
def test_a_reading_at_the_ceiling_teaches_little(kind):
    """Readings are about the first knob; from 0.7 on they stand at the ceiling."""
    free, limited = (asked(kind(), parting(), n=1, ceiling=ceiling) for ceiling in (None, np.array([0.7])))
    assert free[0, 0] > 0.7 or kind is Disagreement  # there are two places where rivals part most
    assert limited[0, 0] < 0.72


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_does_not_ask_one_question_twice(kind):
    batch = asked(kind(), parting(), n=4)
    assert pdist(batch).min(initial=1.0) > 0.03


def test_inverse_uncertainty_asks_where_the_answer_moves_and_forward_where_readings_do():
    """The readings are least certain at the ends of the box, the answers about 0.74."""
    inverse, forward = (asked(kind(), parting(), n=1)[0, 0] for kind in (InverseUncertainty, ForwardUncertainty))
    assert 0.6 < inverse < 1.0
    assert abs(forward - 0.5) > 0.3
    assert asked(BothUncertainties(weight=1.0), parting(), n=1)[0, 0] == inverse
    assert asked(BothUncertainties(weight=0.0), parting(), n=1)[0, 0] == forward


def test_inverse_uncertainty_looks_at_the_target_whose_answer_is_uncertain():
    class Two(Answering):
        """Sure of the answer to one target, not of the other."""

        def sample(self, target, n, rng):
            place = self.answer if target[0] > 0 else np.array([0.2, 0.2])
            return place + 1e-3 * rng.standard_normal((n, 2))

    models = [Two(slope, answer) for slope, answer in ((-0.5, (0.7, 0.8)), (0.0, (0.8, 0.8)), (0.5, (0.9, 0.8)))]
    targets = [np.array([-1.0]), np.array([1.0])]
    batch = InverseUncertainty().propose(models, targets, np.zeros((0, 2)), np.array([0.01]), 2, rng())
    assert (batch[:, 0] > 0.5).all()


def test_disagreement_tells_rivals_apart_where_they_part_most():
    class Straight(Line):
        def predict(self, settings):
            return settings[:, :1]

    class Curved(Line):
        def predict(self, settings):
            return settings[:, :1] + np.exp(-(((settings[:, :1] - 0.25) / 0.1) ** 2))

    rivals = [Straight([1.0], [[0.9, 0.9]]), Curved([1.0], [[0.9, 0.9]])]
    assert asked(Disagreement(), rivals, n=1)[0, 0] == pytest.approx(0.25, abs=0.05)


def test_expected_improvement_goes_where_the_target_is_and_stops_when_it_was_read():
    models = parting(answers=((0.88, 0.5), (0.9, 0.5), (0.92, 0.5)))
    first = asked(ExpectedImprovement(), models, n=1, measured=[[0.1, 0.1]])
    assert first[0, 0] == pytest.approx(0.9, abs=0.15)
    nearer = asked(ExpectedImprovement(), models, n=1, measured=[[0.1, 0.1], [0.9, 0.5]])
    assert len(nearer) <= 1


def test_solution_set_is_asked_about_where_it_is():
    """The members part at both ends; only the right one answers the target."""
    batch = asked(SolutionSet(), parting(), n=3)
    assert (batch[:, 0] > 0.5).all()


def test_beliefs_after_a_reading_are_those_of_a_gaussian():
    models = [Line([slope], [[0.5, 0.5]]) for slope in (-1.0, 0.5, 2.0)]
    settings = np.array([[0.2], [0.7], [0.9]])
    beliefs = Beliefs.of(models, settings, np.array([0.3]), np.array([np.inf]), np.array([0]), locality=0.4)
    covariance = beliefs.covariance[0]
    gain = covariance[:, 1] / (covariance[1, 1] + 0.3**2)
    expected = covariance - np.outer(gain, covariance[1])
    assert np.allclose(beliefs.told(1).covariance[0], expected)
    drawn = beliefs.draws(20_000, rng())[:, :, 0]
    assert np.allclose(np.cov(drawn.T), covariance, atol=0.05)


@pytest.mark.parametrize("kind", [RandomBatch, LatinHypercubeBatch])
def test_chance_asks_nobody_and_fills_the_box(kind):
    batch = kind().propose([], [], np.zeros((0, 2)), np.ones(1), 16, rng())
    assert batch.shape == (16, 2)
    assert (batch.min(axis=0) < 0.3).all()
    assert (batch.max(axis=0) > 0.7).all()


def test_latin_hypercube_has_a_point_in_every_slice():
    batch = LatinHypercubeBatch().propose([], [], np.zeros((0, 3)), np.ones(1), 8, rng())
    assert np.sort(np.floor(8 * batch), axis=0).tolist() == [[k] * 3 for k in range(8)]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ForwardUncertainty, {"pool": 0}),
        (SolutionSet, {"locality": 0.0}),
        (Disagreement, {"threshold": -1.0}),
        (BothUncertainties, {"weight": 1.5}),
        (ExpectedImprovement, {"draws": 0}),
    ],
)
def test_options_that_make_no_sense_are_refused(kind, options):
    with pytest.raises(InvalidInput, match="needs"):
        kind(**options)


# ---------------------------------------------------------------------- ensembles


def test_ensemble_starts_with_the_fit_on_all_rows():
    readings, settings = twin_rows(10)
    models = refit_on_resamples(LinearProgram, readings, settings, 4, rng())
    whole = LinearProgram().fit(readings, settings)
    assert np.array_equal(models[0].predict(settings), whole.predict(settings))
    assert len({model.predict(settings).tobytes() for model in models}) == 4


def test_ensemble_depends_on_rng_alone():
    readings, settings = twin_rows(10)
    twice = [refit_on_resamples(LinearProgram, readings, settings, 3, rng(5))[2].predict(settings) for _ in range(2)]
    assert np.array_equal(*twice)


@pytest.mark.parametrize("n", [4, 5, 12])
def test_resamples_keep_enough_distinct_rows(n):
    seen = []

    class Counting(LinearProgram):
        def fit(self, readings, settings):
            seen.append(len(np.unique(settings, axis=0)))
            return super().fit(readings, settings)

    refit_on_resamples(Counting, *twin_rows(n), 30, rng())
    assert seen[0] == n
    assert min(seen) >= 3
    assert min(seen) < n


def test_ensemble_of_too_few_rows_says_how_many():
    with pytest.raises(TooFewRows, match="needs 5 rows"):
        refit_on_resamples(Mixture, *twin_rows(4), 3, rng())
