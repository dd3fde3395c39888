"""``sdl benchmark ablation``: iPage with one thing changed at a time, its rows beside what was published."""

import json

import pytest

from flows.benchmarks.inverse.ablation import VARIANTS, ablation_tables, run_ablation_benchmark
from flows.benchmarks.inverse.run import InverseRequest
from sdl.errors import InvalidInput


@pytest.mark.slow
def test_more_samples_hold_a_better_one_and_find_more_of_the_answers():
    asked = InverseRequest(problems=["sinewave"], seeds=1, rows=600, targets=10, seconds=2.0)
    told = []
    result = run_ablation_benchmark(asked, lambda *done: told.append(done))
    rows = {row["variant"]: row for row in result["rows"]}
    assert set(rows) == {variant.name for variant in VARIANTS}
    best = [rows[f"{n} sample{'s' if n > 1 else ''}"]["best"]["median"] for n in (1, 5, 50)]
    assert best == sorted(best, reverse=True)
    found = [rows[f"{n} sample{'s' if n > 1 else ''}"]["modes"]["median"] for n in (1, 5, 50)]
    assert found == sorted(found)
    printed, plain = rows[VARIANTS[0].name], rows["no descent"]
    assert printed["mean"] != plain["mean"]
    assert (printed["published"], plain["published"]) == (0.002, None)
    assert told[-1] == (2, 2), "a network for each schedule"
    assert json.loads(json.dumps(result, allow_nan=False))["rows"] == result["rows"]
    (table,) = ablation_tables(result)
    assert table.row_count == len(VARIANTS)


def test_what_it_cannot_do_is_refused(sdl):
    with pytest.raises(InvalidInput, match="the ablation is of ipage alone"):
        run_ablation_benchmark(InverseRequest(models=["cvae"]))
    refused = sdl("benchmark", "ablation", "--problem", "sinewav", "--forward", "3")
    assert "unknown problem 'sinewav'; did you mean 'sinewave'?" in refused.said
    assert "--forward: only 'inverse' has this option" in refused.said
