"""The channels that a target leaves free: foretold at the settings of a finding, and what an exam measured of them."""

from dataclasses import replace

import numpy as np

from sdl.analysis.background import Background
from sdl.analysis.verification import known_noise
from sdl.campaign.definition import Campaign
from sdl.history import Finding, ForetoldFacts, History, Observation, Purpose
from sdl.space import Readings, Space
from strategies.plan.knowledge.observed_rows import observed_rows, thinned
from strategies.posterior import Statement, learn, predict_interval
from strategies.posterior.growing import FEWEST, are_enough
from strategies.posterior.predictive_interval import LEVEL

MOST = 12
"""Channels that are foretold at most, in the order of the instrument: a spectrum has hundreds."""

DRIFT = 0.005
"""Part of its level by which a background may change in an exam, beyond what the rows show of it: standard deviation.
Few rows have no drift in them, and light has one all the same."""


def with_free_channels(campaign: Campaign, space: Space, history: History, finding: Finding) -> Finding:
    """A finding that says what its settings were to read in the channels left free, and what they did read.

    They are foretold by all that was read before the exam; the posterior that decides does not know them.
    """
    fixed = campaign.target(finding.target).readings
    exams = [each.seq for each in history.of_round(finding.round, Purpose.VERIFICATION)]
    before = [each for each in history.observations if not exams or each.seq < exams[0]]
    measured = [each for each in history.observations if each.seq in exams]
    columns = [c for c, name in enumerate(space.channel_names) if name not in fixed and _read(before, c)][:MOST]
    if finding.settings is None or not columns:
        return finding
    rows = thinned(observed_rows(campaign, space, columns, replace(history, observations=before)))
    if not are_enough(rows):
        return finding
    statement = Statement.of(space, columns)
    posterior = learn(rows, replace(statement, noise=known_noise(campaign.verification, space)[columns]))
    settings = space.to_unit(finding.settings)[None]
    light = DRIFT * np.abs(np.nan_to_num(Background.of(before, space.p).latest[columns]))
    low, high = (end[0] for end in predict_interval(posterior, settings, max(len(measured), 1), light))
    low, high = (np.clip(end, statement.floor, statement.ceiling).tolist() for end in (low, high))
    means = _means(measured, columns, statement.ceiling)
    free = {
        space.channel_names[c]: ForetoldFacts(low=low[k], high=high[k], level=LEVEL, mean=means[k])
        for k, c in enumerate(columns)
    }
    return replace(finding, facts=replace(finding.facts, free=free))


def _read(observations: list[Observation], column: int) -> bool:
    """Whether a channel was read often enough for anything to be known of it."""
    return sum(bool(np.isfinite(each.readings[column])) for each in observations) >= FEWEST


def _means(measured: list[Observation], columns: list[int], ceiling: Readings) -> list[float | None]:
    """Mean reading of each channel, where its ceiling stands for what was beyond; None where nothing was read."""
    readings = [np.where(each.censored[columns], ceiling, each.readings[columns]) for each in measured]
    known = [[row[k] for row in readings if np.isfinite(row[k])] for k in range(len(columns))]
    return [float(np.mean(values)) if values else None for values in known]
