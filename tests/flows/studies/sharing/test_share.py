"""``sdl share``: a model goes out, rows do not, and whoever has it solves with it alone."""

import json

import numpy as np
import pytest
from problems import twin_rows, written

from flows.studies.sharing.shared_file import read_shared_file
from sdl.errors import InvalidInput

CHANNELS = ("--channel", "x=0:2", "--channel", "y=0:2")
KNOBS = ("--knob", "x1=0:1", "--knob", "x2=0:1")
SLOPES = np.array([[1.0, 0.2], [0.2, 1.2]])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(66)
    settings = rng.random((400, 2))
    readings = 0.2 + settings @ SLOPES + 0.01 * rng.normal(size=(400, 2))
    return written(tmp_path_factory.mktemp("sharing") / "rows.jsonl", settings, readings, ["x", "y"])


@pytest.fixture
def shared(sdl, table, tmp_path):
    """A model of hardly any privacy, so that what it answers is near the truth."""
    path = tmp_path / "shared.json"
    outcome = sdl("share", "linear", table, path, *CHANNELS, *KNOBS, "--epsilon", 200, "--json")
    assert outcome.code == 0, outcome.said
    return path


def test_it_is_solved_with_where_the_rows_are_not(sdl, shared, table):
    asked = ("solve", shared, "--target", "x=0.8", "--tolerance", "5 %", "--target", "y=1.0")
    outcome = sdl(*asked, "--json")
    assert outcome.code == 0, outcome.said
    found = outcome.json["candidates"][0]
    truth = np.linalg.solve(SLOPES.T, [0.6, 0.8])
    assert list(found["settings"].values()) == pytest.approx(truth, abs=0.05)
    assert found["chance"] > 0.5
    assert found["intervals"]["x"][0] < found["readings"]["x"] < found["intervals"]["x"][1]
    assert sdl(*asked, "--json").json == outcome.json
    said = sdl(*asked).said
    assert "by a shared model (epsilon 200" in " ".join(said.split())


def test_a_target_that_nothing_gives_has_the_nearest_settings(sdl, shared):
    outcome = sdl("solve", shared, "--target", "x=0.2", "--target", "y=1.6", "--json")
    assert outcome.code == 3
    assert (outcome.json["reachable"], outcome.json["candidates"]) == (False, [])
    assert outcome.json["nearest"]["misses"]
    assert outcome.json["remoteness"] > 1


def test_the_file_has_bounds_promise_and_sums_and_nothing_else_of_the_rows(shared):
    held = json.loads(shared.read_text())
    assert set(held) == {"format", "model", "space", "epsilon", "delta", "unit_of_privacy", "mechanism", "sums"}
    assert set(held["sums"]) == {"degree", "gram", "cross", "squares", "noise", "noise_of_squares"}
    assert [(each["floor"], each["ceiling"], each["noise"]) for each in held["space"]["channels"]] == [(0, 2, None)] * 2


def test_the_noise_comes_from_no_seed_and_the_figures_do(sdl, table, tmp_path):
    found = [
        sdl("share", "linear", table, tmp_path / name, *CHANNELS, *KNOBS, "--seed", 3, "--json").json
        for name in ("one.json", "two.json")
    ]
    one, two = ({k: v for k, v in each.items() if k != "file"} for each in found)
    assert one == two
    sums = [read_shared_file(tmp_path / name).sums for name in ("one.json", "two.json")]
    assert sums[0]["gram"] != sums[1]["gram"]


def test_a_person_reads_what_it_costs_keeps_and_assumes(sdl, table, tmp_path):
    said = " ".join(sdl("share", "linear", table, tmp_path / "a.json", *CHANNELS, *KNOBS).said.split())
    assert "without noise" in said
    assert "no attack on the file exceeds 0.107" in said
    assert "Bounds that were assumed: x1 0 to 1, x2 0 to 1, x 0 to 2, y 0 to 2." in said
    assert "Several measurements of one sample are together protected by so many times epsilon" in said
    assert "for their owner alone" in said


def test_bounds_are_never_taken_from_the_rows(sdl, table, tmp_path):
    outcome = sdl("share", "mixture", table, tmp_path / "a.json", "--channel", "x", "--channel", "z", "--epsilon", 0)
    assert outcome.code == 2
    for fault in ("'mixture' cannot be shared", "epsilon needs", "the range of x is not known", "unknown channel 'z'",
                  "the range of x1 is that of the rows", "the range of x2 is that of the rows"):  # fmt: skip
        assert fault in outcome.said
    assert not (tmp_path / "a.json").exists()


def test_a_campaign_is_shared_by_its_name_with_the_bounds_of_its_instrument(sdl, table, tmp_path):
    readings, settings = twin_rows(40)
    sdl("import", written(tmp_path / "lamp.jsonl", settings, readings))
    outcome = sdl("share", "linear", "lamp", tmp_path / "a.json", "--channel", "515nm", "--json")
    assert outcome.code == 0, outcome.said
    assert outcome.json["bounds"] == {"R": [0, 1], "G": [0, 1], "B": [0, 1], "515nm": [0, 65535]}
    assert outcome.json["rows"] == 40
    sdl("import", table, "--name", "table")
    refused = sdl("share", "linear", "table", tmp_path / "b.json", *CHANNELS)
    assert refused.code == 2
    assert "the range of x1 is that of the rows" in refused.said


def test_what_needs_rows_is_refused_all_at_once(sdl, shared):
    outcome = sdl("solve", shared, "--target", "x=1", "--model", "pls", "--anchor", "x1=0:x=1", "--regularise")
    assert outcome.code == 2
    for name in ("model", "anchor", "regularise"):
        assert f"--{name} needs rows, and a shared model has none" in outcome.said
    assert "the most or least of x needs rows" in sdl("solve", shared, "--target", "x=maximum±0.1").said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is no JSON"),
        ("{}", "is no shared model: space: Field required"),
        ('{"format": "pickle"}', "is no shared model: format"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_of_a_stranger_is_refused_in_a_sentence(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_shared_file(path)
    assert any(says in fault for fault in refused.value.faults)


def test_sums_of_another_shape_and_channels_without_bounds_are_refused(shared):
    held = json.loads(shared.read_text())
    held["sums"]["cross"] = [[1.0]]
    shared.write_text(json.dumps(held))
    with pytest.raises(InvalidInput, match="cross needs the shape"):
        read_shared_file(shared)
    held["space"]["channels"][0]["ceiling"] = None
    shared.write_text(json.dumps(held))
    with pytest.raises(InvalidInput, match="every channel needs a floor and a ceiling, and x has not"):
        read_shared_file(shared)
