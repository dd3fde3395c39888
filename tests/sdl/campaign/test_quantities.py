"""Quantities that a campaign file computes from channels: checked with the rest of it, before the first request."""

import pytest

from sdl.campaign import prepare
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument, ReadByPersons

WRITTEN = {
    "name": "quantities",
    "instrument": "twin",
    "quantities": {"ratio": "445nm / 630nm", "sum": {"formula": "445nm + 630nm", "unit": "counts"}},
    "targets": [{"readings": {"ratio": "1.2 .. 1.3", "sum": ">= 20000"}}],
}
BY_HAND = {"plugin": "by-hand", "knobs": [{"name": "x"}], "channels": [{"name": "445nm"}, {"name": "630nm"}]}


def faults(**changes):
    with pytest.raises(InvalidInput) as raised:
        prepare(WRITTEN | changes)
    return raised.value.faults


def test_they_are_channels_of_the_instrument_from_then_on():
    campaign, instrument = prepare(WRITTEN)
    ratio = instrument.space.channels[-2]
    assert (ratio.name, ratio.unit, ratio.formula, ratio.noise) == ("ratio", "", "445nm / 630nm", None)
    assert isinstance(instrument, Instrument)
    assert (
        instrument.identity
        == prepare({**WRITTEN, "quantities": {}, "targets": [{"readings": {"445nm": 9}}]})[1].identity
    )
    assert campaign.channels == ["ratio", "sum"]
    assert Campaign.parse(campaign.model_dump(mode="json")) == campaign
    assert prepare(campaign, instrument)[1].space == instrument.space, "it is not extended twice"


def test_a_person_stays_a_person():
    assert isinstance(prepare({**WRITTEN, "instrument": BY_HAND})[1], ReadByPersons)
    assert not isinstance(prepare(WRITTEN)[1], ReadByPersons)


def test_a_campaign_without_them_is_kept_as_it_always_was():
    written = {"name": "none", "instrument": "twin", "targets": [{"readings": {"445nm": 9}}]}
    assert "quantities" not in Campaign.parse(written).model_dump()


def test_every_fault_of_them_is_listed_with_its_key():
    wrong = {
        "ratio": "445nm / 631nm",
        "sum": {"formula": "445nm + ratio", "units": "counts"},
        "R": "445nm * 2",
        "515nm": "445nm * 2",
        "bad": "__import__('os')",
    }
    found = "\n".join(faults(quantities=wrong, targets=[{"readings": {"ratio": 1, "rato": 2}}]))
    for expected in (
        "quantities.ratio: is computed from a channel that there is not, '631nm'; did you mean '630nm'?",
        "quantities.sum.units: unknown key; did you mean 'unit'?",
        "quantities.R: a knob or channel has that name already",
        "quantities.515nm: a knob or channel has that name already",
        "quantities.bad.formula: unknown function '__import__'",
    ):
        assert expected in found, found


def test_a_quantity_of_itself_is_refused():
    found = faults(quantities={"a": "b + 1", "b": "a + 445nm"}, targets=[{"readings": {"a": 1}}])
    assert any("is computed from itself: " in fault for fault in found), found


def test_a_target_for_a_quantity_that_there_is_not_is_refused():
    assert faults(quantities={}) == (
        "targets.0: unknown channel 'ratio'; known are '415nm', '445nm', '480nm', '515nm', '555nm', '590nm', '630nm', "
        "'680nm', 'clear', 'nir'",
        *faults(quantities={})[1:],
    )
