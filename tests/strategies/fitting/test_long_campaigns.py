"""A long campaign: nothing lost at an instrument that fails now and then, and no slower for what came before."""

import json
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from flows.benchmarks.operation import soak
from flows.benchmarks.operation import utilisation as use
from sdl.errors import SdlError
from sdl.history import History, Observation, Purpose, ReplyClass
from sdl.instruments.claude_light.channels import SPACE
from strategies.correction.kriging import kriged, missed_nearby
from strategies.correction.rows import NEAREST, TrainingRows, unshared
from strategies.fitting import fitting, training_rows
from strategies.fitting.fitting import fit_models
from strategies.fitting.training_rows import FEWEST_TO_JUDGE, LATEST, MOST

COLUMNS = SPACE.columns(["445nm", "515nm", "630nm"])


def shown(table):
    console = Console(width=200)
    with console.capture() as text:
        console.print(table)
    return text.get()


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_where_two_requests_in_a_hundred_fail():
    result = soak.run_soak_benchmark(600)
    figures = result["figures"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["attempts"] > 500
    assert figures["failed"] > 0
    assert figures["course"][-1]["sent"] == figures["attempts"]
    assert "requests that arrived and are not in the ledger" in shown(soak.soak_table(result))


# ---------------------------------------------------------------------- what a fit stands on


def campaign(settings, replicates):
    """A history of so many settings, each measured so often, a round each."""
    rng = np.random.default_rng(0)
    places = rng.random((settings, SPACE.d))
    return [
        Observation(
            *(number, 0, replicate, Purpose.LEARNING, place, number * replicates + replicate, ReplyClass.OK),
            *(1000 + 40000 * place.repeat(4)[: SPACE.p] + rng.normal(0, 40, SPACE.p), np.zeros(SPACE.p, bool)),
        )
        for number, place in enumerate(places)
        for replicate in range(replicates)
    ]


def thinned(observations, replicates=False):
    return training_rows._thinned(observations, replicates=replicates)


@pytest.mark.parametrize("replicates", [True, False])
def test_as_long_as_there_are_not_very_many_rows_all_of_them_are_learned_from(replicates):
    observations = campaign(MOST // 10, 10)
    assert thinned(observations, replicates) is observations


@pytest.mark.parametrize(("settings", "replicates"), [(MOST + 1, 1), (4 * MOST, 1), (200, 50), (500, 20)])
def test_of_very_many_rows_the_latest_are_kept_and_a_selection_of_the_others(settings, replicates):
    observations = campaign(settings, replicates)
    whole, few = thinned(observations, replicates=True), thinned(observations)
    assert len(few) <= len(whole) <= MOST
    assert list(whole[-LATEST:]) == observations[-LATEST:]
    assert {each.round for each in few} == {each.round for each in whole}
    counts = np.unique([each.round for each in few], return_counts=True)[1]
    assert counts.max() <= FEWEST_TO_JUDGE
    older = [each.round for each in whole[:-LATEST] if each.replicate == 0]
    assert max(np.diff(older)) == min(np.diff(older[:-1]))  # evenly over the campaign
    assert [each.seq for each in whole] == sorted(each.seq for each in whole)


def test_a_selection_stays_for_many_rounds():
    observations = campaign(4 * MOST, 1)
    at = [{each.seq for each in thinned(observations[:n])} for n in range(3 * MOST, 3 * MOST + 20)]
    assert all(len(one ^ other) <= 4 for one, other in pairwise(at))


def test_a_fit_of_a_long_campaign_has_no_more_rows_than_that():
    models = (fitting.LAST_RESORT,)
    fitted = fit_models(models, SPACE, COLUMNS, History(observations=campaign(300, 20)), 10_000)
    assert fitted.model is not None
    assert len(fitted.settings) <= MOST


@pytest.mark.parametrize("n", [40, NEAREST + 50])
def test_what_is_missed_is_the_same_whoever_asked_before(n):
    rng = np.random.default_rng(1)
    settings = rng.random((n, 3))
    readings = np.sin(4 * settings) * 1000 + rng.normal(0, 1, (n, 3))
    rows = TrainingRows(settings, readings, np.ones(3), np.zeros(3), unshared)

    def line(at):
        return 1000 * at

    for at in (np.full(3, 0.2), np.full(3, 0.21), np.full(3, 0.9), np.full(3, 0.2)):
        near = rows.nearest(at)
        mean, deviation = kriged(near, near.readings - line(near.settings), at[None])
        missed, uncertainty = missed_nearby(rows, line, at)
        np.testing.assert_array_equal(missed, mean[0])
        np.testing.assert_array_equal(uncertainty, deviation[0])


# ---------------------------------------------------------------------- the use of an instrument


def test_the_share_of_the_time_counts_from_the_first_request_to_the_last_answer():
    assert use.busy_share([0.0, 1.0, 2.5], [0.8, 1.8, 3.3]) == pytest.approx(2.4 / 3.3)


def test_readings_a_minute_are_those_while_all_are_at_work():
    alone = [float(each) for each in range(11)]
    late = [each + 4.0 for each in alone]
    assert use.common_rate([alone]) == pytest.approx(60.0)
    assert use.common_rate([alone, late]) == pytest.approx(120.0)
    with pytest.raises(SdlError, match="more requests"):
        use.common_rate([alone, [each + 20.0 for each in alone]])


def test_use_shows_its_figures():
    bars = [{"figure": name, "value": bar, "bar": bar, "met": True} for name, bar in use.BARS.items()]
    text = shown(use.utilisation_table({"figures": {}, "bars": bars}))
    assert "share of the time in which a request is in flight" in text
    assert "8 instruments" in text
