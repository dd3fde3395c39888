"""A history as rows of the posterior: what stands at a limit, whose reading each is, and when it was taken."""

from dataclasses import replace

import numpy as np
import pytest
from rehearsing import WHITE, campaign, rehearsed

from sdl.campaign.definition import Campaign
from sdl.history import History, Observation, Purpose, ReplyClass, Verdict
from sdl.space import Channel, Condition, Knob, Space
from strategies.correction.rows import EarlierRows
from strategies.fitting.transfer import APART, Transfer
from strategies.plan.knowledge.observed_rows import (
    BREAK,
    LATEST,
    LONG_AGO,
    MOST,
    MOST_EARLIER,
    earlier_rows,
    never_read,
    observed_rows,
    pursuit_number,
    thinned,
)
from strategies.posterior.rows import Rows

SPACE = Space(
    knobs=(Knob(name="x", high=2.0),),
    channels=(Channel(name="y", ceiling=100.0), Channel(name="z", ceiling=100.0)),
)


def observation(seq, readings, *, purpose=Purpose.LEARNING, x=1.0, censored=(False, False)):
    values = {"round": seq, "index": 0, "replicate": 0, "purpose": purpose, "settings": np.array([x])}
    readings, censored = np.array(readings, float), np.array(censored)
    return Observation(**values, verdict=ReplyClass.OK, readings=readings, censored=censored, seq=seq)


def rows(*observations, **background):
    written = campaign({"y": 50}, background=background)
    return observed_rows(written, SPACE, [0, 1], History(observations=observations, sent=len(observations)))


def test_nothing_was_seen_yet():
    assert len(rows()) == 0


def test_settings_are_parts_of_the_box_and_a_masked_reading_stays_unknown():
    found = rows(observation(0, [3.0, np.nan]))
    assert found.settings.tolist() == [[0.5]]
    np.testing.assert_array_equal(found.readings, [[3.0, np.nan]])
    assert found.censored.tolist() == [[0, 0]]


def test_a_channel_at_its_ceiling_stands_there_and_counts_as_read():
    found = rows(observation(0, [np.nan, 7.0], censored=(True, False)))
    assert found.readings.tolist() == [[100.0, 7.0]]
    assert found.censored.tolist() == [[1, 0]]


def test_a_reading_at_the_floor_says_at_most_unless_all_is_off():
    found = rows(observation(0, [0.0, 0.0], purpose=Purpose.REFERENCE, x=0.0), observation(1, [0.0, 7.0]))
    assert found.censored.tolist() == [[0, 0], [-1, 0]]
    assert found.reference.tolist() == [True, False]


def test_a_reference_tells_of_a_break_only_where_none_is_read_by_cadence():
    seen = [observation(0, [1, 1], purpose=Purpose.REFERENCE), observation(1, [2, 2])]
    seen += [observation(2, [1, 1], purpose=Purpose.REFERENCE), observation(3, [2, 2])]
    assert np.diff(rows(*seen).order).tolist() == [1, 1 + BREAK, 1]
    assert np.diff(rows(*seen, every=2).order).tolist() == [1, 1, 1]


def test_each_reading_of_an_exam_is_for_its_target_and_each_answer_is_a_pursuit_of_its_own():
    targets = [{"name": name, "readings": WHITE, "answers": 2} for name in ("a", "b")]
    done = rehearsed(targets=targets, budget=60)
    plan, history = done.plan, done.history
    found = observed_rows(plan.campaign, plan.space, plan.columns, history)
    exams = {exam.round: exam.target for exam in history.exams}
    passed = {target: [f.round for f in done.findings if f.target == target and f.verdict is Verdict.VERIFIED]
              for target in ("a", "b")}  # fmt: skip
    for each, number in zip(history.observations, found.pursuit.tolist(), strict=True):
        if each.purpose is not Purpose.VERIFICATION:
            assert number == -1
            continue
        target = exams[each.round]
        before = sum(round_ < each.round for round_ in passed[target])
        assert number == pursuit_number("ab".index(target), before)
    assert len(set(found.pursuit.tolist())) >= 3, "a target of two answers has two pursuits"


# ---------------------------------------------------------------------- very many, and those of others


