"""Two pumps and a photometer whose readings follow their settings, and what goes wrong with them."""

import threading

import numpy as np

KNOBS = ("red", "blue")
CHANNELS = ("450nm", "520nm", "650nm")
ABSORBED = np.array([[0.30, 0.05], [0.12, 0.11], [0.04, 0.25]])
CEILING = 5000.0
WANTED = {"450nm": 2000, "650nm": 3000}

QUANTITIES = {
    "knobs": [{"name": name, "high": 5, "unit": "ml/min", "safe": 0} for name in KNOBS],
    "channels": [{"name": name, "unit": "mV", "floor": 0, "ceiling": CEILING, "noise": 8} for name in CHANNELS],
}
HASTY = {
    "allow_private": True, "deadline_s": 0.5, "quiet_s": 0.05, "first_wait_s": 0.01, "longest_wait_s": 0.3,
}  # fmt: skip
"""Options of whoever does not wait long."""


class Rig:
    """The apparatus; a reading begins when ``red`` is set, and they are counted from 1.

    Args:
        faults: What goes wrong at which reading: ``hang``, ``drop``, ``garbage``, ``nan``, ``range``, ``stuck``,
            ``readback``, ``error`` or ``ceiling``.
        seed: Of the noise.
    """

    hang_s = 20.0

    def __init__(self, faults=None, seed=1):
        self.faults, self.rng = dict(faults or {}), np.random.default_rng(seed)
        self.stands, self.log, self.errors = dict.fromkeys(KNOBS, 0.0), [], []
        self.number, self.before, self.lock = 0, {}, threading.RLock()
        self.closing = threading.Event()

    @property
    def fault(self):
        return self.faults.get(self.number, "")

    def set(self, name, value):
        with self.lock:
            self.number += name == "red"
            self.log.append((name, value))
            self.stands[name] = value
            if self.fault == "error" and name == "red":
                self.errors.append('-222,"Data out of range"')

    def read_back(self, name):
        return self.stands[name] + (0.5 if self.fault == "readback" else 0.0)

    def next_error(self):
        return self.errors.pop(0) if self.errors else '0,"No error"'

    def truth(self, stands=None):
        flows = np.array([(stands or self.stands)[name] for name in KNOBS])
        return 120 + 4000 * np.exp(-ABSORBED @ flows)

    def read(self, channel):
        """What the photometer says, a number or whatever goes wrong with it."""
        with self.lock:
            column = CHANNELS.index(channel)
            value = round(float(self.truth()[column] + 8 * self.rng.standard_normal()), 2)
            odd = {"garbage": "#!$", "nan": float("nan"), "range": 1e6, "ceiling": CEILING}
            if self.fault == "stuck" and channel in self.before:
                return self.before[channel]
            self.before[channel] = value
            return odd.get(self.fault, value)

    def hang(self):
        """Wait for longer than anybody waits for an answer."""
        self.closing.wait(self.hang_s)
