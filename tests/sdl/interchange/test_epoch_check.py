"""Rows from elsewhere are told to be of another epoch where the instrument's gain has changed, and not else."""

import numpy as np
import pytest

from flows.engine.open_bench import open_bench
from sdl.analysis import gain_shift as epoch
from sdl.campaign.sections import Plugin
from sdl.history import NoticeKind
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange.export_import import import_campaign
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.measurement import manual as by_hand
from sdl.reports.campaign_page import render_campaign_page
from strategies.designs import LatinHypercube

DAYLIGHT = {"daylight": 1500.0, "memory_h": 1.0}
AGED = np.array([1.0, 1.028, 1.0])
"""What was seen at green in 14 months."""


def taken(seed, n, gain=1.0, every=8):
    """Settings and readings of a design on a twin in daylight, with the background in between."""
    twin = Twin(seed=seed, **DAYLIGHT)
    twin._gain = twin._gain * gain
    settings = LatinHypercube().propose(twin.space, n, np.random.default_rng(seed))
    settings = np.vstack([[twin.space.off, row] if place % every == 0 else [row] for place, row in enumerate(settings)])
    replies = [twin.measure(twin.space.named_settings(row)) for row in settings]
    readings = np.array([[reply.readings[name] for name in twin.space.channel_names] for reply in replies], float)
    return settings, np.where(readings < 65535, readings, np.nan), replies


def shifts(then, now):
    return epoch.gain_shifts(Twin().space, then[:2], now[:2])


@pytest.mark.fault("I-19")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [20, 100])
def test_a_lamp_that_aged_is_told_and_named(seed, n):
    red, green, blue = shifts(taken(seed, n, AGED), taken(50 + seed, 40))
    assert (green.knob, green.channel, green.real) == ("G", "515nm", True)
    assert green.change == pytest.approx(0.028, abs=0.012)
    assert not red.real
    assert not blue.real


@pytest.mark.parametrize("seed", range(10))
def test_two_sessions_of_one_instrument_are_one_epoch(seed):
    assert not any(each.real for each in shifts(taken(seed, 60), taken(50 + seed, 30)))


def test_where_on_the_curve_rows_were_taken_is_no_change():
    settings, readings, _ = taken(1, 100)
    dim = (settings < 0.6).all(axis=1)
    assert not any(each.real for each in shifts((settings[dim], readings[dim]), taken(51, 60)))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_few_rows_tell_nothing(rows):
    settings, readings, _ = taken(1, 20)
    assert shifts((settings[:rows], readings[:rows]), taken(51, 4)) == ()


def test_full_drives_alone_tell_nothing():
    """A lamp that is always on lies beside its curve, so it would look like another one."""
    drives = np.tile(np.vstack((np.zeros(3), np.eye(3))), (5, 1))
    twin = Twin()
    readings = np.array([list(twin.measure(twin.space.named_settings(row)).readings.values()) for row in drives], float)
    assert epoch.gain_shifts(twin.space, taken(1, 100)[:2], (drives, readings)) == ()


@pytest.mark.fault("I-19")
@pytest.mark.parametrize(("gain", "other"), [(AGED, True), (1.0, False)])
def test_imported_rows_are_compared_with_what_the_instrument_measured_last(tmp_path, gain, other):
    path, part = tmp_path / "old.jsonl", Plugin(plugin="twin", seed=9, **DAYLIGHT)
    path.write_text("".join(f"{reply.raw}\n" for reply in taken(3, 40, gain)[2]), encoding="utf-8")
    with open_bench(part, str(tmp_path), None, "survey") as bench:
        design = LatinHypercube().propose(bench.instrument.space, 40, np.random.default_rng(9))
        by_hand.survey_space(bench, design, every=8)
    with Ledger(tmp_path / "ledger.sqlite") as book:
        for name in ("old", "once more"):  # what was imported says nothing of the present
            entry = import_campaign(book, path, name)
            (sentence,) = entry.config["imported"]["epoch"]
            assert sentence.startswith("OTHER EPOCH than" if other else "as twin-9 measures")
            notices = Controls(book).notices(entry.id)
            assert [each.kind for each in notices] == [NoticeKind.OTHER_EPOCH] * other
        assert ("OTHER EPOCH" in render_campaign_page(book, "old")) == other


def test_where_nothing_was_measured_there_is_nothing_to_compare_with(tmp_path):
    path = tmp_path / "old.jsonl"
    path.write_text("".join(f"{reply.raw}\n" for reply in taken(3, 5)[2]), encoding="utf-8")
    with Ledger(tmp_path / "ledger.sqlite") as book:
        assert import_campaign(book, path, "old").config["imported"]["epoch"] == []
