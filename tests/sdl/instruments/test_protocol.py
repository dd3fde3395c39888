"""What every registered instrument promises, ours and a stranger's."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
from protocols import PROTOCOLS, SECRETS
from rig import Rig

from sdl import plugins
from sdl.errors import InstrumentError, InstrumentRefused, InvalidInput
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Instrument, ReadByPersons
from sdl.instruments.simulated.crystal import Crystal

NAMES = plugins.names("sdl.instruments")


@contextmanager
def ready(name, tmp_path):
    """An instrument by name, over what it needs to answer."""
    if name == "claude-light":
        with InstrumentServer(Twin(seed=1)) as server:
            yield plugins.build("sdl.instruments", name, {"url": server.url, "allow_private": True})
        return
    if name in PROTOCOLS:
        with PROTOCOLS[name](Rig()) as written, pytest.MonkeyPatch.context() as patch:
            for variable, secret in SECRETS.items():
                patch.setenv(variable, secret)
            yield plugins.build("sdl.instruments", written.pop("plugin"), written)
        return
    options = {}
    if name == "recorded":
        twin, path = Twin(seed=1), tmp_path / "records.jsonl"
        rows = [twin.measure(dict.fromkeys("RGB", level)).raw for level in (0.0, 0.25, 0.5)]
        path.write_text("\n".join(rows) + "\n")
        options = {"path": path}
    if name == "recorded-run":
        twin, path = Twin(seed=1), tmp_path / "run.jsonl"
        rows = [json.loads(twin.measure(dict.fromkeys("RGB", n / 20)).raw) | {"time": n} for n in range(15)]
        path.write_text("\n".join(map(json.dumps, rows)))
        options = {"path": path}
    if name == "crystal":
        unit = np.random.default_rng(0).random((60, 7))
        low, high = (np.array([getattr(knob, end) for knob in Crystal.KNOBS]) for end in ("low", "high"))
        np.savetxt(tmp_path / "data_x.csv", low + unit * (high - low), delimiter=",")
        np.savetxt(tmp_path / "data_y.csv", unit[:, :1])
        options = {"path": str(tmp_path)}
    if name == "several":
        options = {"instruments": [{"plugin": "twin", "seed": seed} for seed in (1, 2)]}
    if name == "by-hand":
        options = {"knobs": [{"name": "red", "high": 5}], "channels": [{"name": "A450"}]}
    yield plugins.build("sdl.instruments", name, options)


@pytest.fixture(scope="module", params=NAMES)
def instrument(request, tmp_path_factory):
    """One for all claims: a server of OPC UA takes a second to start."""
    with ready(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made
        made.close()


def named(instrument, share):
    space = instrument.space
    return space.named_settings(space.from_unit(np.full(space.d, share)))


def test_it_has_the_members_of_the_protocol(instrument):
    assert isinstance(instrument, Instrument)
    assert instrument.identity
    assert instrument.patience.attempts >= 1


def test_its_space_survives_json(instrument):
    space = instrument.space
    assert type(space).model_validate_json(space.model_dump_json()) == space


def test_it_echoes_the_settings_and_answers_every_channel(instrument):
    asked = named(instrument, 0.25)
    if isinstance(instrument, ReadByPersons):
        with pytest.raises(InstrumentRefused, match="a person reads this instrument"):
            instrument.measure(asked)
        return
    reply = instrument.measure(asked)
    assert reply.applied == pytest.approx(asked)
    assert set(reply.readings) == set(instrument.space.channel_names)
    assert reply.raw
    assert json.loads(reply.raw)
    assert reply.seconds >= 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "below", "above", "0.5", None, True], ids=str)
def test_it_refuses_settings_that_it_cannot_apply_before_measuring(instrument, bad):
    first = instrument.space.knobs[0]
    beyond = {"below": first.low - 0.01, "above": first.high + 0.01}
    settings = named(instrument, 0.25) | {first.name: beyond.get(bad, bad)}
    with pytest.raises((InvalidInput, InstrumentError)):
        instrument.measure(settings)


def test_it_refuses_missing_and_misspelt_knobs(instrument):
    settings = named(instrument, 0.25)
    first = instrument.space.knob_names[0]
    with pytest.raises((InvalidInput, InstrumentError), match=first):
        instrument.measure({k: v for k, v in settings.items() if k != first})
    with pytest.raises((InvalidInput, InstrumentError), match="misspelt"):
        instrument.measure({**settings, "misspelt": 0.5})


def test_no_secret_is_part_of_its_identity(instrument):
    assert "@" not in instrument.identity
