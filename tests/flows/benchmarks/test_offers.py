"""``sdl benchmark offers`` on a table of our own: what is offered first truly works, as often as the nearest row."""

import json

import numpy as np
import pytest
from rich.console import Console

from flows.benchmarks.decisions.offers import FIRST, HAND, offers_table, run_offers_benchmark
from sdl.errors import InvalidInput


@pytest.fixture
def table(tmp_path):
    """Sixty rows of a bent response of three amounts that add up to one, with noise."""
    rng = np.random.default_rng(5)
    amounts = rng.dirichlet(np.ones(3), 60)
    readings = np.sin(4 * amounts[:, 0]) + amounts[:, 1] ** 2 + rng.normal(0, 0.03, 60)
    path = tmp_path / "blend.csv"
    rows = [",".join(map(repr, row)) for row in np.column_stack((amounts, readings)).tolist()]
    path.write_text("\n".join(["in.a,in.b,in.c,out.y", *rows]))
    return path


def test_the_first_offer_works_as_often_as_the_nearest_row(table):
    outcome = list[tuple[int, int]]()
    result = run_offers_benchmark([str(table)], ["nearest", "mixture"], 3, lambda *done: outcome.append(done))
    (found,) = result["tables"]
    assert found["works"][FIRST] >= found["works"][HAND] > 0.5
    assert found["targets"] == 12
    assert all(bar["met"] for bar in result["bars"])
    assert outcome == [(1, 1)]
    assert json.loads(json.dumps(result)) == result
    with (shown := Console(width=140)).capture() as text:
        shown.print(offers_table(result))
    assert "blend" in text.get()


def test_a_table_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(InvalidInput, match=r"cannot read .*gone\.csv"):
        run_offers_benchmark([str(tmp_path / "gone.csv")])
