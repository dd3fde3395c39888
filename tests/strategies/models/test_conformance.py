"""The checks of an inverse model, tried on a stranger's: a sound one passes, and each fault is called by its name."""

import subprocess
import sys

import numpy as np
import pytest
from places import ROOT, SUPPORT
from stranger import Stranger

from strategies.contract import Remoteness
from strategies.models.conformance import CHECKS, failures


class Forgetful(Stranger):
    def sample(self, target, n, rng):
        return super().sample(target, n, np.random.default_rng())


class Reseeding(Stranger):
    def fit(self, readings, settings):
        np.random.seed(0)  # noqa: NPY002
        return super().fit(readings, settings)


class Keeping(Stranger):
    def fit(self, readings, settings):
        super().fit(readings, settings)
        self.rows_ = readings, settings
        return self

    def sample(self, target, n, rng):
        if hasattr(self, "rows_"):
            super().fit(*self.rows_)
        return super().sample(target, n, rng)


class Swallowing(Stranger):
    def fit(self, readings, settings):
        return super().fit(np.nan_to_num(readings), np.nan_to_num(settings))


class Greedy(Stranger):
    def fit(self, readings, settings):
        if len(readings) < 20:
            raise RuntimeError("the matrix is singular")
        return super().fit(readings, settings)


class Eager(Stranger):
    noise_ = np.ones(5)


class Credulous(Stranger):
    def remoteness(self, target):
        super().remoteness(target)
        return Remoteness(0.0, "beyond all readings")


class Shy(Stranger):
    def remoteness(self, target):
        super().remoteness(target)
        return Remoteness(9.0, "beyond all readings")


class Averaging(Stranger):
    def sample(self, target, n, rng):
        return np.tile(super().sample(target, n, rng).mean(axis=0), (n, 1))


class Flat(Stranger):
    def simulate(self, settings, n, rng):
        return np.broadcast_to(self.predict(settings), (n, len(settings), len(self.noise_)))


class Lacking:
    def fit(self, readings, settings):
        return self


class Silent(Stranger):
    def fit(self, readings, settings):  # returns nothing
        super().fit(readings, settings)


def named(value):
    return value.__name__ if isinstance(value, type) else None


def test_a_sound_stranger_passes():
    assert failures(Stranger) == {}


@pytest.mark.parametrize(
    ("model", "check", "says"),
    [
        (Forgetful, "draws_depend_on_the_generator_alone", "same seed"),
        (Reseeding, "global_generators_are_left_alone", "NumPy's generator"),
        (Keeping, "rows_are_left_alone", "copy"),
        (Swallowing, "values_that_are_not_finite_are_refused", "was accepted"),
        (Greedy, "too_few_rows_are_refused", "needs TooFewRows, got RuntimeError"),
        (Eager, "before_fit_says_so", "NotFittedError"),
        (Credulous, "remote_targets_are_told", "needs more than 1"),
        (Shy, "remote_targets_are_told", "of fresh rows are called remote"),
        (Averaging, "intervals_hold", "90 % intervals of settings"),
        (Flat, "simulated_readings_scatter_about_the_prediction", "and a reading by 5"),
        (lambda: Stranger(width=0.2), "intervals_hold", "90 % intervals of settings"),
        (lambda: Stranger(width=4.0), "intervals_hold", "hold 100% of fresh rows"),
        (Lacking, "has_the_members", "every method"),
        (Silent, "fit_returns_the_model", "the model itself"),
    ],
    ids=named,
)
def test_a_fault_is_called_by_its_name(model, check, says):
    assert says in failures(model)[check]


def test_a_fault_fails_no_other_check():
    """Only what is wrong is called wrong, so that a stranger knows what to mend."""
    assert set(failures(Reseeding)) == {"global_generators_are_left_alone"}
    assert set(failures(Credulous)) == {"remote_targets_are_told"}
    assert set(failures(Flat)) == {"simulated_readings_scatter_about_the_prediction", "intervals_hold"}


def test_draws_that_are_no_numbers_are_called_that_and_nothing_else():
    class Empty(Stranger):
        def sample(self, target, n, rng):
            return np.full_like(super().sample(target, n, rng), np.nan)

    found = failures(Empty)
    assert "finite" in found["shapes_are_as_promised"]
    assert not {"two_fits_agree", "rows_are_left_alone"} & set(found)


def test_a_model_that_ends_the_program_fails():
    class Leaving(Stranger):
        def fit(self, readings, settings):
            raise SystemExit(0)

    assert "SystemExit" in failures(Leaving)["fit_returns_the_model"]


def test_every_check_says_what_it_is_for():
    assert all((check.__doc__ or "").strip() for check in CHECKS)
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)


def test_a_strangers_package_is_checked_from_the_command_line(tmp_path):
    """Installed beside us under our entry point, it is found, listed and checked like our own."""
    (tmp_path / "stranger.py").write_text((SUPPORT / "stranger.py").read_text())
    (tmp_path / "crooked.py").write_text(
        "import numpy as np\nfrom stranger import Stranger\n\n\nclass Crooked(Stranger):\n    '''Never sure.'''\n\n"
        "    def sample(self, target, n, rng):\n        return super().sample(target, n, np.random.default_rng())\n"
    )
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sdl.inverse_models]\nstranger = stranger:Stranger\ncrooked = crooked:Crooked\nbroken = nowhere:Model\n"
    )

    def check(*names):
        command = [sys.executable, "-m", "flows.cli.app", "plugins", *(f"--check={name}" for name in names)]
        environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "", "HOME": str(tmp_path), "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)

    sound, crooked, broken = check("stranger"), check("crooked"), check("broken")
    assert sound.returncode == 0
    assert "stranger keeps the contract" in sound.stdout
    assert crooked.returncode == 3
    assert "draws differ for generators of the same seed" in crooked.stdout
    assert broken.returncode == 2
    assert "Traceback" not in broken.stderr
    assert "nowhere" in broken.stderr
