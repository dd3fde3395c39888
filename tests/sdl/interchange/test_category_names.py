"""Rows whose settings are names, as of solvents: a category by the file, or the places of the names there are."""

import json

import pytest

from sdl.errors import InvalidInput
from sdl.interchange.export_import import import_campaign
from sdl.interchange.file_contents import read_contents
from sdl.space import Channel, Knob, Space

ROWS = [("water", 20, 1.5), ("toluene", 30, 2.5), ("water", 40, 3.5), ("ethanol", 50, 4.5)]


def table(path, rows=ROWS):
    path.write_text("\n".join(["in.solvent,in.T,out.y", *(",".join(map(str, row)) for row in rows)]))
    return path


def lines(path):
    texts = [
        json.dumps({"in": {"solvent": f"{name} ", "T": warmth}, "out": {"y": read}}) for name, warmth, read in ROWS
    ]
    path.write_text("\n".join(texts))
    return path


def stated(*names):
    knobs = (Knob(name="solvent", values=names), Knob(name="T", low=0, high=100))
    return Space(knobs=knobs, channels=(Channel(name="y", unit="", floor=None, integral=False),))


@pytest.mark.parametrize("file", [lambda folder: table(folder / "a.csv"), lambda folder: lines(folder / "a.jsonl")])
def test_a_column_of_names_is_a_category(ledger, tmp_path, file):
    entry = import_campaign(ledger, file(tmp_path), "solvents")
    solvent, warmth = entry.space.knobs
    assert (solvent.names, warmth.names) == (("ethanol", "toluene", "water"), ())
    settings = [row["settings"] for row in ledger.trail(entry.id)]
    assert [entry.space.shown_settings(each)["solvent"] for each in settings] == [name for name, *_ in ROWS]


@pytest.mark.parametrize("file", [lambda folder: table(folder / "a.csv"), lambda folder: lines(folder / "a.jsonl")])
def test_names_have_the_places_that_a_space_gives_them(tmp_path, file):
    contents = read_contents(file(tmp_path), stated("water", "ethanol", "toluene", "hexane"))
    assert [row["settings"][0] for row in contents.rows] == [0, 2, 0, 1]
    with pytest.raises(InvalidInput, match="needs one of water, ethanol, tolene, got 'toluene'; did you mean 'tolene'"):
        read_contents(file(tmp_path), stated("water", "ethanol", "tolene"))


@pytest.mark.parametrize(
    "column",
    [("NA", "NA", "NA"), ("water", "NA", "oil"), ("water", 3, "water"), ("5 g", "6 g", "7 g"), ("4,5", "3,5", "2,5")],
)
def test_what_is_no_category_is_no_number_either(tmp_path, column):
    rows = [(f'"{name}"', 20 + place, place) for place, name in enumerate(column)]
    with pytest.raises(InvalidInput, match=r"line 2: in\.solvent is "):
        read_contents(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize("column", [("0.1", "0.2"), ("5 g", "6 g"), ("water", "NA"), ("water", "water"), ("water", 3)])
def test_nor_is_it_in_json(tmp_path, column):
    texts = [json.dumps({"in": {"a": value}, "out": {"y": 1}}) for value in column]
    (tmp_path / "a.jsonl").write_text("\n".join(texts))
    with pytest.raises(InvalidInput, match=r"line 1: in\.a: input should be a valid number, got '"):
        read_contents(tmp_path / "a.jsonl")


def test_the_places_of_names_are_as_good(tmp_path):
    rows = [(place, 20 + place, place) for place in range(3)]
    contents = read_contents(table(tmp_path / "a.csv", rows), stated("water", "ethanol", "toluene"))
    assert [row["settings"][0] for row in contents.rows] == [0, 1, 2]


def test_knobs_of_the_lamp_with_names_are_no_lamp(tmp_path):
    (tmp_path / "a.csv").write_text("in.R,in.G,in.B,out.515nm\nred,0.1,0.1,5\nblue,0.2,0.2,7\nred,0.3,0.1,8\n")
    assert read_contents(tmp_path / "a.csv").space.knobs[0].names == ("blue", "red")
