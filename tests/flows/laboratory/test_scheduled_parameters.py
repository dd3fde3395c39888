"""What a schedule gives its run is checked before anything starts, by the service and by the doctor."""

import importlib
import inspect
import tomllib

import pytest
from places import DEPLOYMENTS

from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import ENTRYPOINTS, define_deployments
from flows.laboratory.doctor import Setup, _file
from flows.laboratory.scheduled_parameters import PARAMETERS
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput

CAMPAIGN = """
name = "night"
[instrument]
plugin = "robotic-arm"
[[targets]]
name = "white"
readings = { 445nm = 16384, 515nm = 16384 }
"""
NIGHT = 'run = "campaign"\nfile = "night.toml"\n'
TARGET = "schedule.0.parameters.config.targets.0"


def laboratory(tmp_path, schedule, campaign=CAMPAIGN):
    (tmp_path / "night.toml").write_text(campaign)
    file = tmp_path / "lab.toml"
    head = '[instruments]\ntwin = "twin"\n\n[[schedule]]\ninstrument = "twin"\ncron = "0 22 * * *"\n'
    file.write_text(f"{head}{schedule}\n")
    return file


def faults(tmp_path, schedule, campaign=CAMPAIGN):
    with pytest.raises(InvalidInput) as refused:
        Laboratory.read(laboratory(tmp_path, schedule, campaign))
    return "\n".join(refused.value.faults)


def test_a_campaign_of_a_file_is_scheduled_on_the_instrument_of_the_laboratory(tmp_path):
    read = Laboratory.read(laboratory(tmp_path, 'run = "campaign"\nfile = "night.toml"\nparameters = { again = true }'))
    (due,) = read.schedule
    assert due.parameters["again"] is True
    assert due.parameters["config"]["instrument"]["plugin"] == "twin"
    campaign, instrument = prepare(due.parameters["config"])
    instrument.close()
    assert (campaign.name, list(campaign.targets[0].readings)) == ("night", ["445nm", "515nm"])
    (offered,) = [each for each in define_deployments(read) if each.run == "campaign"]
    assert offered.written("pool")["schedules"][0]["parameters"] == due.parameters


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (CAMPAIGN.replace("readings", "reedings"), f"{TARGET}.reedings: unknown key; did you mean 'readings'?"),
        (CAMPAIGN.replace("515nm", "516nm"), f"{TARGET}: unknown channel '516nm'; did you mean '515nm'?"),
        (CAMPAIGN.replace("16384,", "1e9,"), TARGET),
        ("name = ", "schedule.0.file: "),
    ],
    ids=["key", "channel", "reading", "not TOML"],
)  # fmt: skip
def test_a_faulty_campaign_is_refused_with_its_key(tmp_path, written, said):
    assert said in faults(tmp_path, 'run = "campaign"\nfile = "night.toml"', written)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ('run = "campaign"\nfile = "nights.toml"', "schedule.0.file: cannot read"),
        ('run = "campaign"', "schedule.0.parameters.config: campaign needs a campaign, which says what is wanted"),
        ('run = "sweep"\nparameters = { seeds = [1] }', "schedule.0.parameters.config: sweep needs a campaign"),
        ('run = "measure"\nfile = "night.toml"', "file: a campaign is for the runs campaign, verify and sweep"),
        (f"{NIGHT}parameters = {{ agian = true }}", "agian: campaign has no such parameter; did you mean 'again'?"),
        (f"{NIGHT}parameters = {{ config = {{}} }}", "schedule.0.file: the campaign is given twice"),
        ('run = "measure"\nparameters = { settings = { R = 2.0 } }', "schedule.0.parameters.settings: "),
        ('run = "measure"\nparameters = { settings = { R = 0, G = 0, B = 0 }, n = 0 }', "schedule.0.parameters.n: "),
        ('run = "survey"\nparameters = { design = { plugin = "sobl", n = 4 } }', "did you mean 'sobol'?"),
        ('run = "calibrate"\nparameters = { home = "/x" }', "parameters.home: is the laboratory's own, leave it out"),
        ('run = "sweep"\nfile = "night.toml"\nparameters = { seeds = [-1] }', "schedule.0.parameters.seeds"),
    ],
)  # fmt: skip
def test_faulty_parameters_are_refused_with_their_key(tmp_path, schedule, said):
    assert said in faults(tmp_path, schedule)


def test_a_file_that_is_not_there_hides_no_other_fault(tmp_path):
    missing = NIGHT.replace("night.toml", "nigth.toml")
    said = faults(tmp_path, missing + "parameters = { wiat = true }")
    assert "schedule.0.file: cannot read" in said
    assert "schedule.0.parameters.wiat: campaign has no such parameter; did you mean 'wait'?" in said
    said = faults(tmp_path, missing + "every_min = 5")
    assert "schedule.0.file: cannot read" in said
    assert "schedule.0: needs either cron or every_min" in said


def test_the_doctor_tells_the_same(tmp_path):
    file = laboratory(tmp_path, 'run = "campaign"\nfile = "night.toml"', CAMPAIGN.replace("readings", "reedings"))
    found = list(_file(Setup(tmp_path, str(tmp_path / "ledger.sqlite"), 1, file)))
    assert any(each.state == "fault" and "did you mean 'readings'?" in each.found for each in found)


def test_the_table_is_that_of_the_flows():
    for run, entrypoint in ENTRYPOINTS.items():
        module, _, name = entrypoint.rpartition(".")
        own = inspect.signature(getattr(importlib.import_module(module), name).fn).parameters
        theirs = {key: each.annotation for key, each in own.items() if key not in ("instrument", "home", "ledger")}
        assert {key: str(kind) for key, kind in PARAMETERS[run].items()} == {k: str(kind) for k, kind in theirs.items()}


def test_our_own_file_has_a_nightly_campaign_that_somebody_has_to_switch_on():
    written = tomllib.loads((DEPLOYMENTS / "lab.toml").read_text())
    assert [each["file"] for each in written["schedule"] if each["run"] == "campaign"] == ["paper.toml"]
    (due,) = [each for each in Laboratory.read(DEPLOYMENTS / "lab.toml").schedule if each.run == "campaign"]
    assert not due.active
    assert due.parameters["config"]["name"] == "paper"
    assert due.parameters["config"]["instrument"]["url"] == "http://127.0.0.1:5005/api"
