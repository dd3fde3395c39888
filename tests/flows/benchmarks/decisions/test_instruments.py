"""The benchmark of instruments: cells are kept, strangers' families run, the page and the table hold what they say."""

import json
import os
import re

import pytest

from flows.benchmarks.decisions.instruments import (
    PopulationRequest,
    hold_bars,
    instrument_table,
    run_instruments_benchmark,
    run_population_cell,
)
from flows.benchmarks.decisions.instruments_page import write_instruments_page
from sdl.errors import InvalidInput

STRANGER = '''
"""A family of somebody else."""

from strategies.evaluation.families.shapes import linear


def quiet(rng):
    """Somebody else's quiet instrument."""
    return linear(rng)
'''


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A family of somebody else, installed as packages are, for this process and its children."""
    place = tmp_path / "strangers"
    info = place / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "quiet_family.py").write_text(STRANGER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sdl.instrument_families]\nquiet = quiet_family:quiet\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)


def request(**changes):
    return PopulationRequest(**{"families": ["far-out"], "seeds": 2, "budget": 20, "processes": 0, **changes})


def whole(result):
    """As the suite returns it."""
    machine = {"processor": "any", "cores": 1, "system": "any"}
    return {"at": "2026-11-30T12:00:00+00:00", "machine": machine, "versions": {}, "results": {"instruments": result}}


def test_a_campaign_that_was_finished_is_not_run_again(tmp_path, monkeypatch):
    first = run_instruments_benchmark(request(), tmp_path)
    monkeypatch.setattr("flows.benchmarks.decisions.instruments.run_population_cell", None)
    assert run_instruments_benchmark(request(), tmp_path) == first
    assert [run["seed"] for run in first["runs"]] == [0, 1]


def test_a_campaign_that_crashed_is_named_and_costs_no_other(tmp_path, monkeypatch):
    def crash_on_one(cell):
        return run_population_cell(cell) if cell["seed"] else 1 / 0

    monkeypatch.setattr("flows.benchmarks.decisions.instruments.run_population_cell", crash_on_one)
    result = run_instruments_benchmark(request(), tmp_path)
    assert result["notes"] == ["sdl on far-out, seed 0, crashed: ZeroDivisionError: division by zero"]
    assert [row["campaigns"] for row in result["rows"]] == [1]


def test_a_strangers_family_is_run_in_processes_of_its_own(stranger, tmp_path):
    result = run_instruments_benchmark(request(families=["quiet"], budget=40, processes=1), tmp_path)
    (row,) = result["rows"]
    assert (row["family"], row["campaigns"], row["right"]["value"]) == ("quiet", 2, 1.0)
    assert result["families"] == {"quiet": "Somebody else's quiet instrument."}
    assert not result["notes"]


def test_names_that_there_are_not_are_refused_all_at_once(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        run_instruments_benchmark(request(families=["far-aut", "laboratory:nowhere"], strategies=["sdk"]), tmp_path)
    assert [re.split(";|:", fault)[0] for fault in caught.value.faults] == [
        "unknown family 'far-aut'",
        "there is no table 'nowhere'",
        "unknown strategy 'sdk'",
    ]


def test_a_peer_has_no_row_where_there_are_several_targets_and_that_is_said():
    cells, notes = request(families=["photometer", "linear"], strategies=["sdl", "random"]).cells()
    assert {(cell["family"], cell["strategy"]) for cell in cells} == {
        ("photometer", "sdl"),
        ("linear", "sdl"),
        ("linear", "random"),
    }
    assert notes == ["random takes one target, so it has no row in photometer"]


def test_nor_where_the_largest_possible_is_wanted_and_the_terminal_says_so_too(tmp_path):
    result = run_instruments_benchmark(request(families=["largest"], strategies=["hypercube-pls"], seeds=1), tmp_path)
    assert result["notes"] == ["hypercube-pls takes readings that are given, so it has no row in largest"]
    assert result["notes"][0] in instrument_table(result).caption


def test_bars_hold_the_least_share_verified_and_the_most_of_what_is_false():
    row = {"family": "photometer"} | {
        name: {"value": value} for name, value in (("verified", 0.99), ("references", 0.2), ("false_verified", 0.0))
    }
    met = {bar["figure"]: bar["met"] for bar in hold_bars(row | {"silent": {"value": None}})}
    assert met == {"verified": True, "references": False, "false_verified": True}


def test_the_page_and_the_table_hold_every_family_with_what_it_is(tmp_path):
    result = run_instruments_benchmark(request(families=["far-out", "edge-1.02"], seeds=1), tmp_path)
    page = write_instruments_page(whole(result), tmp_path / "page.html").read_text()
    for words in ("far-out", "edge-1.02", "The nearest settings miss by 5 to 30 tolerances.", "instruments for tuning"):
        assert words in page
    assert instrument_table(result).row_count == 2
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_command_writes_data_and_page(sdl, tmp_path):
    options = ["--family", "far-out", "--seeds", 1, "--processes", 0, "--home", tmp_path]
    said = sdl("benchmark", "instruments", *options, "--page", tmp_path / "page.html", "--json")
    assert said.code in (0, 3)
    assert json.loads(said.out)["results"]["instruments"]["split"] == "tuning"
    assert (tmp_path / "page.html").exists()


def test_the_command_refuses_names_that_there_are_not_and_options_of_others(sdl, tmp_path):
    said = sdl("benchmark", "instruments", "--family", "linaer", "--rows", 3, "--home", tmp_path)
    assert said.code == 2
    assert "did you mean 'linear'" in said.err
    assert "--rows: only 'inverse' has this option" in said.err
