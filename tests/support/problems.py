"""Inverse problems with known answers, for the tests of the strategies."""

import json

import numpy as np
from scipy.optimize import least_squares

from sdl import plugins
from sdl.instruments.claude_light.twin import Twin

LAWS = ("beer-lambert", "michaelis-menten")
MODELS = tuple(name for name in plugins.names("sdl.inverse_models") if name not in LAWS)
"""Registered inverse models that go with rows of any instrument."""
CHANNELS = Twin().space.channel_names
PAPER = Twin().space.readings({"445nm": 16384, "515nm": 16384, "630nm": 16384})


def twin_rows(n, seed=0, **options):
    """Readings ``(n, p)`` of a twin in the dark at a Latin hypercube ``(n, d)``."""
    twin = Twin(seed=seed, session_gain=False, **options)
    rng = np.random.default_rng(seed)
    settings = (rng.permuted(np.tile(np.arange(n), (3, 1)), axis=1).T + rng.random((n, 3))) / n
    replies = [twin.measure(twin.space.named_settings(row)).readings for row in settings]
    return np.array([list(reply.values()) for reply in replies], float), settings


def twin_answer(target):
    """The settings that give the fixed channels of a target on the noise-free twin."""
    truth, fixed = Twin(session_gain=False).truth, ~np.isnan(target)
    return least_squares(lambda settings: (truth(settings) - target)[fixed], np.full(3, 0.4), bounds=(0, 1)).x


def two_branches(settings):
    """Readings ``(n, 2)`` that fold the first knob: every target has two answers, mirror images about 0.5."""
    return np.column_stack(((2 * settings[:, 0] - 1) ** 2, settings[:, 1]))


def linear(settings):
    """Readings ``(n, 4)`` of two knobs, collinear by design."""
    return settings @ np.array([[100.0, 40.0, 0.0, 200.0], [0.0, 30.0, 80.0, 0.0]])


class Line:
    """A fitted model in the simplest form: the reading is a slope times each knob, and offers come from a list."""

    def __init__(self, slope, offers):
        self.slope, self.offers = np.asarray(slope, float), np.asarray(offers, float)

    def sample(self, target, n, rng):
        return self.offers[rng.integers(len(self.offers), size=n)]

    def predict(self, settings):
        return settings * self.slope


def written(path, settings, readings, channels=CHANNELS):
    """A file in the paper's format; NaN is left out."""
    lines = []
    for asked, row in zip(settings, readings, strict=True):
        out = {name: value for name, value in zip(channels, row.tolist(), strict=True) if value == value}
        lines.append(json.dumps({"in": asked.tolist(), "out": out}) + "\n")
    path.write_text("".join(lines))
    return path


def rates(high, n=20, noise=0.01, seed=0, low=0.0, respond=lambda s: 6 * s / (3 + s)):
    """Noisy rates ``(n, 1)`` of an enzyme, Vmax 6 and Km 3, at random substrates ``(n, 1)`` in the unit box."""
    rng = np.random.default_rng(seed)
    unit = rng.random((n, 1))
    clean = respond(low + unit * (high - low))
    return clean + noise * clean.max() * rng.standard_normal((n, 1)), unit
