"""The laboratory in a notebook: readings that the ledger keeps, campaigns that run, show themselves and go on."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from problems import Oven

from sdl import Campaign, InvalidInput, Lab, Ledger, Target, plugins
from sdl.errors import Interrupted, LeaseHeld, ReadingsWanted
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer

WHITE = {"445nm": 16384, "515nm": 16384, "630nm": 16384}
AT = {"R": 0.1, "G": 0.2, "B": 0.3}


@pytest.fixture
def lamp(home):
    with Lab("twin", seed=1) as lab:
        yield lab


def test_a_call_is_a_reading_and_the_ledger_has_it(lamp, home):
    twin = Twin(seed=1)
    readings = [lamp(R=0.1, G=0.2, B=0.3), lamp(AT), lamp(AT, B=0.3)]
    assert [dict(reading) for reading in readings] == [twin.measure(AT).readings for _ in range(3)]
    assert readings[0].settings == AT
    with Ledger(home / "ledger.sqlite") as book:
        kept = book.trail(book.entry("by-hand").id)
    assert [row["readings"][1] for row in kept] == [reading["445nm"] for reading in readings]
    assert lamp.data["445nm"].tolist() == [reading["445nm"] for reading in readings]
    assert lamp.data["time"].is_monotonic_increasing


def test_tables_go_in_and_come_out(lamp):
    design = lamp.repeat(3, AT)[["R", "G", "B"]].assign(B=[0.1, 0.2, 0.3])
    read = lamp.measure(design)
    assert read[["R", "G", "B"]].equals(design)
    assert read["445nm"].is_monotonic_increasing


def test_numbers_of_numpy_and_rows_of_pandas_are_settings_too(lamp):
    again = lamp(lamp.repeat(np.int64(2), AT).iloc[0][["R", "G", "B"]])
    assert again.settings == AT
    assert lamp(R=np.int64(1), G=np.float32(0.5), B=np.array(0.25)).settings == {"R": 1, "G": 0.5, "B": 0.25}
    with pytest.raises(KeyError, match="no reading of '444nm'; did you mean '445nm'"):
        again["444nm"]


def test_conditions_come_with_readings_and_tables(home, monkeypatch):
    build = plugins.build
    monkeypatch.setattr(plugins, "build", lambda group, *rest: Oven(7) if "instr" in group else build(group, *rest))
    with Lab("twin") as oven:
        reading = oven(a=0.5, b=0.5)
        warm = reading.conditions["temperature"]
        assert f"at temperature {warm:g}" in repr(reading)
        assert "<th>temperature</th>" in reading._repr_html_()
        assert 15 < oven.repeat(2, reading.settings)["temperature"].iloc[1] < 35
        assert oven.data["temperature"].iloc[0] == warm


def test_what_a_person_is_to_measure_shows_itself_and_is_told(home):
    channel = {"name": "y", "noise": 0.1}
    with Lab(
        "by-hand", knobs=[{"name": "a"}, {"name": "solvent", "values": ["<w>", "e"]}], channels=[channel]
    ) as bench:
        with pytest.raises(InvalidInput, match=r"campaign\(\) says what is wanted"):
            bench(a=0.5, solvent="e")
        campaign = bench.campaign("hand", {"y": 5}, tolerance=1)
        with pytest.raises(ReadingsWanted) as waits:
            campaign.run()
        assert "ask() says what to measure" in waits.value.__notes__[0]
        asked = campaign.ask()
        assert f"<td>{asked[0].name}</td><td>0</td><td>&lt;w&gt;</td>" in asked._repr_html_()
        assert repr(asked).startswith(f"{asked[0].name}: a=0, solvent=<w>")
        assert {"a", "solvent", "y"} < set(campaign.data.columns)
        campaign.tell([{"sample": sample.name, "readings": {"y": 1.0}} for sample in asked])
        campaign.ask()
        assert campaign.data["y"].tolist() == [1.0] * len(asked)


def test_settings_that_there_are_not_are_refused_before_anything_is_sent(lamp):
    with pytest.raises(InvalidInput) as refused:
        lamp(R=0.1, G=2, C=0.3)
    assert len(refused.value.faults) == 3
    assert "knob 'B' is missing" in str(refused.value)
    with pytest.raises(InvalidInput, match="unknown channel '445mm'"):
        lamp.campaign("typo", {"445mm": 9000})
    with pytest.raises(InvalidInput, match="either the readings of its one target, or 'targets'"):
        lamp.campaign("nothing")
    assert lamp.data.empty


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda lamp: lamp([0.1, 0.2, 0.3]), r"by the names of knobs, as in lamp\(R=0, G=0, B=0\)"),
        (lambda lamp: lamp(0.1, 0.2, 0.3), r"or as a mapping of the same; got 0.1, 0.2, 0.3"),
        (
            lambda lamp: lamp.measure([AT, AT | {"B": 2}, {"R": 0}]),
            "row 1: knob 'B' needs(.|\n)*row 2: knob 'G' is missing",
        ),
        (lambda lamp: Target(name="a", readngs={"445nm": 9}), "readngs: unknown key; did you mean 'readings'"),
        (lambda lamp: Campaign(name="a", instrument="twin", targets=[{"readings": {"445nm": "x"}}]), "got 'x'"),
        (lambda lamp: lamp.measure([[0.1, 0.2, 0.3]]), "by the names of knobs"),
        (lambda lamp: lamp.repeat(0, AT), "a whole number from 1, got 0"),
        (lambda lamp: lamp.repeat(1.5, AT), "a whole number from 1, got 1.5"),
        (lambda lamp: lamp.campaign("list", [9000]), r"targets.0.readings: needs a table, got \[9000\]"),
        (lambda lamp: Lab({"plugin": "twin"}), "plugin: "),
    ],
)
def test_what_is_given_in_a_wrong_form_is_refused_in_a_sentence(lamp, call, said):
    with pytest.raises(InvalidInput, match=said):
        call(lamp)
    assert lamp.data.empty


def test_one_row_and_one_target_need_no_list_and_a_whole_campaign_no_second_instrument(lamp):
    assert len(lamp.measure(AT)) == 1
    blue = Target(name="blue", readings={"445nm": 9000})
    assert lamp.campaign("one", targets=blue).config.targets == (blue,)
    whole = Campaign(name="whole", instrument="robotic-arm", targets=[blue], budget=40)
    config = lamp.campaign(whole).config
    assert (config.name, config.instrument.plugin, config.budget) == ("whole", "twin", 40)


def test_a_channel_at_its_ceiling_is_no_number(lamp):
    bright = lamp(R=1, G=1, B=1)
    assert bright.at_ceiling == ("clear",)
    with pytest.raises(KeyError, match="clear is at its ceiling"):
        bright["clear"]
    assert "clear at its ceiling" in repr(bright)


def test_a_campaign_runs_says_its_verdict_and_stays_as_it_is(lamp, no_prefect):
    campaign = lamp.campaign("white", WHITE, tolerance="1 %", seed=1)
    assert "not begun" in repr(campaign)
    assert "not begun" in campaign._repr_html_()
    assert not campaign.verified
    with pytest.raises(InvalidInput, match="has not begun"):
        campaign.settings()
    campaign.run()
    assert campaign.verified
    assert "VERIFIED" in campaign._repr_html_()
    again = lamp(campaign.settings())
    assert all(abs(again[channel] / wanted - 1) < 0.05 for channel, wanted in WHITE.items())
    assert len(campaign.data) == campaign.outcome["requests"]
    (verdict,) = campaign.verdicts
    assert (verdict.verdict, verdict.settings) == ("VERIFIED", campaign.settings())
    (model,) = campaign.models
    assert model.card.model == "linear"
    for shown in (campaign.models, model):
        assert "fitted" in repr(shown)
        assert "<td>calibration</td>" in shown._repr_html_()
    assert campaign.report().read_text(encoding="utf-8").startswith("<!doctype html>")
    same = lamp.campaign("white", WHITE, tolerance="1 %", seed=1).run()
    assert len(same.data) == len(campaign.data)
    with pytest.raises(InvalidInput, match="was begun with another"):
        lamp.campaign("white", {"445nm": 9000})


def test_several_targets_each_have_their_verdict(lamp):
    targets = [Target(name="blue", readings={"445nm": 9000.0}), {"name": "glare", "readings": {"445nm": 60000}}]
    campaign = lamp.campaign("two", targets=targets, seed=2).run()
    assert {part["target"]: part["verdict"] for part in campaign.outcome["targets"]} == {
        "blue": "VERIFIED",
        "glare": "NOT REACHABLE",
    }
    assert set(campaign.settings("blue")) == {"R", "G", "B"}
    with pytest.raises(InvalidInput, match="glare is NOT REACHABLE"):
        campaign.settings("glare")
    with pytest.raises(InvalidInput, match="no target 'green'"):
        campaign.settings("green")


def test_names_are_shown_as_text_and_never_as_a_page(lamp):
    campaign = lamp.campaign("<b>bold</b> & <script>", {"445nm": 9000})
    assert "<script>" not in campaign._repr_html_()
    assert "&lt;script&gt;" in campaign._repr_html_()


def test_it_works_where_an_event_loop_runs_already(lamp):
    async def cell():
        return lamp.campaign("inside", {"445nm": 9000}, tolerance="2 %").run().verified

    assert asyncio.run(cell())


def test_an_instrument_that_somebody_holds_is_not_measured(lamp, home):
    with Ledger(home / "ledger.sqlite") as book, book.hold("twin-1", "campaign 'theirs'"):
        with pytest.raises(LeaseHeld, match="campaign 'theirs'"):
            lamp(AT)
        with pytest.raises(LeaseHeld, match="campaign 'theirs'"):
            lamp.campaign("mine", WHITE).run()


@pytest.mark.fault("O-13")
def test_the_stop_button_keeps_the_reading_under_way_and_run_goes_on(home):
    class Stopped(Twin):
        def measure(self, settings):
            if self.to_stop == 0:
                os.kill(os.getpid(), signal.SIGINT)
            self.to_stop -= 1
            return super().measure(settings)

    twin = Stopped(seed=1)
    twin.to_stop = 3
    with InstrumentServer(twin) as server, Lab("claude-light", url=server.url, allow_private=True) as lab:
        campaign = lab.campaign("stopped", WHITE, seed=1)
        assert threading.current_thread() is threading.main_thread()
        with pytest.raises(Interrupted):
            campaign.run()
        assert campaign.data["verdict"].str.startswith("OK").tolist() == [True] * 4
        assert server.requests == 4
        assert campaign.run().verified
        assert server.requests == len(campaign.data)


def test_nothing_heavy_is_loaded_for_a_reading(home):
    heavy = ("prefect", "matplotlib", "scipy", "sklearn", "pandas", "torch", "IPython")
    code = (
        "import sys; from sdl import Lab; lamp = Lab('twin'); lamp(R=0.1, G=0.2, B=0.3); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_in_a_notebook_progress_stands_in_one_place_and_the_verdict_below_the_cell(home, tmp_path):
    cells = [
        new_code_cell("from sdl import Lab\nlamp = Lab('twin', seed=1)\nlamp(R=0.1, G=0.2, B=0.3)"),
        new_code_cell("lamp.campaign('white', {'445nm': 16384, '515nm': 16384, '630nm': 16384}, seed=1).run()"),
    ]
    notebook = new_notebook(cells=cells)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    reading, campaign = (cell.outputs for cell in notebook.cells)
    assert "<th>445nm</th>" in reading[0].data["text/html"]
    progress, verdict = campaign
    assert progress.output_type == "display_data"
    assert "VERIFIED" in verdict.data["text/html"]
    nbformat.validate(notebook)
