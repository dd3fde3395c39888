"""Nights in which clocks are put forward or back: durations stay durations, times of the day those of the wall."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from flows.laboratory.registration import make_deployment
from sdl.campaign.safety import SuspendPart
from sdl.measurement.suspenders import Suspenders
from sdl.space import Channel, Knob, Space

ZONES = [
    *("Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Santiago"),
    *("Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham"),
]
"""Changes at midnight, at 1, 2 and 2:45, by half an hour and by a whole one, in the north and in the south."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def changes(zone):
    """The moments of 2026 and 2027 at which clocks are changed."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + n * HOUR for n in range(2 * 365 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]


QUICK = ("Europe/Berlin", "Australia/Lord_Howe")
NIGHTS = [
    pytest.param(zone, night, id=f"{zone} {night:%Y-%m-%d}", marks=[] if zone in QUICK else [pytest.mark.slow])
    for zone in ZONES
    for night in changes(zone)
]
each_night = pytest.mark.parametrize(("zone", "night"), NIGHTS)


def due(zone, night, **rhythm):
    """When Prefect begins a run in the two days around a night, by the deployment and by the workers' file."""
    appointment = {"run": "calibrate", "instrument": "twin", **rhythm}
    laboratory = Laboratory.parse({"timezone": zone, "instruments": {"twin": "twin"}, "schedule": [appointment]})
    (defined,) = (each for each in define_deployments(laboratory) if each.appointments)
    (served,) = (each.schedule for each in make_deployment(defined, {}, "these tests").schedules)
    (written,) = defined.written("pool")["schedules"]
    kind, keys = (CronSchedule, ["cron"]) if "cron" in rhythm else (IntervalSchedule, ["interval", "anchor_date"])
    schedules = [
        kind.model_validate(served.model_dump(include={*keys, "timezone"})),
        kind.model_validate({key: written[key] for key in [*keys, "timezone"]}),
    ]
    window = (night - DAY, night + DAY)
    moments, again = (
        [datetime.fromtimestamp(moment.timestamp(), UTC) for moment in asyncio.run(each.get_dates(1000, *window))]
        for each in schedules
    )
    assert moments == again
    return moments


def test_there_are_nights_in_which_clocks_go_either_way():
    assert Counter(zone for zone, _ in (night.values for night in NIGHTS)) == dict.fromkeys(ZONES, 4)


@pytest.mark.fault("O-48")
@each_night
@pytest.mark.parametrize("minutes", [7, 30, 60, 90, 720])
def test_so_many_minutes_are_so_many_minutes(zone, night, minutes):
    moments = due(zone, night, every_min=minutes)
    gaps = {later - earlier for earlier, later in pairwise(moments)}
    assert gaps == {timedelta(minutes=minutes)}


@pytest.mark.fault("O-48")
@each_night
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 23])
def test_a_time_of_the_day_comes_once_a_day(zone, night, hour):
    """Where the wall never shows it, it comes as much later as clocks are put forward."""
    here = ZoneInfo(zone)
    for moment in due(zone, night, cron=f"30 {hour} * * *"):
        wall = moment.astimezone(here)
        intended = datetime(wall.year, wall.month, wall.day, hour, 30, tzinfo=here)
        assert moment == intended.astimezone(UTC)
    days = [moment.astimezone(here).date() for moment in due(zone, night, cron=f"30 {hour} * * *")]
    assert len(days) == len(set(days)) == 2 or {night.astimezone(here).date()} <= {*days}


@pytest.mark.fault("O-48")
@each_night
def test_every_time_that_the_wall_shows_comes_once(zone, night):
    here = ZoneInfo(zone)
    shown = {
        wall.replace(tzinfo=None)
        for minute in range(2 * 24 * 60 + 1)
        if (wall := (night - DAY + timedelta(minutes=minute)).astimezone(here)).minute % 30 == 0
    }
    moments = due(zone, night, cron="*/30 * * * *")
    assert Counter(moment.astimezone(here).replace(tzinfo=None) for moment in moments) == Counter(shown)


@pytest.mark.fault("O-48")
@each_night
@pytest.mark.parametrize("quiet", ["22:00-06:00", "01:00-02:30", "02:15-03:00", "23:30-00:30"])
def test_quiet_hours_are_what_the_wall_shows(zone, night, quiet):
    """At any moment, and until the first minute in which the wall shows none."""
    space = Space(knobs=[Knob(name="x")], channels=[Channel(name="a")])
    moments = [night - DAY + timedelta(minutes=n) for n in range(3 * 24 * 60)]
    shown = [f"{moment.astimezone(ZoneInfo(zone)):%H:%M}" for moment in moments]
    begin, end = quiet.split("-")
    silent = [begin <= wall < end if begin < end else not end <= wall < begin for wall in shown]
    for n in range(0, 2 * 24 * 60, 13):
        now = moments[n] + timedelta(seconds=20)
        rule = SuspendPart(quiet=(quiet,), timezone=zone)
        held = Suspenders(rule, space, [0], clock=lambda now=now: now).hold()
        assert (held is not None) == silent[n]
        if held is not None:
            over = silent.index(False, n)
            assert now + timedelta(seconds=held.seconds) == moments[over]
            assert held.reason == f"quiet hours {quiet} ({zone}): it goes on at {shown[over]}"
