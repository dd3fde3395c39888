"""A private model as a file of JSON: what is declared, what was promised, and the noisy sums; no row, and no count."""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sdl.errors import InvalidInput
from sdl.formatting import parse_json
from sdl.space import Readings, Space
from sdl.system.atomic_files import write_atomically
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.models.private.private_statistics import PrivateStatistics, inputs
from strategies.models.private.shared_linear import SharedLinear

SUFFIX = ".json"
LARGEST = 10_000_000
"""Bytes of a file that is read."""
UNIT = (
    "one measurement: the settings asked and all its readings, added to the others or taken from them. Several "
    "measurements of one sample are together protected by so many times epsilon, and so are several files of one's rows"
)


class Sums(BaseModel):
    """As ``PrivateStatistics`` has them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    degree: Literal[1, 2]
    gram: list[list[float]]
    cross: list[list[float]]
    squares: list[float]
    noise: float = Field(gt=0)
    noise_of_squares: float = Field(gt=0)


class SharedFile(BaseModel):
    """What stands in the file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal["sdl shared model 1"] = "sdl shared model 1"
    model: Literal["linear"] = "linear"
    space: Space
    """Knobs and channels with the bounds that rows were held to, all of them declared and none of the rows."""
    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)
    unit_of_privacy: str = UNIT
    mechanism: str = "analytic Gaussian (Balle, Wang 2018, arXiv:1805.06530)"
    sums: Sums

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if wide := [each.name for each in self.space.channels if each.floor is None or each.ceiling is None]:
            raise ValueError(f"every channel needs a floor and a ceiling, and {', '.join(wide)} has not")
        q = inputs(np.zeros((1, self.space.u)), self.sums.degree).shape[1]
        p, sums = self.space.p, self.sums
        if [*map(len, sums.gram)] != [q] * q or [*map(len, sums.cross)] != [p] * q or len(sums.squares) != p:
            raise ValueError(f"gram, cross and squares need the shapes {(q, q)}, {(q, p)} and {(p,)}")
        if not np.array_equal(self.sums.gram, np.transpose(self.sums.gram)):
            raise ValueError("gram needs to be symmetric")
        return self

    @classmethod
    def of(cls, statistics: PrivateStatistics, space: Space, budget: PrivacyBudget) -> Self:
        """What is to stand in it."""
        sums = Sums(
            degree=1 if statistics.degree == 1 else 2,
            gram=statistics.gram.tolist(),
            cross=statistics.cross.tolist(),
            squares=statistics.squares.tolist(),
            noise=statistics.noise,
            noise_of_squares=statistics.noise_of_squares,
        )
        return cls(space=space, epsilon=budget.epsilon, delta=budget.delta, sums=sums)

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write it.

        Raises:
            InvalidInput: if it cannot be written there.
        """
        with write_atomically(path, force=force) as file:
            file.write((self.model_dump_json(indent=1) + "\n").encode())

    def build(self) -> SharedLinear:
        """The model."""
        sums = self.sums
        statistics = PrivateStatistics(
            sums.degree,
            np.array(sums.gram),
            np.array(sums.cross),
            np.array(sums.squares),
            sums.noise,
            sums.noise_of_squares,
        )
        low, high = channel_bounds(self.space)
        return SharedLinear(statistics, low, high, self.space.u)


def channel_bounds(space: Space) -> tuple[Readings, Readings]:
    """Floor and ceiling of each channel, both ``(p,)``."""
    return np.array([each.floor for each in space.channels], float), space.ceiling


def read_shared_file(path: Path) -> SharedFile:
    """Read a file that ``write`` wrote, or a stranger's.

    Raises:
        InvalidInput: with what is wrong with it.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidInput(f"{path} has more than {LARGEST} bytes, and no shared model has")
        return SharedFile.model_validate(parse_json(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc'])) or path}: {each['msg']}" for each in error.errors()[:10]]
        raise InvalidInput([f"{path} is no shared model: {fault}" for fault in faults]) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no JSON: {error}; a shared model is what 'sdl share' writes") from error
