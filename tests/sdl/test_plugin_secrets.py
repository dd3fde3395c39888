"""Secrets of an instrument: revealed where it is built, and in no file, table or page."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import BadReply, InstrumentError, InvalidInput
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from sdl.measurement.driver_call import ask_driver

TOKEN = "hunter2-in-the-window"
WRITTEN = {"plugin": "guarded", "token": {"secret": "lab-token"}}


class Guarded(Twin):
    """A twin that wants to know a secret, and a number."""

    def __init__(self, token: str, floor: int = 1) -> None:
        super().__init__()
        self.token, self.floor = token, floor


@pytest.fixture(autouse=True)
def guarded(monkeypatch):
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Guarded if name == "guarded" else load(group, name))
    monkeypatch.setenv("SDL_SECRET_LAB_TOKEN", TOKEN)


def faults(**options):
    with pytest.raises(InvalidInput) as caught:
        plugins.build("sdl.instruments", "guarded", options)
    return "\n".join(caught.value.faults)


def test_it_is_revealed_where_the_instrument_is_built():
    assert plugins.build("sdl.instruments", "guarded", {"token": {"secret": "lab-token"}}).token == TOKEN


def test_one_that_is_not_there_is_told_with_the_others_faults(monkeypatch):
    monkeypatch.delenv("SDL_SECRET_LAB_TOKEN")
    result = faults(token={"secret": "lab-token"}, floor="low")
    assert "token: the secret is not there: set SDL_SECRET_LAB_TOKEN in the environment" in result
    assert "floor: " in result
    assert "a secret has a name of letters" in faults(token={"secret": "../x"})
    assert "a secret has a name of letters" in faults(token={"secret": 7})


def test_one_of_the_wrong_kind_is_not_repeated(monkeypatch):
    monkeypatch.setenv("SDL_SECRET_FLOOR", TOKEN)
    result = faults(token="x", floor={"secret": "floor"})
    assert result.startswith("floor: ")
    assert result.endswith("got a secret")


def test_neither_ledger_nor_parameters_of_a_deployment_hold_it(tmp_path, paper):
    campaign, instrument = prepare(paper | {"instrument": WRITTEN})
    assert instrument.token == TOKEN
    with Ledger(tmp_path / "ledger.sqlite") as book:
        config = Campaign.model_dump(campaign, mode="json")
        book.register(campaign.slug, instrument.identity, instrument.space, config, {})
    assert not [each for each in tmp_path.iterdir() if TOKEN.encode() in each.read_bytes()]
    offered = list(define_deployments(Laboratory.parse({"instruments": {"lamp": WRITTEN}})))
    assert offered[0].parameters["config"]["instrument"]["token"] == {"secret": "lab-token"}
    assert TOKEN not in repr([each.written("laboratory") for each in offered])


# ---------------------------------------------------------------------- drivers that say what they were told


class Talkative(Guarded):
    """A driver that repeats its secret whenever it can."""

    failure: Exception | None = None

    def __init__(self, token: str, known: bool = False) -> None:
        super().__init__(token)
        self.identity = f"lamp at {token}" if known else "lamp"
        if token.startswith("bad"):
            raise RuntimeError(f"{token} is refused")

    def measure(self, settings):
        if self.failure is not None:
            raise self.failure
        return replace(super().measure(settings), raw=f"Authorization: Bearer {quote(self.token)}")


FAILURES = {
    "of any kind": lambda token: KeyError(f"no key {token}"),
    "of a line": lambda token: OSError(f"https://lamp.example/{token}/api is away"),
    "of ours, with what came": lambda token: BadReply(f"no reply for {token}", raw=f"token={token}"),
}


@pytest.fixture
def talkative(monkeypatch):
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Talkative if name == "talkative" else load(group, name))
    return lambda **options: plugins.build("sdl.instruments", "talkative", {"token": WRITTEN["token"], **options})


@pytest.mark.fault("N-12")
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_a_driver_says_of_it_is_not_kept(talkative, monkeypatch, failure):
    monkeypatch.setenv("SDL_SECRET_LAB_TOKEN", "hunter2 in/the window")
    instrument = talkative()
    settings = instrument.space.named_settings(instrument.space.off)
    assert ask_driver(instrument, settings).raw == "Authorization: Bearer ***"
    instrument.failure = failure(instrument.token)
    with pytest.raises(InstrumentError, match=r"\*\*\*") as caught:
        ask_driver(instrument, settings)
    assert "hunter2" not in str(caught.value) + caught.value.raw


@pytest.mark.fault("N-12")
def test_nor_is_it_known_by_it_or_blamed_with_it(talkative, monkeypatch):
    with pytest.raises(InvalidInput, match=r"would be known by a secret, 'lamp at \*\*\*'.* apparatus = ") as caught:
        talkative(known=True)
    assert talkative(known=True, apparatus="lamp").identity == "lamp"
    monkeypatch.setenv("SDL_SECRET_LAB_TOKEN", "bad but secret")
    with pytest.raises(InvalidInput, match=r"'talkative' failed with RuntimeError: \*\*\* is refused") as refused:
        talkative()
    assert TOKEN not in str(caught.value)
    assert refused.value.__cause__ is None
