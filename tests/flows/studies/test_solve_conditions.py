"""Rows of files with columns ``cond.NAME``: answers for what is given, warnings, and every fault at once."""

import io
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from rich.console import Console

from flows.studies.compare import compare_models
from flows.studies.solve import solve, solve_tables
from sdl.errors import InvalidInput


def warm(x, t):
    return x * (1 + 0.04 * (t - 20))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    settings, t = rng.random(60), np.resize([10.0, 20.0, 30.0], 60)
    return np.column_stack((settings, warm(settings, t) + rng.normal(0, 0.002, 60), t))


@pytest.fixture(scope="module")
def csv(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("conditions") / "rows.csv"
    np.savetxt(path, table, delimiter=",", header="in.x,out.y,cond.temperature", comments="")
    return path


def lines(table, path):
    said = [{"in": {"x": x}, "out": {"y": y}, "cond": {"temperature": t}} for x, y, t in table.tolist()]
    path.write_text("\n".join(map(json.dumps, said)))
    return path


def database(table, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE rows ("in.x" REAL, "out.y" REAL, "cond.temperature" REAL)')
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", table.tolist())
        connection.commit()
    return path


def offer(result):
    return result["models"][0]["candidates"][0]["settings"]["x"]


@pytest.mark.parametrize("given", [10, 15, 30])
def test_the_settings_are_for_the_condition_given(csv, given):
    result = solve(csv, ["y=0.5"], models=["linear"], given=[f"temperature={given}"])
    assert warm(offer(result), given) == pytest.approx(0.5, abs=0.005)
    assert result["conditions"] == {"temperature": {"given": given, "low": 10, "high": 30, "seen": True}}
    assert result["warnings"] == []


@pytest.mark.parametrize("write", [lines, database])
def test_every_format_says_the_same(csv, table, tmp_path, write):
    path = write(table, tmp_path / ("rows.jsonl" if write is lines else "rows.db"))
    plain, other = (solve(each, ["y=0.5"], models=["linear"], given=["temperature=15"]) for each in (csv, path))
    assert offer(plain) == pytest.approx(offer(other), rel=1e-9)


def test_a_condition_that_was_not_seen_is_warned_of_before_any_figure(csv):
    result = solve(csv, ["y=0.5"], models=["linear"], given=["temperature=50"])
    assert "No row had such a temperature: measure there first." in result["advice"]
    console = Console(width=240, file=io.StringIO())
    console.print(*solve_tables(result))
    text = " ".join(console.file.getvalue().split())
    assert "temperature = 50 lies beyond what the rows had (10 to 30), so an answer is a guess" in text


def test_a_comparison_holds_models_against_rows_in_the_condition_given(csv):
    result = compare_models(csv, ["y=0.5"], models=["linear", "mixture"], given=["temperature=15"])
    assert warm(offer(result), 15) == pytest.approx(0.5, abs=0.005)
    assert min(row["scores"]["readings"]["test"]["r2"]["y"] for row in result["models"]) > 0.99
    unstated = compare_models(csv, ["y=0.5"], models=["linear"])
    assert "temperature is not given" in unstated["warnings"][0]["text"]


def test_every_fault_is_told_at_once(csv, tmp_path):
    with pytest.raises(InvalidInput) as caught:
        solve(csv, ["y=0.5", "z=1"], given=["temperatur=20", "temperature", "temperature=nan"], models=["linar"])
    assert "given: unknown condition 'temperatur'; did you mean 'temperature'?" in str(caught.value)
    assert "given: 'temperature' needs the form CONDITION=VALUE" in str(caught.value)
    assert "given: temperature needs a finite number" in str(caught.value)
    assert "unknown channel 'z'" in str(caught.value)
    assert "linar" in str(caught.value)
    plain = tmp_path / "plain.csv"
    plain.write_text("in.x,out.y\n0,0\n1,1\n0.5,0.5\n")
    with pytest.raises(InvalidInput, match=r"columns cond\.NAME, and this one has none"):
        solve(plain, ["y=0.5"], given=["temperature=20"])
    with pytest.raises(InvalidInput, match="an anchor is for rows without conditions"):
        solve(csv, ["y=0.5"], anchors=["x=0.5:y=0.4"], given=["temperature=20"])