def many(n):
    nothing = Rows.empty(1, 1)
    values = {"settings": np.zeros((n, 1)), "readings": np.zeros((n, 1)), "order": np.arange(float(n))}
    values |= {"censored": np.zeros((n, 1), int), "reference": np.zeros(n, bool)}
    values |= {"conditions": np.zeros((n, 0)), "wanted": np.zeros((n, 0))}
    values |= {"source": np.zeros(n, int), "louder": np.ones(n)}
    return replace(nothing, **values, pursuit=np.full(n, -1), apart=np.zeros(n), looked=np.ones(n, bool))


def test_a_reference_does_not_tell_that_what_is_computed_cannot_be_read():
    """Nothing is computed of it: with an earlier campaign to begin with it is all that is read at first."""
    space = SPACE.with_formulas({"ratio": ("y / z", "")})
    wanted = campaign({"ratio": 2, "z": 10})
    for purpose, unread in ((Purpose.REFERENCE, ["z"]), (Purpose.LEARNING, ["ratio", "z"])):
        seen = [observation(0, [5.0, np.nan, np.nan], purpose=purpose)]
        history = History(rounds=[], planned=[], observations=seen, exams=[], findings=[], sent=1)
        assert never_read(wanted, space, history) == unread


@pytest.mark.parametrize("n", [0, 1, MOST, MOST + 1, 1000, 12_345])
def test_of_very_many_rows_the_latest_stay_and_the_first(n):
    kept = thinned(many(n))
    assert len(kept) == n if n <= MOST else LATEST < len(kept) <= MOST
    np.testing.assert_array_equal(kept.order[-LATEST:], np.arange(float(n))[-LATEST:])
    assert n == 0 or kept.order[0] == 0


def test_one_more_row_hardly_changes_which_are_kept():
    one, other = (set(thinned(many(n)).order.tolist()) for n in (900, 901))
    assert len(one ^ other) <= 3


@pytest.mark.parametrize(
    ("said", "wish", "conditions", "wanted"),
    [
        ([20, None, 30], 25.0, [0.25, 0.25, 0.75], [0.5, 0.5, 0.5]),
        ([None, None, 30], "as measured", [0.75, 0.75, 0.75], [0.75, 0.75, 0.75]),
        ([20, 30, None], "as measured", [0.25, 0.75, 0.75], [0.25, 0.75, 0.75]),
        ([None, None, None], 25.0, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
    ],
)
def test_a_condition_that_is_not_said_is_that_of_the_row_before(said, wish, conditions, wanted):
    space = Space.unit("x").model_copy(update={"conditions": (Condition(name="t", low=15, high=35),)})
    target = {"name": "one", "readings": {"y": 1}, "tolerance": 1}
    file = {"name": "n", "instrument": "twin", "targets": [target], "conditions": {"t": wish}}
    rows = [
        Observation(0, k, 0, Purpose.DESIGN, np.zeros(1), k, ReplyClass.OK, np.zeros(1), np.zeros(1, bool), "", known)
        for k, known in enumerate({} if value is None else {"t": float(value)} for value in said)
    ]
    found = observed_rows(Campaign.parse(file), space, [0], History(observations=rows))
    np.testing.assert_allclose(found.conditions[:, 0], conditions)
    np.testing.assert_allclose(found.wanted[:, 0], wanted)
    np.testing.assert_allclose(found.held, wanted[-1])


def transfer(n, kind="of its kind"):
    readings = np.arange(2.0 * n).reshape(n, 2)
    return Transfer({}, kind=kind, earlier=EarlierRows(np.linspace(0, 1, n)[:, None], readings, *[np.zeros(2)] * 2))


def test_without_a_lesson_there_are_no_earlier_rows():
    assert earlier_rows(None) is None
    assert earlier_rows(Transfer({})) is None


def test_rows_of_a_lesson_were_read_long_ago_on_gains_that_are_off():
    found = earlier_rows(transfer(5))
    assert found.apart.tolist() == [APART["of its kind"]] * 5
    assert found.order.max() <= -LONG_AGO
    assert (np.diff(found.order) > 1).all(), "their order is not known"
    assert found.pursuit.tolist() == [-1] * 5


def test_of_a_long_lesson_some_rows_are_taken_from_all_over_it():
    lesson = transfer(500)
    found = earlier_rows(lesson)
    assert len(found) == MOST_EARLIER
    assert found.settings[[0, -1], 0].tolist() == [0, 1]
