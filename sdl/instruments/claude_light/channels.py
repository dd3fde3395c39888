"""The knobs and channels of Claude-Light, shared by its driver, its twin and its records."""

from sdl.space import Channel, Knob, Space

REPEAT_STD = {
    "415nm": 4.9, "445nm": 73.8, "480nm": 42.4, "515nm": 131.7, "555nm": 35.3,
    "590nm": 39.1, "630nm": 72.5, "680nm": 8.0, "clear": 521.6, "nir": 26.0,
}  # fmt: skip
"""Standard deviation of repeated readings at (0.147, 0.372, 0.394) in recorded data, counts."""

SPACE = Space(
    knobs=tuple(Knob(name=name, unit="duty") for name in "RGB"),
    channels=tuple(Channel(name=name, ceiling=65535, noise=noise) for name, noise in REPEAT_STD.items()),
)
