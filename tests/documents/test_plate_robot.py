"""The example of a robot that fills the plate, by PyLabRobot on its simulated devices: from files to verdicts."""

import json
import shutil
import sys

import pytest
from documents import assert_done, run
from places import DEPLOYMENTS

from sdl.errors import InstrumentUnavailable

pytest.importorskip("pylabrobot", reason="needs the extra 'pylabrobot'")

FOLDER = DEPLOYMENTS / "plate-robot"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import plate_robot
    import simulated_devices

    yield plate_robot, simulated_devices
    for name in ("plate_robot", "simulated_devices"):
        del sys.modules[name]


def test_every_well_holds_what_was_asked_for_and_is_filled_up(modules):
    robot = modules[0].PlateRobot()
    wells = {"A1": {"yellow": 60.0, "red": 60.0, "blue": 60.0}, "H12": {"yellow": 0.0, "red": 0.5, "blue": 20.0}}
    assert {name for name, _ in robot.measure_many(wells)} == set(wells)
    named = {name.rpartition("_")[2]: liquids for name, liquids in robot._chemistry.held.items()}
    held = {name: liquids for name, liquids in named.items() if any(liquids.values())}
    assert held.keys() == wells.keys()
    assert held["A1"] == wells["A1"] | {"buffer": 20.0}
    assert held["H12"] == wells["H12"] | {"buffer": 179.5}


def test_what_a_device_reports_is_told_and_may_be_tried_again(modules, monkeypatch):
    async def jam(*_, **__):
        raise RuntimeError("channel 3 is blocked")

    monkeypatch.setattr(modules[1].SimulatedRobot, "dispense", jam)
    with pytest.raises(InstrumentUnavailable, match=r"RuntimeError: channel 3 is blocked") as error:
        modules[0].PlateRobot().measure({"yellow": 1.0, "red": 2.0, "blue": 3.0})
    assert "Aspirating" in error.value.raw


@pytest.mark.slow
def test_its_campaign_ends_with_settings_that_give_the_colours(tmp_path, modules):
    shutil.copytree(FOLDER, tmp_path / "plate-robot")
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    assert_done(run([sys.executable, "-m", "pip", "install", *alone, "--target", "site", "./plate-robot"], tmp_path))
    done = run("sdl run plate-robot/colours.toml --no-server --json", tmp_path, PYTHONPATH="site")
    assert_done(done)
    result = json.loads(done.stdout)
    assert result["verified"]
    wanted = {"orange": (0.80, 0.55, 0.25), "green": (0.80, 0.30, 0.70)}
    for target in result["targets"]:
        volumes = [target["settings"][dye] / 200 for dye in ("yellow", "red", "blue")]
        for row, value in zip(modules[1].ABSORPTIVITY.values(), wanted[target["target"]], strict=True):
            assert sum(a * b for a, b in zip(row, volumes, strict=True)) == pytest.approx(value, rel=0.08)
