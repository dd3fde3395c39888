"""From nothing to a verified campaign by configuration alone, over every protocol and whatever the instrument does."""

import json
import os
import signal
from contextlib import contextmanager

import pytest
from protocols import PROTOCOLS, SECRETS
from rig import CHANNELS, KNOBS, WANTED, Rig

from flows.engine.opening import open_session
from sdl.errors import CampaignSuspended
from sdl.ledger.ledger import Ledger
from sdl.skeletons.campaign import literal
from sdl.system import failpoints

EVERY_OTHER = {
    2: "hang", 4: "drop", 6: "garbage", 8: "nan", 10: "range", 12: "stuck", 14: "readback", 16: "error", 18: "ceiling",
}  # fmt: skip
SEEN = {
    "hang": ({"UNKNOWN"}, "in time"),
    "drop": ({"RETRY", "UNKNOWN"}, ""),  # PyVISA-py takes the end of a connection for silence
    "garbage": ({"RETRY"}, "as the file expects"),
    "nan": ({"SUSPECT"}, "450nm is not a finite number: nan"),
    "range": ({"SUSPECT"}, "450nm is above its ceiling"),
    "stuck": ({"SUSPECT"}, "seems stuck"),
    "readback": ({"SUSPECT"}, "applied"),
    "error": ({"RETRY"}, ""),
    "ceiling": ({"OK_CENSORED"}, "450nm is at its ceiling"),
}
"""What becomes of a reading by each fault, over any protocol: as by the lamp's driver."""
SAFE = {"red": 0.0, "blue": 0.0}

pytestmark = pytest.mark.slow
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def written(instrument, **changes):
    """A campaign on the rig that takes at least fourteen readings."""
    target = {"readings": WANTED, "tolerance": "2 %"}
    parts = {"background": {"every": 0}, "verification": {"replicates": 8}, "budget": 60}
    return {"name": "mixture", "instrument": instrument, "targets": [target]} | parts | changes


def file_of(campaign, path):
    """The campaign as a person writes it."""
    path.write_text("".join(f"{key} = {literal(value)}\n" for key, value in campaign.items()))
    return path


@contextmanager
def opened(instrument, folder, **changes):
    with open_session(written(instrument, **changes), folder, str(folder / "ledger.sqlite")) as session:
        yield session


def trail(folder):
    with Ledger(folder / "ledger.sqlite") as book:
        return book.trail(book.entry("mixture").id)


def truly_verified(result, rig):
    (target,) = result["targets"]
    truth = dict(zip(CHANNELS, rig.truth(target["settings"]), strict=True))
    return result["verified"] and all(abs(truth[name] - value) < 0.02 * value for name, value in WANTED.items())


@pytest.mark.fault("I-02", "I-03", "I-08", "I-10", "I-11", "I-12", "I-13")
@each_protocol
def test_whatever_the_instrument_does_in_between_the_campaign_ends_with_the_truth(protocol, tmp_path, drive):
    rig = Rig(EVERY_OTHER)
    with PROTOCOLS[protocol](rig) as instrument, opened(instrument, tmp_path) as session:
        result = drive(session)
    rows = trail(tmp_path)
    assert truly_verified(result, rig)
    for number, word in EVERY_OTHER.items():
        verdicts, reason = SEEN[word]
        assert rows[number - 1]["verdict"] in verdicts, (number, word, rows[number - 1])
        assert reason in rows[number - 1]["reason"]
    counted = [(row["round"], row["index"], row["replicate"]) for row in rows if row["verdict"].startswith("OK")]
    assert len(counted) == len(set(counted))
    assert rig.number == len(rows) + 1, "each order was sent once, and then the safe state"
    assert rig.stands == SAFE


@pytest.mark.fault("I-03", "I-12", "I-21")
@each_protocol
@pytest.mark.parametrize("word", ["hang", "readback"])
def test_a_lasting_fault_suspends_and_the_campaign_goes_on_when_it_is_mended(word, protocol, tmp_path, drive):
    rig = Rig({number: word for number in range(3, 100)})
    with PROTOCOLS[protocol](rig) as instrument:
        with opened(instrument | {"attempts": 2}, tmp_path) as session, pytest.raises(CampaignSuspended) as suspended:
            drive(session)
        assert SEEN[word][1] in str(suspended.value)
        assert len(trail(tmp_path)) == 4
        rig.faults = {}
        with opened(instrument, tmp_path) as session:
            result = drive(session)
    assert truly_verified(result, rig)
    assert rig.stands == SAFE


@pytest.mark.fault("I-01")
@each_protocol
def test_an_instrument_that_is_not_there_suspends_the_campaign_before_anything_is_lost(protocol, tmp_path, drive):
    with PROTOCOLS[protocol](Rig()) as instrument:
        pass
    with opened(instrument | {"attempts": 2}, tmp_path) as session, pytest.raises(CampaignSuspended) as suspended:
        drive(session)
    assert "in 2 attempts" in str(suspended.value)
    assert [row["verdict"] for row in trail(tmp_path)] == ["RETRY", "RETRY"]


@each_protocol
def test_a_file_alone_leads_to_a_verdict_and_no_secret_leaves_the_environment(protocol, tmp_path, sdl, home):
    rig = Rig()
    with PROTOCOLS[protocol](rig) as instrument:
        result = sdl("run", "--no-server", file_of(written(instrument), tmp_path / "mixture.toml"), "--json")
    assert result.code == 0, result.err
    assert truly_verified(result.json, rig)
    assert rig.stands == SAFE
    shown = [
        result.out.encode(),
        result.err.encode(),
        *(path.read_bytes() for path in home.rglob("*") if path.is_file()),
    ]
    for secret in SECRETS.values():
        assert not any(secret.split()[-1].encode() in text for text in shown)


@pytest.mark.fault("O-13")
def test_the_state_is_safe_after_ctrl_c(tmp_path, prefect, spawn, ended):
    rig = Rig()
    with PROTOCOLS["scpi"](rig) as instrument:
        slow = written(instrument | {"settle_s": 0.2})
        process = spawn("run", file_of(slow, tmp_path / "mixture.toml"))
        while rig.number < 3:
            assert process.poll() is None
            rig.closing.wait(0.02)
        assert rig.stands != SAFE
        os.kill(process.pid, signal.SIGINT)
        assert ended(process).code == 130
        assert rig.stands == SAFE
        assert rig.log[-1] == ("OUTP OFF", None)


@pytest.mark.fault("O-02", "O-08")
@pytest.mark.parametrize("place", ["after-send@3", "in-report"])
def test_after_kill_9_the_next_start_makes_it_safe_first(place, tmp_path, spawn, ended, monkeypatch):
    """Killed in the report, the campaign has nothing more to measure, and the pumps still run."""
    rig = Rig()
    with PROTOCOLS["scpi"](rig) as instrument:
        file = file_of(written(instrument), tmp_path / "mixture.toml")
        monkeypatch.setenv(failpoints.VARIABLE, place)
        assert ended(spawn("run", "--no-server", file)).code == -signal.SIGKILL
        monkeypatch.delenv(failpoints.VARIABLE)
        assert rig.stands != SAFE
        before, number = len(rig.log), rig.number
        result = ended(spawn("run", "--no-server", file, "--json"))
    assert result.code == 0
    assert truly_verified(json.loads(result.out), rig)
    assert [each for each in rig.log[before:] if each[0] in KNOBS][:2] == [("red", 0.0), ("blue", 0.0)]
    assert rig.stands == SAFE
    assert (place == "in-report") == (rig.number == number + 1), "nothing was measured again"
