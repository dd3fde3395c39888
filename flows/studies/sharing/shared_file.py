"""A private model as a file of JSON: what is declared, what was promised, and the noisy sums; no row, and no count."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sdl.errors import InvalidInput
from sdl.formatting import parse_json
from sdl.space import Space
from sdl.system.atomic_files import write_atomically
from sdl.system.named_files import check_regular
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.models.private.private_statistics import PrivateStatistics
from strategies.models.private.shared_linear import SharedLinear

SUFFIX = ".json"
LARGEST = 10_000_000
"""Bytes of a file that is read."""
UNIT = (
    "one measurement: the settings asked and all its readings, added to the others or taken from them. Several "
    "measurements of one sample are together protected by so many times epsilon, and so are several files of one's rows"
)


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
    sums: dict[str, Any]
    """As ``PrivateStatistics.plain`` has them."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if wide := [each.name for each in self.space.channels if each.floor is None or each.ceiling is None]:
            raise ValueError(f"every channel needs a floor and a ceiling, and {', '.join(wide)} has not")
        try:
            self.statistics()
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return self

    @classmethod
    def of(cls, statistics: PrivateStatistics, space: Space, budget: PrivacyBudget) -> Self:
        """What is to stand in it."""
        return cls(space=space, epsilon=budget.epsilon, delta=budget.delta, sums=statistics.plain())

    def statistics(self) -> PrivateStatistics:
        """The sums.

        Raises:
            InvalidInput: if they are none of so many knobs and channels.
        """
        return PrivateStatistics.from_plain(self.sums, self.space.u, self.space.p)

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write it.

        Raises:
            InvalidInput: if it cannot be written there.
        """
        with write_atomically(path, force=force) as file:
            file.write((self.model_dump_json(indent=1) + "\n").encode())

    def build(self) -> SharedLinear:
        """The model."""
        return SharedLinear(self.statistics(), self.space)


def read_shared_file(path: Path) -> SharedFile:
    """Read a file that ``write`` wrote, or a stranger's.

    Raises:
        InvalidInput: with what is wrong with it.
    """
    try:
        check_regular(path)
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
