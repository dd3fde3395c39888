"""An instrument in a campaign with constraints, quantities or steps of its own can whatever it can without them."""

import inspect

import pytest

from sdl.campaign.campaign_instrument import adapt_to_campaign
from sdl.instruments.by_hand import ByHand
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.configured.scpi import scpi
from sdl.instruments.protocol import HasSafeState, KnowsTruth, MeasuresMany, ReadByPersons
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.space import Channel, Constraints, Knob

PUMP = {"name": "R", "write": "FLOW {value}"}
MAKERS = {
    "a plate": (PlateReader, "yellow <= 50", MeasuresMany, ["measure_many"]),
    "a safe state": (
        lambda: scpi(url="tcp://8.8.8.8", knobs=[PUMP], channels=[{"name": "y", "query": "L?"}]),
        *("R <= 0.9", HasSafeState, ["moved", "make_safe", "let_go"]),
    ),
    "a person": (
        lambda: ByHand(knobs=[Knob(name="R")], channels=[Channel(name="y")]),
        *("R <= 0.9", ReadByPersons, ["read_by_persons"]),
    ),
    "its truth": (lambda: Twin(seed=1), "R <= 0.9", KnowsTruth, ["truth"]),
}


@pytest.mark.parametrize("what", MAKERS)
def test_what_it_can_beside_measuring_is_seen_also_where_python_looks_at_classes_alone(what):
    """From Python 3.12 on a protocol's members are looked for without ``__getattr__``."""
    make, always, protocol, members = MAKERS[what]
    instrument = make()
    adapted = adapt_to_campaign(instrument, {}, Constraints(always=[always]))
    assert adapted is not instrument
    assert isinstance(adapted, protocol)
    for name in members:
        inspect.getattr_static(adapted, name)
        assert getattr(adapted, name) == getattr(instrument, name)
    assert adapt_to_campaign(adapted, {}) is instrument


def test_what_changes_of_the_instrument_is_seen():
    instrument = MAKERS["a safe state"][0]()
    adapted = adapt_to_campaign(instrument, {}, Constraints(always=["R <= 0.9"]))
    assert not adapted.moved
    instrument.moved = True
    assert adapted.moved
