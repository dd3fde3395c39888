"""Inverse problems with known answers, for the tests of the strategies."""

import json

import numpy as np
from scipy.optimize import least_squares

from sdl import plugins
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Condition, Knob, Space

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


def wide_rows(path, knobs, channels, n=60):
    """A file of rows of so many knobs and channels, each of which one knob moves."""
    rng = np.random.default_rng(knobs + 100 * channels)
    settings = rng.random((n, knobs))
    readings = settings[:, np.arange(channels) % knobs] + 0.1 * rng.standard_normal((n, channels))
    names = [*(f"in.knob {k + 1}" for k in range(knobs)), *(f"out.channel {c + 1}" for c in range(channels))]
    lines = [",".join(names), *(",".join(map(str, row)) for row in np.hstack((settings, readings)).tolist())]
    path.write_text("\n".join(lines) + "\n")
    return path


OVEN_NOISE, OVEN_TOLERANCE = 0.5, 1.5


class Oven:
    """Two channels that the swinging temperature of the room moves; a thermometer reads it, if there is one."""

    def __init__(self, seed, thermometer=True, swing=6.0):
        self.rng, self.requests, self.swing = np.random.default_rng(seed), 0, swing
        self.phase, self.thermometer = self.rng.uniform(0, 2 * np.pi), thermometer
        self.space = Space(
            knobs=(Knob(name="a"), Knob(name="b")),
            channels=tuple(Channel(name=name, floor=None, integral=False, noise=OVEN_NOISE) for name in "yz"),
            conditions=(Condition(name="temperature", unit="°C", low=15, high=35),) if thermometer else (),
        )
        self.patience, self.identity = Patience(attempts=1), f"oven-{seed}"

    @property
    def temperature(self):
        return 25 + self.swing * np.sin(self.phase + 2 * np.pi * self.requests / 25)

    def truth(self, settings, temperature):
        warm = (temperature - 25) / 10
        y = 100 * settings[0] * (1 + 0.2 * warm) + 10 * settings[1] ** 2 + 8 * warm
        return np.array([y, 80 * settings[1] * (1 - 0.15 * warm) + 15 * settings[0]])

    def measure(self, settings):
        point = self.space.settings(settings)
        self.requests += 1
        readings = self.truth(point, self.temperature) + OVEN_NOISE * self.rng.standard_normal(2)
        named = self.space.named_readings(readings)
        said = {"temperature": self.temperature} if self.thermometer else {}
        return Reply(self.space.named_settings(point), named, json.dumps(named | said), conditions=said)

    def close(self):
        pass


def oven_target(oven, seed, temperature=25.0):
    """What settings somewhere in the middle read at a temperature."""
    return oven.truth(np.random.default_rng([seed, 9]).uniform(0.25, 0.75, 2), temperature)


def oven_campaign(seed, target, **more):
    """A campaign for that."""
    readings = dict(zip("yz", target.tolist(), strict=True))
    return {
        "name": "oven",
        "instrument": {"plugin": "oven"},
        "seed": seed,
        "budget": 60,
        "targets": [{"name": "bread", "readings": readings, "tolerance": OVEN_TOLERANCE}],
        **more,
    }


def rates(high, n=20, noise=0.01, seed=0, low=0.0, respond=lambda s: 6 * s / (3 + s)):
    """Noisy rates ``(n, 1)`` of an enzyme, Vmax 6 and Km 3, at random substrates ``(n, 1)`` in the unit box."""
    rng = np.random.default_rng(seed)
    unit = rng.random((n, 1))
    clean = respond(low + unit * (high - low))
    return clean + noise * clean.max() * rng.standard_normal((n, 1)), unit
