"""Lines of the fault matrix that belong to no other file."""

import asyncio
from collections import Counter

import numpy as np
import pytest

from flows.run_policy import fixed_parameters as pinned
from sdl.campaign.sections import Plugin
from sdl.errors import SdlError
from sdl.history import History, Observation, Purpose, ReplyClass
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from strategies.fitting.fitting import fit_models

COLUMNS = [1, 4, 9]


def history(replicates, off=0.0, of=2, seed=0):
    """Ten settings, each read several times; one of those readings is off by a share of it."""
    twin, rng, seen = Twin(seed=seed), np.random.default_rng(seed), []
    for index, settings in enumerate(rng.random((10, 3))):
        for replicate in range(replicates):
            readings = np.array(list(twin.measure(twin.space.named_settings(settings)).readings.values()), float)
            readings *= 1 + off * (index == 4 and replicate == of)
            place = (0, index, replicate, Purpose.DESIGN, settings)
            seen.append(Observation(*place, len(seen), ReplyClass.OK, readings, np.zeros(10, bool)))
    return twin.space, History(observations=seen)


def rows_of_each(space, seen):
    fitted = fit_models([Plugin(plugin="linear")], space, COLUMNS, seen, 1)
    return Counter(map(tuple, fitted.settings.tolist())), fitted


@pytest.mark.fault("I-17", "I-20")
@pytest.mark.parametrize("of", range(3))
@pytest.mark.parametrize("off", [-0.5, 0.3, 3.0])
def test_a_reading_that_is_off_its_replicates_is_in_no_fit(off, of):
    space, seen = history(3, off, of)
    rows, fitted = rows_of_each(space, seen)
    assert sorted(rows.values()) == [2] + [3] * 9
    without = History(observations=[each for place, each in enumerate(seen.observations) if place != 4 * 3 + of])
    _, untouched = rows_of_each(space, without)
    assert np.array_equal(fitted.readings, untouched.readings)
    assert np.array_equal(fitted.model.predict(fitted.settings), untouched.model.predict(fitted.settings))


@pytest.mark.fault("I-17", "I-20")
@pytest.mark.parametrize("seed", range(5))
def test_replicates_that_agree_are_all_in_it(seed):
    rows, _ = rows_of_each(*history(3, seed=seed))
    assert set(rows.values()) == {3}


TWIN = {"plugin": "twin", "seed": 3}
OWN = {"config": {"name": "x", "instrument": TWIN}}


@pytest.mark.fault("N-08", "N-09")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        ({"config": {"name": "another", "instrument": TWIN | {"speed": 5}}}, []),
        ({"config": {"instrument": "twin"}}, ["instrument: this deployment is for twin-3, got twin-0"]),
        ({"config": {"instrument": {"plugin": "claude-light", "url": "http://10.0.0.1/", "allow_private": True}}},
         ["instrument: this deployment is for twin-3, got claude-light http://10.0.0.1"]),
        ({"config": {"instrument": TWIN | {"plugin": "command", "program": ["sh"], "apparatus": "twin-3"}}},
         ["instrument: what is sent to it, or run for it, is for the laboratory to say"]),
        ({"config": {"instrument": {"plugin": "claude-light", "url": "http://10.0.0.1/", "allow_private": True,
                                    "apparatus": "twin-3"}}},
         ["instrument: this deployment is for twin-3, got twin-3 at claude-light http://10.0.0.1"]),
        ({"home": "/tmp/elsewhere", "ledger": "/etc/ledger"}, ["home: is for the laboratory", "ledger: is for the"]),
        ({"instruments": {"twin-3": "other"}}, ["instruments: is for the laboratory to say, leave it out"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_the_laboratorys_to_say_cannot_be_changed_in_a_form(given, told):
    faults = pinned.describe_changes({**OWN, **given}, OWN)
    assert [fault[: len(begins)] for fault, begins in zip(faults, told, strict=True)] == told


@pytest.mark.fault("N-09")
@pytest.mark.parametrize("plugin", ["scpi", "rest", "command", "mqtt", "opcua", "ophyd", "sila"])
def test_an_instrument_that_is_described_is_refused_by_its_kind_and_never_built(plugin):
    """Its options may be a stranger's, and need not even be whole."""
    given = {"config": {"instrument": {"plugin": plugin, "program": ["sh"], "address": "tcp://10.0.0.1"}}}
    assert pinned.describe_changes(given, OWN) == [
        "instrument: what is sent to it, or run for it, is for the laboratory to say: leave it as it is"
    ]


def test_a_deployment_without_an_instrument_is_about_any():
    assert pinned.describe_changes({"campaign": "x"}, {}) == []


@pytest.mark.slow
@pytest.mark.fault("N-09")
@pytest.mark.parametrize(
    "change",
    [
        {"name": "///"},
        {"budget": -1},
        {"budget": 10**9},
        {"targets": []},
        {"unheard": 1},
        {"instrument": {"plugin": "claude-light", "url": "http://169.254.169.254/"}},
        {"instrument": {"plugin": "os:system"}},
    ],
    ids=str,
)
def test_what_somebody_wrote_into_a_form_is_checked_inside_the_flow(change, prefect, tmp_path):
    from prefect.exceptions import ParameterTypeError

    from flows.campaign.flow import campaign

    target = {"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}}
    hostile = {"name": "form", "instrument": "twin", "targets": [target]} | change
    with pytest.raises((ParameterTypeError, SdlError)):
        asyncio.run(campaign(config=hostile, home=str(tmp_path / "lab"), ledger=str(tmp_path / "lab.sqlite")))
    with Ledger(tmp_path / "lab.sqlite") as book:
        assert book.entries() == []
