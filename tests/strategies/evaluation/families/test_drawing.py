"""Instruments by name and seed: the same again, none in two splits, and a stranger's family beside ours."""

import numpy as np
import pytest

from sdl.errors import InvalidInput, UnknownPlugin
from strategies.evaluation.families.drawing import Split, draw, family_names, family_sentence, seed_sequence

NAMES = [name for name in family_names() if ":" not in name]
SEEDS = range(200)


def words(split, family="linear"):
    return {tuple(seed_sequence(family, seed, split).generate_state(4)) for seed in SEEDS}


def test_the_seeds_for_tuning_and_for_a_release_have_nothing_in_common():
    tuning, release = words(Split.TUNING), words(Split.RELEASE)
    assert len(tuning) == len(release) == len(SEEDS)
    assert not tuning & release


def test_two_families_share_no_random_number():
    assert not words(Split.TUNING) & words(Split.TUNING, "curved")


def test_whoever_says_nothing_gets_an_instrument_for_tuning():
    assert draw("linear", 3).instrument.identity == draw("linear", 3, Split.TUNING).instrument.identity
    assert draw("linear", 3).instrument.identity != draw("linear", 3, Split.RELEASE).instrument.identity


@pytest.mark.parametrize("name", NAMES)
def test_a_family_and_a_seed_are_one_instrument_with_one_set_of_targets(name):
    one, other = draw(name, 1), draw(name, 1)
    assert [goal.target for goal in one.goals] == [goal.target for goal in other.goals]
    settings = one.instrument.space.named_settings(one.goals[0].nearest)
    replies = [case.instrument.measure(settings).readings for case in (one, other)]
    assert replies[0] == replies[1]
    assert draw(name, 2).goals[0].target != one.goals[0].target


@pytest.mark.parametrize("name", NAMES)
def test_a_family_says_what_it_is_in_a_sentence(name):
    assert family_sentence(name).endswith(".")


def test_what_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(UnknownPlugin, match="unknown family 'linaer'; did you mean 'linear'"):
        draw("linaer", 0)
    with pytest.raises(InvalidInput, match="seed: needs a whole number of 0 or more, got -1"):
        draw("linear", -1)
    with pytest.raises(InvalidInput, match="there is no table 'nowhere'"):
        draw("laboratory:nowhere", 0)


def test_any_table_of_measurements_is_a_family(tmp_path):
    rng = np.random.default_rng(0)
    settings = np.repeat(rng.random((20, 2)), 2, axis=0)
    readings = 3 * settings[:, 0] + np.sin(3 * settings[:, 1]) + 0.05 * rng.standard_normal(40)
    path = tmp_path / "mine.csv"
    np.savetxt(path, np.column_stack((settings, readings)), delimiter=",", header="in.a,in.b,out.y", comments="")
    case = draw(f"laboratory:{path}", 0)
    assert case.instrument.space.knob_names == ("a", "b")
    assert case.instrument.space.channels[0].noise is None
    assert np.abs(case.instrument.truth(settings)[:, 0] - readings).max() < 0.4
    assert case.instrument.noise_at(settings[:1])[0, 0] == pytest.approx(0.05, rel=0.4)
