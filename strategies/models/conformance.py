"""Checks that every inverse model has to pass, ours or a stranger's; each is a claim of the contract.

The instrument of the checks has three knobs and five channels, a bent response and known noise, so that a model may
be a straight line and still has to be honest about it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Target, learns_from_gaps

Factory: TypeAlias = Callable[[], InverseModel]
"""Makes a model that is not fitted, for instance its class."""
Check: TypeAlias = Callable[[Factory], None]

SLOPES = np.array(
    [[900.0, 100.0, 0.0, 300.0, 50.0], [80.0, 0.0, 1000.0, 200.0, 100.0], [0.0, 700.0, 60.0, 100.0, 500.0]]
)
NOISE = 5.0
D, P = SLOPES.shape
ROWS = 60
FREE = np.nan


def respond(settings: Settings) -> Readings:
    """Readings ``(n, 5)`` without noise: a line, bent by up to half a per cent of its height."""
    return np.asarray(settings @ SLOPES + 5.0 * np.sin(np.pi * settings) @ (SLOPES > 0))


def conformance_rows(n: int = ROWS, seed: int = 0) -> tuple[Readings, Settings]:
    """Noisy readings ``(n, 5)`` at random settings ``(n, 3)``."""
    rng = np.random.default_rng(seed)
    settings = rng.random((n, D))
    return respond(settings) + NOISE * rng.standard_normal((n, P)), settings


def failures(factory: Factory) -> dict[str, str]:
    """What a model does against the contract: the sentence of each check that it does not pass, none if it is sound."""
    faults = {}
    for check in CHECKS:
        try:
            check(factory)
        except (Exception, SystemExit) as error:  # a stranger's model may raise anything, and that is a failure too
            sentence = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            faults[check.__name__] = sentence or "no reason given"
    return faults


# ---------------------------------------------------------------------- manners


def has_the_members(factory: Factory) -> None:
    """The methods of the contract are all there."""
    _claim(isinstance(factory(), InverseModel), "an inverse model needs every method of the contract")


def fit_returns_the_model(factory: Factory) -> None:
    """``fit`` can be chained."""
    model = factory()
    _claim(model.fit(*conformance_rows()) is model, "fit needs to return the model itself")


def shapes_are_as_promised(factory: Factory) -> None:
    """Draws, predictions and simulations have the documented shapes and are finite."""
    model = factory().fit(*conformance_rows())
    some = np.full((4, D), 0.5)
    for name, array, shape in (
        ("sample", model.sample(_target(), 7, _rng()), (7, D)),
        ("sample of one", model.sample(_target(), 1, _rng()), (1, D)),
        ("predict", model.predict(some), (4, P)),
        ("simulate", model.simulate(some, 6, _rng()), (6, 4, P)),
    ):
        _claim(array.shape == shape, f"{name} needs to return the shape {shape}, got {array.shape}")
        _claim(bool(np.isfinite(array).all()), f"{name} needs to return finite numbers")


def before_fit_says_so(factory: Factory) -> None:
    """Every use before ``fit`` is answered with NotFittedError."""
    from sklearn.exceptions import NotFittedError  # a second of imports, needed here only

    uses: dict[str, Callable[[InverseModel], object]] = {
        "sample": lambda model: model.sample(_target(), 1, _rng()),
        "predict": lambda model: model.predict(np.zeros((1, D))),
        "simulate": lambda model: model.simulate(np.zeros((1, D)), 1, _rng()),
        "remoteness": lambda model: model.remoteness(_target()),
    }
    for name, use in uses.items():
        with _refusal(NotFittedError, f"{name} before fit"):
            use(factory())


def draws_depend_on_the_generator_alone(factory: Factory) -> None:
    """The same generator gives the same draws, whatever was asked before; another one gives others."""
    model = factory().fit(*conformance_rows())
    first = model.sample(_target(), 20, _rng(1))
    others = model.sample(_target(), 20, _rng(2))
    _claim(_same(first, model.sample(_target(), 20, _rng(1))), "draws differ for generators of the same seed")
    _claim(not _same(first, others), "draws are the same for generators of different seeds")


def two_fits_agree(factory: Factory) -> None:
    """A fit has no randomness of its own, so that a fit that was lost can be made again."""
    one, other = (factory().fit(*conformance_rows()) for _ in range(2))
    same = _same(one.sample(_target(), 20, _rng()), other.sample(_target(), 20, _rng()))
    _claim(same, "two fits on the same rows draw different settings: seed the fit in the constructor")
    some = np.full((3, D), 0.4)
    _claim(_same(one.predict(some), other.predict(some)), "two fits on the same rows predict differently")


def global_generators_are_left_alone(factory: Factory) -> None:
    """NumPy's and torch's global states are as before."""
    factory().fit(*conformance_rows())  # imports what it imports
    _move_global_states()  # a model that sets a seed would otherwise set the one that an earlier check left behind
    before = _global_states()
    model = factory().fit(*conformance_rows())
    model.simulate(model.sample(_target(), 20, _rng()), 3, _rng())
    after = _global_states()
    for name in before.keys() & after.keys():
        _claim(before[name] == after[name], f"the global state of {name} was changed: use the generator that is given")


def rows_are_left_alone(factory: Factory) -> None:
    """What was handed in is neither changed nor still looked at after the fit."""
    readings, settings = conformance_rows()
    model = factory().fit(readings, settings)
    drawn = model.sample(_target(), 10, _rng())
    again = conformance_rows()
    kept = np.array_equal(readings, again[0]) and np.array_equal(settings, again[1])
    _claim(kept, "fit changed the arrays that it was given: work on a copy")
    readings[:], settings[:] = 0.0, 0.0
    _claim(_same(drawn, model.sample(_target(), 10, _rng())), "fit kept the arrays that it was given: copy them")


# ---------------------------------------------------------------------- refusals


def too_few_rows_are_refused(factory: Factory) -> None:
    """One row less than needed is refused with the number; the number itself is enough."""
    needed = factory().rows_needed(D, P)
    readings, settings = conformance_rows(needed)
    for n in (needed - 1, 0):
        with _refusal(TooFewRows, f"a fit on {n} of {needed} rows", str(needed)):
            factory().fit(readings[:n], settings[:n])
    drawn = factory().fit(readings, settings).sample(_target(), 50, _rng())
    _claim(bool(np.isfinite(drawn).all()), f"draws after a fit on {needed} rows, as many as needed, are not finite")


def values_that_are_not_finite_are_refused(factory: Factory) -> None:
    """NaN and infinity in a row are refused; NaN readings are taken by models that learn from gaps."""
    for column, wrong in ((0, np.nan), (0, np.inf), (1, np.nan), (1, np.inf)):
        spoiled = [array.copy() for array in conformance_rows()]
        spoiled[column][4, 1] = wrong
        if column == 0 and np.isnan(wrong) and learns_from_gaps(factory()):
            drawn = factory().fit(*spoiled).sample(_target(), 20, _rng())
            _claim(bool(np.isfinite(drawn).all()), "draws after a fit with a gap are not finite")
            continue
        with _refusal(InvalidInput, f"a {('reading', 'setting')[column]} of {wrong} in row 4", "4"):
            factory().fit(*spoiled)


def rows_that_do_not_match_are_refused(factory: Factory) -> None:
    """As many readings as settings."""
    readings, settings = conformance_rows()
    with _refusal(InvalidInput, "a fit with one setting less than readings"):
        factory().fit(readings, settings[:-1])


def targets_that_say_nothing_are_refused(factory: Factory) -> None:
    """A target needs the right shape, a fixed channel and finite values; ``remoteness`` asks the same."""
    model = factory().fit(*conformance_rows())
    senseless = {
        "with all channels free": np.full(P, FREE),
        "of the wrong shape": _target()[:-1],
        "with an infinite reading": np.array([np.inf, *_target()[1:]]),
    }
    for what, target in senseless.items():
        with _refusal(InvalidInput, f"sample for a target {what}"):
            model.sample(target, 1, _rng())
        with _refusal(InvalidInput, f"remoteness of a target {what}"):
            model.remoteness(target)


def poor_rows_are_no_exception(factory: Factory) -> None:
    """Constant channels and knobs, collinear channels and doubled rows are fitted for what they are worth."""
    for kind, (readings, settings) in _poor().items():
        model = factory().fit(readings, settings)
        drawn = model.sample(readings[0], 50, _rng())
        _claim(bool(np.isfinite(drawn).all()), f"draws after a fit on rows with {kind} are not finite")
        off = np.abs(model.predict(settings) - readings).max()
        _claim(off < 12 * NOISE, f"predictions are off by up to {off:.3g} after a fit on rows with {kind}")


# ---------------------------------------------------------------------- quality


def draws_answer_the_target(factory: Factory) -> None:
    """Settings drawn for a target give it, whichever channels it fixes."""
    model = factory().fit(*conformance_rows())
    goal = respond(np.array([[0.4, 0.3, 0.6]]))[0]
    for fixed in ([0], [1, 2], [0, 1, 2], [0, 2, 4], [0, 1, 2, 3, 4]):
        target = np.full(P, FREE)
        target[fixed] = goal[fixed]
        off = np.median(np.abs(respond(model.sample(target, 300, _rng())) - goal)[:, fixed], axis=0)
        _claim(
            bool((off < 5 * NOISE).all()), f"draws for a target that fixes channels {fixed} miss it by {off.round(1)}"
        )


def freedom_is_spread(factory: Factory) -> None:
    """Settings that the target does not determine are drawn from all over the box."""
    target = np.full(P, FREE)
    target[2] = 500.0  # mostly the second knob
    spread = factory().fit(*conformance_rows()).sample(target, 300, _rng()).std(axis=0)
    free, fixed = spread[[0, 2]].min(), spread[1]
    _claim(free > 0.15, f"settings that the target leaves free spread by {free:.3f} of the box only")
    _claim(fixed < 0.08, f"the setting that the target determines spreads by {fixed:.3f} of the box")


def simulated_readings_scatter_about_the_prediction(factory: Factory) -> None:
    """``simulate`` draws about ``predict``, at least as widely as a reading scatters."""
    model = factory().fit(*conformance_rows())
    some = conformance_rows(5, seed=3)[1]
    drawn = model.simulate(some, 400, _rng())
    off = np.abs(np.median(drawn, axis=0) - model.predict(some)).max()
    _claim(off < 2 * NOISE, f"simulated readings lie {off:.3g} beside the prediction in the median")
    spread = np.median(drawn.std(axis=0))
    _claim(0.6 * NOISE < spread < 3 * NOISE, f"simulated readings scatter by {spread:.3g}, and a reading by {NOISE:g}")


def intervals_hold(factory: Factory) -> None:
    """Nine in ten fresh rows lie within the central nine tenths of the draws, of settings and of readings."""
    model = factory().fit(*conformance_rows())
    readings, settings = conformance_rows(120, seed=1)
    drawn = np.stack([model.sample(row, 200, _rng()) for row in readings[:60]], axis=1)
    for what, draws, truths in (
        ("settings", drawn, settings[:60]),
        ("readings", model.simulate(settings, 200, _rng()), readings),
    ):
        low, high = np.quantile(draws, (0.05, 0.95), axis=0)
        held = float(((truths >= low) & (truths <= high)).mean())
        _claim(0.8 <= held <= 0.98, f"90 % intervals of {what} hold {held:.0%} of fresh rows")


def remote_targets_are_told(factory: Factory) -> None:
    """Three times the range and a negative reading warn, fresh rows hardly ever do."""
    model = factory().fit(*conformance_rows())
    for what, traps in {
        "three times the range": 3 * conformance_rows()[0].max(axis=0),
        "below 0": np.full(P, -300.0),
    }.items():
        target = np.array([traps[0], *_target()[1:]])
        score = model.remoteness(target).score
        _claim(score > 1, f"a target {what} in one channel has the remoteness {score:.2g}, and needs more than 1")
    false = float(np.mean([model.remoteness(row).score > 1 for row in conformance_rows(100, seed=2)[0]]))
    _claim(false <= 0.1, f"{false:.0%} of fresh rows are called remote")


CHECKS: tuple[Check, ...] = (
    has_the_members,
    fit_returns_the_model,
    shapes_are_as_promised,
    before_fit_says_so,
    draws_depend_on_the_generator_alone,
    two_fits_agree,
    global_generators_are_left_alone,
    rows_are_left_alone,
    too_few_rows_are_refused,
    values_that_are_not_finite_are_refused,
    rows_that_do_not_match_are_refused,
    targets_that_say_nothing_are_refused,
    poor_rows_are_no_exception,
    draws_answer_the_target,
    freedom_is_spread,
    simulated_readings_scatter_about_the_prediction,
    intervals_hold,
    remote_targets_are_told,
)
"""In the order in which a new model is best mended."""


# ---------------------------------------------------------------------- small things


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two answers agree; that they are no numbers is for another check to say."""
    return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")


