"""A table of measurements is read as it is, and one that is none is refused with what it needs."""

import pytest

from sdl.errors import InvalidInput
from sdl.instruments.simulated.laboratory_table import LaboratoryTable, laboratory_files

ROWS = "in.heat,in.still,out.yield,note\n" + "".join(f"{10 * n},7,{n * n},word\n" for n in range(8))


def test_a_table_has_the_knobs_that_move_and_the_channels(tmp_path):
    (tmp_path / "oven.csv").write_text(f"{ROWS}90,7,,word\n")
    table = LaboratoryTable.read(tmp_path / "oven.csv")
    assert (table.knobs, table.channels) == (("heat",), ("yield",))
    assert table.settings.tolist() == [[10.0 * n] for n in range(8)]
    assert table.readings.tolist() == [[float(n * n)] for n in range(8)]
    assert list(laboratory_files(tmp_path)) == ["oven"]
    assert laboratory_files(tmp_path / "nowhere") == {}


def test_a_table_by_its_path_is_the_same_as_by_its_name(tmp_path):
    (tmp_path / "oven.csv").write_text(ROWS)
    assert LaboratoryTable.named(str(tmp_path / "oven.csv")).knobs == ("heat",)


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "short.csv").write_text("in.heat,out.yield\n1,2\n3,4\n")
    with pytest.raises(InvalidInput, match=r"needs columns .* 5 rows of numbers, got 1 knobs that move, .* and 2 rows"):
        LaboratoryTable.read(tmp_path / "short.csv")
    with pytest.raises(InvalidInput, match="cannot read"):
        LaboratoryTable.read(tmp_path / "nowhere.csv")
    with pytest.raises(InvalidInput, match="there is no table 'ovne'"):
        LaboratoryTable.named("ovne")
