"""What rows tell of the parameters of a law: their intervals, which go together, and which are not determined."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sdl.formatting import format_interval, format_number
from sdl.history import LawFacts, ParameterFacts
from strategies.models.laws.parameter import Array, Parameter
from strategies.models.laws.parameter_posterior import ParameterPosterior

ENDS = (0.05, 0.5, 0.95)
AT_BOUND, CROWD = 0.02, 0.01
"""Share of a parameter's bounds next to one of them, and the share of draws there from which on bounds, and not the
rows, end what may be."""
WIDE = 0.5
"""Standard deviation of a parameter, as a share of its prior's, from which on the rows say little of it."""
NARROW = 0.1
"""The same, at most, for a combination of parameters that the rows tell."""
MINOR = 0.05
"""Share of the largest coefficient of a combination below which a parameter has no part in it."""
CORRELATED, MOST = 0.5, 3
"""Correlations that are named, and how many."""
DOUBT = 0.01
"""Chance below which a law does not hold for the rows, all channels together."""


def what_rows_tell(
    parameters: Sequence[Parameter], posterior: ParameterPosterior, chances: Array, channels: Sequence[str]
) -> LawFacts:
    """What is known of the parameters, in their units and in sentences.

    Args:
        parameters: Of the law.
        posterior: What the rows leave.
        chances: By channel, that its residuals go with the settings by accident.
        channels: Their names.
    """
    places = posterior.places
    bound = np.asarray(((places < AT_BOUND) | (places > 1 - AT_BOUND)).any(axis=1))
    facts = {each.name: _parameter(each, at, bound) for each, at in zip(parameters, places.T.copy(), strict=True)}
    open_ = [name for name, each in facts.items() if each.told]
    wrong = [
        f"{name} (p = {chance:.2g})"
        for name, chance in zip(channels, chances, strict=True)
        if chance < DOUBT / len(channels)
    ]
    return LawFacts(
        parameters=facts,
        correlations=dict(_correlations(parameters, posterior.places)),
        combinations=tuple(_combinations(parameters, posterior, open_)) if open_ else (),
        misfit=", ".join(wrong) or None,
    )


def _parameter(parameter: Parameter, places: Array, bound: NDArray[np.bool_]) -> ParameterFacts:
    """One parameter by its draws ``(s,)``, in some of which ``(s,)`` it, or another one, is at a bound.

    Where such draws lie at one end of its own, the bound and not the rows ends it there.
    """
    low, middle, high = np.quantile(places, ENDS)
    stopped, told = bound.mean() > CROWD, None
    if stopped and np.median(places[bound]) > np.quantile(places, 0.9):
        told = "at least"
    elif stopped and np.median(places[bound]) < np.quantile(places, 0.1):
        told = "at most"
    elif places.std() > WIDE * min(parameter.prior[1], 12**-0.5):
        told = "not determined"
    low, middle, high = parameter.values(np.array([low, middle, high])).tolist()
    return ParameterFacts(unit=parameter.unit, value=middle, low=low, high=high, told=told)


def _correlations(parameters: Sequence[Parameter], places: Array) -> Iterator[tuple[str, float]]:
    """The strongest ones, on the scales of the parameters."""
    moved = places - places.mean(axis=0)
    matrix = moved.T @ moved / np.maximum(np.outer(*[np.linalg.norm(moved, axis=0)] * 2), 1e-300)
    pairs = combinations(range(len(parameters)), 2)
    for one, other in sorted(pairs, key=lambda pair: -abs(matrix[pair]))[:MOST]:
        if abs(matrix[one, other]) >= CORRELATED:
            yield f"{parameters[one].name}, {parameters[other].name}", round(float(matrix[one, other]), 3)


def _combinations(
    parameters: Sequence[Parameter], posterior: ParameterPosterior, open_: Sequence[str]
) -> Iterator[str]:
    """Combinations that rows tell of parameters that they do not tell, by the eigenvectors of the information.

    Of parameters on a logarithmic scale these are products of powers.
    """
    widths = np.array([high - low for low, high in (each.ends for each in parameters)])
    starts = np.array([each.ends[0] for each in parameters])
    for direction in np.linalg.eigh(posterior.information)[1].T[::-1]:
        if np.std(posterior.places @ direction) > NARROW * 12**-0.5:
            continue
        weights = direction / widths
        weights = weights / weights[np.abs(weights).argmax()]
        weights[np.abs(weights) < MINOR] = 0.0
        halves = np.round(2 * weights) / 2
        weights = np.where(np.abs(weights - halves) < MINOR, halves, weights.round(2))
        part = [parameters[i] for i in np.flatnonzero(weights).tolist()]
        if len(part) < 2 or not {each.name for each in part} & set(open_) or len({each.scale for each in part}) > 1:
            continue
        drawn = (starts + posterior.places * widths) @ weights
        product = part[0].scale == "log"
        low, middle, high = np.quantile(np.exp(drawn) if product else drawn, ENDS).tolist()
        named = [(each.name, each.unit, weight) for each, weight in zip(part, weights[weights != 0], strict=True)]
        words, unit = _product(named) if product else _sum(named)
        yield f"{words} = {format_number(middle)} ({format_interval(low, high)}) {unit}".strip()


def _product(named: Sequence[tuple[str, str, float]]) -> tuple[str, str]:
    powers = [(name, unit, "" if weight == 1 else f"^{weight:g}") for name, unit, weight in named]
    unit = " ".join(f"({unit}){power}" if power else unit for _, unit, power in powers if unit)
    return " ".join(f"{name}{power}" for name, _, power in powers), unit


def _sum(named: Sequence[tuple[str, str, float]]) -> tuple[str, str]:
    """In the unit of the parameter that has the weight 1; the other weights have what units they need."""
    unit = next(unit for _, unit, weight in named if weight == 1)
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, _, weight in named), unit