def _claim(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


@contextmanager
def _refusal(kind: type[Exception], what: str, naming: str = "") -> Iterator[None]:
    """Claim that what is done here is refused with an error of this kind that names something."""
    try:
        yield
    except kind as error:
        _claim(naming in str(error), f"{what} is refused without naming {naming}: {error}")
        return
    except Exception as error:
        raise AssertionError(f"{what} needs {kind.__name__}, got {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what} needs {kind.__name__}, and was accepted")


def _target() -> Target:
    return np.array([500.0, 400.0, 550.0, FREE, FREE])


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _poor() -> dict[str, tuple[Readings, Settings]]:
    readings, settings = conformance_rows(24)
    constant, still = readings.copy(), settings.copy()
    constant[:, 1], still[:, 1] = 7.0, 0.5
    twice: NDArray[np.intp] = np.arange(24) % 12
    return {
        "a constant channel": (constant, settings),
        "a knob that never moved": (respond(still) + readings - respond(settings), still),
        "collinear channels": (np.column_stack((readings[:, :2], 2 * readings[:, :2], readings[:, 2])), settings),
        "each row twice": (readings[twice], settings[twice]),
    }


def _move_global_states() -> None:
    np.random.random()  # noqa: NPY002
    if "torch" in sys.modules:
        torch: Any = sys.modules["torch"]
        torch.rand(1)


def _global_states() -> dict[str, Any]:
    numbers: Any = np.random.get_state()  # noqa: NPY002
    states: dict[str, Any] = {"NumPy's generator": [np.asarray(part).tolist() for part in numbers]}
    if "torch" in sys.modules:  # a model that uses it has imported it
        torch: Any = sys.modules["torch"]
        states["torch's generator"] = torch.get_rng_state().tolist()
        states["torch"] = (torch.get_default_dtype(), torch.get_num_threads())
    return states
