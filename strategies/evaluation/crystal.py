"""The crystal as a plug-in: an instrument in whose truth a registered forward model stands in."""

from sdl import plugins
from sdl.instruments.simulated.crystal import Crystal


class RegisteredCrystal(Crystal):
    """Band gap of a monolayer, by a registered forward model of all records, which stands for the truth.

    Args:
        path: Folder with ``data_x.csv`` and ``data_y.csv``.
        stand_in: Name of the forward model.
        seed: Of the noise.
        noise: Standard deviation of one reading, eV.

    Raises:
        InvalidInput: if there is no such forward model, or the records are not there or not what they should be.
    """

    def __init__(self, path: str, stand_in: str = "networks", seed: int = 0, noise: float = 0.0) -> None:
        super().__init__(path, plugins.build("sdl.forward_models", stand_in), seed, noise)
