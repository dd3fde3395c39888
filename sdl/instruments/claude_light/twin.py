"""A twin of Claude-Light that reproduces its records: cross-talk, level response, jitter, daylight, clip, drift.

    reading = clip(round(dark + sum over colours of level(duty + jitter) + ambient light + extra noise))

The figures in ``twin_parameters.json`` were fitted to public records of the instrument.
"""

import json
import time
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Readings, Settings, Space

Daylight = Literal["dark", "hours"] | float
MAINS = ("daylight_diffuse", "office_lamp", "sun_direct")
SHARES = np.array([0.87, 0.10, 0.03])
SHARE_SCATTER = 0.2
LAG_S = 4.0
UNLIKE = (0.05, 0.20)
"""By how much the channels of another instrument read more or less."""
SHIFT = 0.3
"""By how much more or less a lamp of another instrument shines 100 nm from its peak: standard deviation, logarithms."""
WAVELENGTHS = np.array([415, 445, 480, 515, 555, 590, 630, 680, np.nan, 810])
"""Of the channels, nm; ``clear`` sees all."""


class Twin:
    """Claude-Light, simulated.

    Time is the twin's own: it starts at ``start_hour`` and passes only while a request is measured, so that a
    campaign with one seed sees the same light each time; with ``clock="wall"`` it also passes between requests.

    Args:
        seed: Seed of everything random in it.
        daylight: ``"dark"``; a median level at 515nm in counts that holds all day; or ``"hours"`` for the
            recorded course of a day.
        memory_h: Hours after which the logarithm of the light has forgotten itself (1/e).
        scatter: Standard deviation of the logarithm of the light about its median.
        start_hour: Local time at which the twin's clock starts, hours.
        speed: How many times faster than the wall's its clock runs; 0 answers at once.
        clock: ``"steps"`` or ``"wall"``, see above.
        steady: Counts of a constant background by channel, added to all else.
        noise: Factor on every noise of lamp and sensor; 0 gives the noise-free instrument.
        session_gain: Whether the colours' gains are off by what was seen between sessions (0.1 to 0.4 %).
        drift: Relative gain of every colour a day (2.8 % in 14 months were seen at green).
        unit: 0 for the instrument that was recorded. Any other number is another one of the kind, made of other parts:
            its channels read 5 to 20 % more or less, and its lamps shine at other wavelengths, so that what each of
            them does to each channel is mixed otherwise.

    References:
        The instrument: https://github.com/jkitchin/claude-light
    """

    def __init__(
        self,
        seed: int = 0,
        daylight: Daylight = "dark",
        memory_h: float = 2.0,
        scatter: float = 0.64,
        start_hour: float = 12.0,
        speed: float = 0.0,
        clock: Literal["steps", "wall"] = "steps",
        steady: dict[str, float] | None = None,
        noise: float = 1.0,
        session_gain: bool = True,
        drift: float = 6.6e-5,
        unit: int = 0,
    ) -> None:
        if daylight not in ("dark", "hours") and not float(daylight) >= 0:
            raise InvalidInput(f"daylight needs 'dark', 'hours' or counts >= 0, got {daylight!r}")
        limits = {"memory_h": memory_h > 0, "scatter": scatter >= 0, "speed": speed >= 0, "noise": noise >= 0}
        limits |= {"unit": unit >= 0}
        if wrong := [name for name, right in limits.items() if not right]:
            raise InvalidInput([f"{name}: the twin needs a number that is not negative" for name in wrong])
        self.space: Space = SPACE
        self.patience = Patience(first_wait=0.05)
        self.identity = f"twin-{seed}" + (f"-unit-{unit}" if unit else "")
        self.speed = speed
        self.lamp = 0.0  # counts at 515nm of a lamp that somebody switched on
        self._daylight: Daylight = daylight
        self._steady = SPACE.readings(steady or {})
        self._scatter, self._memory_s, self._drift, self._noise = scatter, 3600 * memory_h, drift, noise
        self._start_s, self._clock, self._wall = 3600 * start_hour, clock, time.monotonic()
        self._readings_rng, light_rng, self._time_rng, gain_rng = np.random.default_rng(seed).spawn(4)
        self._light = _Light(light_rng, self._memory_s)
        self._gain = 1.0 + session_gain * _figures().gain_scatter * gain_rng.standard_normal(3)
        self._sensor, self._lamps = _parts(unit)
        self.elapsed_s = 0.0

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading; the twin's clock moves on by the time that it takes."""
        duty = self.space.settings(settings)
        seconds = float(np.interp(self._time_rng.random(), *_figures().seconds))
        self._pass_time(seconds)
        counts = self._jittered(duty) + self.ambient()
        counts = np.clip(np.rint(counts), 0, 65535).astype(int)
        readings = dict(zip(self.space.channel_names, counts.tolist(), strict=True))
        applied = self.space.named_settings(duty)
        raw = json.dumps({"in": list(applied.values()), "out": readings})
        return Reply(applied=applied, readings=readings, raw=raw, seconds=seconds)

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(..., p)`` at settings ``(..., d)`` in the light of this moment, not clipped."""
        duty = np.asarray(settings, float)
        return np.asarray(_figures().dark_mean + self._response(duty[..., None, :]) + self.ambient())

    def ambient(self) -> Readings:
        """Return the counts that the light of this moment adds, ``(p,)``."""
        hour = (self._start_s + self.elapsed_s) / 3600 % 24
        if self._daylight == "dark":
            level = 0.0
        elif self._daylight == "hours":
            course = _figures().hourly
            level = float(np.exp(np.interp(hour, np.arange(25), np.log(np.append(course, course[0])))))
        else:
            level = float(self._daylight)
        spectra = _figures().spectra
        shares = SHARES * np.exp(SHARE_SCATTER * self._light.state[1:])
        day = level * np.exp(self._scatter * self._light.state[0]) * (shares / shares.sum()) @ spectra
        return np.asarray(self._sensor * (day + self.lamp * spectra[1]) + np.nan_to_num(self._steady))

    def close(self) -> None:
        """Nothing to leave safe."""

    def _pass_time(self, seconds: float) -> None:
        if self.speed > 0:
            time.sleep(seconds / self.speed)
        if self._clock == "wall":
            now = time.monotonic()
            seconds, self._wall = (now - self._wall) * (self.speed or 1.0), now
        self.elapsed_s += seconds
        self._light.advance(seconds)

    def _jittered(self, duty: Settings) -> Readings:
        figures, rng = _figures(), self._readings_rng
        lit = (duty > 0) & (duty < 1)
        jitter = figures.jitter * lit * rng.standard_normal((3, duty.size)) * self._noise  # one a window
        # The LED cannot be driven beyond its range, nor does jitter make "fully on" of "almost".
        driven = np.where(lit, np.clip(duty + jitter, 0, np.nextafter(1, 0)), duty)
        scatter = np.where(lit.any(), figures.extra_std, figures.edge_std if duty.any() else 0.0)
        dark = figures.dark_mean.copy()
        dark[figures.green] = rng.choice(figures.dark_green_counts, p=figures.dark_green_share)
        noise = self._noise * scatter * rng.standard_normal(dark.size)
        return np.asarray(dark + self._response(driven[figures.window]) + noise)

    def _response(self, duty: Settings) -> Readings:
        """Counts of the LEDs ``(..., p)`` at the duty that each channel sees, ``(..., p or 1, d)``."""
        figures = _figures()
        aged = self._gain * (1 + self._drift * self.elapsed_s / 86400)
        duty = np.broadcast_to(duty, (*duty.shape[:-2], len(figures.window), duty.shape[-1]))
        counts = (figures.level(duty) * aged * self._lamps).sum(axis=-1)
        pairs = duty[..., figures.clear, [0, 0, 1]] * duty[..., figures.clear, [1, 2, 2]]
        counts[..., figures.clear] += pairs @ figures.clear_pairs
        return np.asarray(counts)


def _parts(unit: int) -> tuple[Readings, NDArray[np.float64]]:
    """Gain of each channel of an instrument ``(p,)``, and of each colour in each channel ``(p, 3)``."""
    p = len(SPACE.channels)
    if unit == 0:
        return np.ones(p), np.ones((p, 3))
    rng = np.random.default_rng(unit)
    sensor = 1 + rng.choice((-1, 1), p) * rng.uniform(*UNLIKE, p)
    # A lamp whose peak is shifted has more on one side of it and less on the other, the more the further away.
    away = WAVELENGTHS[:, None] - WAVELENGTHS[[1, 3, 6]][::-1]
    tilt = np.exp(SHIFT * rng.standard_normal(3) * np.nan_to_num(away) / 100)
    return sensor, sensor[:, None] * tilt


class _Light:
    """Independent processes with mean 0, variance 1 and exponential memory: overall level, then the shares.

    Each follows a process of that kind with a lag of some seconds, as no cloud passes at once; without it the
    changes within a second or two come out more than twice as large as the recorded ones.
    """

    def __init__(self, rng: np.random.Generator, memory_s: float) -> None:
        self._rng, self._memory_s = rng, memory_s
        self._ahead = rng.standard_normal(1 + len(MAINS))
        self.state = self._ahead.copy()

    def advance(self, seconds: float) -> None:
        remembered = np.exp(-seconds / self._memory_s)
        fresh = np.sqrt(1 - remembered**2) * self._rng.standard_normal(self.state.size)
        self._ahead = remembered * self._ahead + fresh
        self.state = self.state + (1 - np.exp(-seconds / LAG_S)) * (self._ahead - self.state)


class _Figures:
    """``twin_parameters.json`` as arrays."""

    def __init__(self, figures: dict[str, Any]) -> None:
        channels: list[str] = figures["channels"]
        self.levels = np.array(figures["levels"])
        self.table = np.array([figures["level_response"][c] for c in channels])  # (p, 3, levels)
        self.slopes = np.diff(self.table, axis=-1) / np.diff(self.levels)
        # Below full drive the last stretch goes on as the one before it; only exactly 1 has its own level.
        self.slopes[..., -1] = self.slopes[..., -2]
        self.clear_pairs = np.array([figures["clear_pairs"][pair] for pair in ("RG", "RB", "GB")])
        self.clear, self.green = channels.index("clear"), channels.index("515nm")
        self.window = np.array([[c in w for w in figures["windows"]].index(True) for c in channels])
        self.jitter = np.array(figures["duty_jitter"])
        self.dark_mean = np.array(figures["dark"], float)
        scatter = figures["dark_scatter"]["515nm"]
        self.dark_green_counts = np.array([float(count) for count in scatter])
        self.dark_green_share = np.array(list(scatter.values())) / sum(scatter.values())
        self.dark_mean[self.green] = self.dark_green_counts @ self.dark_green_share
        self.spectra = np.array([figures["ambient_spectra"][name] for name in MAINS])
        self.hourly = np.array(figures["hourly_515nm"], float)
        self.gain_scatter = np.array(figures["gain_scatter"])
        self.seconds: NDArray[np.float64] = np.array(figures["seconds"]).T
        self.edge_std = np.array([figures["edge_std"].get(c, 0.0) for c in channels])
        # What repeats of one setting scatter beyond the jitter of the drive.
        at = np.searchsorted(self.levels, figures["repeat_setting"]) - 1
        jittered = np.sqrt(((self.slopes[:, np.arange(3), at] * self.jitter) ** 2).sum(axis=1))
        repeats = np.array([figures["repeat_std"][c] for c in channels])
        self.extra_std = np.sqrt(np.maximum(repeats**2 - jittered**2, self.edge_std**2))

    def level(self, duty: Settings) -> Readings:
        """Return the counts ``(..., p, 3)`` of each colour in each channel at duties ``(..., p, 3)``."""
        at = np.clip(np.searchsorted(self.levels, duty, side="right") - 1, 0, len(self.levels) - 2)
        channel, colour = np.arange(len(self.window))[:, None], np.arange(3)
        below = self.table[channel, colour, at]
        counts = below + self.slopes[channel, colour, at] * (duty - self.levels[at])
        return np.where(duty >= 1, self.table[..., -1], counts)


@cache
def _figures() -> _Figures:
    return _Figures(json.loads(files("sdl.instruments.claude_light").joinpath("twin_parameters.json").read_text()))
