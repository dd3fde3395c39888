"""A physical law of a user's own as an inverse model: parameters, what rows do not tell, and the contract."""

import numpy as np
import pytest

from sdl.space import NamedColumns, Space
from strategies import Law, Parameter
from strategies.models.conformance import CHECKS, SLOPES, D, P, poor_rows_are_no_exception

CHANNELS = tuple(f"c{channel}" for channel in range(P))
COLUMNS = NamedColumns.of(Space.unit("x0", "x1", "x2", channels=CHANNELS), CHANNELS, subtracted=False)


class Bench(Law):
    """The instrument of the contract's checks: knobs add their known shares, bent, and gains are hidden."""

    parameters = (*(Parameter(f"gain {channel}", -2, 4) for channel in CHANNELS), Parameter("bend", -20, 20))

    def readings(self, settings, parameters):
        def share(k, c):
            x = settings[f"x{k}"]
            return SLOPES[k, c] * x + parameters["bend"] * (SLOPES[k, c] > 0) * np.sin(np.pi * x)

        return {
            name: parameters[f"gain {name}"] * sum(share(k, c) for k in range(D)) for c, name in enumerate(CHANNELS)
        }


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [each for each in CHECKS if each is not poor_rows_are_no_exception], ids=lambda check: check.__name__
)
def test_a_law_keeps_the_contract(check):
    """But for rows that no such law could give: there it says so, and is not bent until it meets them."""
    check(lambda: Bench().in_units(COLUMNS))
