"""Benchmark problems as instruments: their formulas, their priors, and what they refuse."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flows.engine.opening import open_session
from sdl import plugins
from sdl.errors import InvalidInput
from sdl.instruments.simulated import homogenisation
from sdl.instruments.simulated.ballistics import DRAG, GRAVITY, MASS, Ballistics
from sdl.instruments.simulated.crystal import Crystal
from sdl.instruments.simulated.material import Material
from sdl.instruments.simulated.robotic_arm import RoboticArm
from sdl.instruments.simulated.sinewave import Sinewave

FORMULAS = [Sinewave, RoboticArm, Ballistics, Material]
SIDE = 32
each_formula = pytest.mark.parametrize("kind", FORMULAS, ids=lambda kind: kind.NAME)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def records(tmp_path):
    """A folder as the crystal wants it; of a gap that is a slope and closes."""
    low, high = (np.array([getattr(knob, end) for knob in Crystal.KNOBS]) for end in ("low", "high"))
    unit = rng().random((400, len(Crystal.KNOBS)))
    np.savetxt(tmp_path / "data_x.csv", low + unit * (high - low), delimiter=",")
    np.savetxt(tmp_path / "data_y.csv", np.maximum(2 * unit[:, 0] - 0.5, 0))
    return tmp_path


@each_formula
def test_rows_are_readings_of_settings_in_the_box(kind):
    made = kind()
    readings, settings = made.rows(300, rng())
    assert made.space.contains(settings).all()
    np.testing.assert_array_equal(readings, made.truth(settings))
    np.testing.assert_array_equal(made.prior(300, rng()), settings)
    assert np.isfinite(readings).all()
    assert np.ptp(readings, axis=0).min() > 0.5


@each_formula
def test_noise_is_exactly_what_was_asked_for(kind):
    made = kind(seed=1, noise=0.1)
    assert [channel.noise for channel in made.space.channels] == [0.1] * made.space.p
    readings, settings = made.rows(200, rng())
    assert (readings - made.truth(settings)).std() == pytest.approx(0.1, rel=0.15)
    asked = made.space.named_settings(settings[0])
    measured = np.array([list(made.measure(asked).readings.values()) for _ in range(20)])
    assert 0.05 < measured.std(axis=0).max() < 0.2
    assert kind().measure(asked).readings == kind(seed=5).measure(asked).readings


def test_noise_below_zero_is_refused():
    with pytest.raises(InvalidInput, match="noise"):
        Sinewave(noise=-0.1)


def test_priors_are_those_of_the_papers():
    arm, throw = RoboticArm().prior(20_000, rng()), Ballistics().prior(20_000, rng())
    np.testing.assert_allclose(arm.std(axis=0), [0.25, 0.5, 0.5, 0.5], rtol=0.03)
    np.testing.assert_allclose(arm.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(throw.mean(axis=0), [0, 1.5, 45, 15], atol=0.5)
    np.testing.assert_allclose(throw.std(axis=0), [0.5, 0.5, 72 / np.sqrt(12), np.sqrt(15)], rtol=0.03)
    assert (throw[:, 1] > 0).all()
    assert (throw[:, 3] % 1 == 0).all()


def test_the_arm_is_a_chain_of_its_segments():
    """Segment by segment, each at its angle, from the base upward."""
    settings = RoboticArm().prior(50, rng())
    for (rail, a, b, c), hand in zip(settings, RoboticArm().truth(settings), strict=True):
        place = 1j * rail
        for length, angle in ((0.5, a), (0.5, b - a), (1.0, c - b - a)):
            place += length * np.exp(1j * angle)
        np.testing.assert_allclose(hand, [place.real, place.imag])


@pytest.mark.parametrize("throw", [(0.3, 1.5, 45, 15), (-1, 0.2, 9, 30), (0, -0.3, 70, 8), (0, 3.5, 81, 40)], ids=str)
def test_ballistics_agrees_with_its_equation_of_motion(throw):
    place, height, angle, speed = throw

    def motion(_, state):
        return [state[2], state[3], -DRAG / MASS * state[2], -GRAVITY - DRAG / MASS * state[3]]

    def down(_, state):
        return state[1]

    down.terminal, down.direction = True, -1
    start = [place, height, speed * np.cos(np.radians(angle)), speed * np.sin(np.radians(angle))]
    flown = solve_ivp(motion, (0, 60), start, events=down, rtol=1e-10, atol=1e-12)
    assert Ballistics().truth(np.array([throw]))[0, 0] == pytest.approx(flown.y_events[0][0][0], abs=1e-7)


def test_a_ball_that_never_lands_is_refused_and_one_on_the_ground_has_landed():
    made = Ballistics()
    never = np.array([[0.5, -0.4, 30.0, 1.0]])
    assert np.isnan(made.truth(never)).all()
    with pytest.raises(InvalidInput, match="height"):
        made.measure(made.space.named_settings(never[0]))
    assert made.measure(made.space.named_settings([0.5, 0.0, 30.0, 0.0])).readings == {"distance": 0.5}


@pytest.mark.parametrize(
    ("options", "target", "tolerance", "rows"),
    [
        ({"plugin": "sinewave", "noise": 0.01}, {"y": 1.2}, 0.05, 20),
        ({"plugin": "robotic-arm"}, {"reach": 1.5, "height": 0.5}, 0.05, 40),
        ({"plugin": "ballistics", "noise": 0.02}, {"distance": 8.0}, 0.3, 40),
        ({"plugin": "material", "side": 4, "noise": 0.001}, {"modulus": 0.3}, 0.02, 40),
        ({"plugin": "crystal", "stand_in": "networks", "noise": 0.01}, {"gap": 0.5}, 0.1, 40),
    ],
    ids=lambda value: value.get("plugin") if isinstance(value, dict) else None,
)
def test_a_campaign_ends_verified(options, target, tolerance, rows, records, tmp_path, drive):
    written = {
        "name": "problem",
        "budget": 150,
        "instrument": options | ({"path": str(records)} if options["plugin"] == "crystal" else {}),
        "targets": [{"readings": target, "tolerance": tolerance}],
        "models": ["nearest"],
        "design": {"n": rows},
        "background": {"every": 0},
    }
    with open_session(written, tmp_path / "home", str(tmp_path / "ledger.db")) as session:
        assert drive(session)["verified"]


# ---------------------------------------------------------------------- material


def test_cells_are_symmetric_as_a_square_and_carry_a_load():
    cells = Material().prior(100, rng()).reshape(-1, SIDE, SIDE)
    for image in (cells.mT, cells[:, ::-1], cells[:, :, ::-1]):
        np.testing.assert_array_equal(cells, image)
    assert set(np.unique(cells)) == {0.0, 1.0}
    moduli = Material().truth(cells.reshape(100, -1))[:, 0]
    assert moduli.min() > 0.05
    assert (moduli < cells.mean(axis=(1, 2)) + 1e-3).all()  # no mixture is stiffer than its share (Voigt)


def test_a_quarter_of_a_mirrored_cell_says_what_the_whole_does():
    """Moved by a pixel the material is the same, but its cell is no longer its mirror image and is solved whole."""
    cells = 0.01 + Material().prior(3, rng()).reshape(-1, SIDE, SIDE)
    np.testing.assert_allclose(
        homogenisation.effective_modulus(np.roll(cells, 1, axis=2)), homogenisation.effective_modulus(cells), 1e-9
    )


def test_a_material_is_stiffer_along_its_layers_than_across():
    layers = np.full((1, SIDE, SIDE), 0.1)
    layers[:, :, : SIDE // 2] = 1.0
    along, across = (homogenisation.effective_modulus(each)[0] for each in (layers, layers.mT))
    assert along == pytest.approx(0.55)
    assert 2 / (1 / 0.1 + 1) <= across < 0.25  # at least the harmonic mean (Reuss)


def test_more_solid_is_never_softer():
    cell = Material().prior(1, rng())
    more = np.maximum(cell, (rng(1).random(cell.shape) < 0.2).astype(float))
    assert Material().truth(more)[0, 0] > Material().truth(cell)[0, 0]


@pytest.mark.parametrize("side", [4, 8])
def test_a_cell_may_have_fewer_pixels(side):
    made = Material(side=side)
    assert made.space.d == side**2
    assert (made.rows(5, rng())[0] > 0).all()
    with pytest.raises(InvalidInput, match="even number of pixels from 4 on, got 7"):
        Material(side=7)


# ---------------------------------------------------------------------- crystal


def test_records_come_as_they_are_and_their_model_answers_between_them(records):
    made = plugins.build("sdl.instruments", "crystal", {"path": str(records)})
    readings, settings = made.rows(400, rng())
    assert len(np.unique(settings, axis=0)) == 400
    assert np.sqrt(np.mean((made.truth(settings) - readings) ** 2)) < 0.05
    fresh = made.space.from_unit(rng(1).random((200, 7)))
    wanted = np.maximum(2 * made.space.to_unit(fresh)[:, :1] - 0.5, 0)
    assert np.sqrt(np.mean((made.truth(fresh) - wanted) ** 2)) < 0.15
    assert (made.truth(fresh) >= 0).all()
    noisy = plugins.build("sdl.instruments", "crystal", {"path": str(records), "noise": 0.1})
    assert (noisy.rows(400, rng())[0] - readings).std() == pytest.approx(0.1, rel=0.15)


def test_what_is_wrong_with_the_records_is_a_sentence(records):
    def faults(path=records, **options):
        with pytest.raises(InvalidInput) as caught:
            plugins.build("sdl.instruments", "crystal", {"path": str(path), **options})
        return str(caught.value)

    assert "get them from https://" in faults(records / "nowhere")
    assert "unknown forward model 'netwroks'; did you mean 'networks'?" in faults(stand_in="netwroks")
    settings = np.loadtxt(records / "data_x.csv", delimiter=",")
    settings[3, 0] = 9.0
    np.savetxt(records / "data_x.csv", settings, delimiter=",")
    assert "out of bounds" in faults()
    np.savetxt(records / "data_x.csv", settings[:, 1:], delimiter=",")
    assert "needs 7 columns" in faults()
