"""Physical laws with hidden parameters: whether their regions hold, what is said of a poor design, and campaigns.

Tables of rows are drawn with parameters, sizes and noise at random, from far narrower ranges than the priors of the
laws. Seeds below ``FIRST`` were for tuning.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.cells import Progress
from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.history import LawFacts, Verdict
from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.composed import Composed, NoiseSize
from sdl.space import Channel, Knob, NamedColumns, Settings, Space
from strategies.evaluation.simulation import Simulation
from strategies.models.laws.beer_lambert import BeerLambert
from strategies.models.laws.law import Law
from strategies.models.laws.michaelis_menten import MichaelisMenten
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

Array = NDArray[np.float64]
FIRST = 10_000
"""The first seed."""
ROWS = (8, 24)
NOISE = (0.005, 0.03)
"""Of a reading, as a share of the largest."""
FAR = 0.01
"""Largest setting of a poor design, as a share of where the response bends."""
TARGET, TOLERANCE = (0.2, 0.9), 0.02
"""A target of a campaign, as a share of the largest reading, and its tolerance."""
BUDGET = 60


@dataclass(frozen=True)
class _Case:
    """A law, what its parameters are in truth, and rows of it that something else made."""

    model: Callable[[], Law]
    plugin: str
    knob: str
    channel: str
    high: float
    truth: Mapping[str, tuple[float, float]]
    """Ends of what each parameter is in truth, logarithms uniform between."""
    bends: Callable[[Mapping[str, float]], float]
    """Setting at which the response bends."""
    other: Callable[[Array, Mapping[str, float]], Array]
    """A response of another law at the same settings."""


CASES = {
    "Michaelis-Menten": _Case(
        MichaelisMenten,
        "michaelis-menten",
        "substrate",
        "rate",
        20.0,
        {"Vmax": (1.0, 10.0), "Km": (0.5, 10.0)},
        lambda hidden: hidden["Km"],
        lambda s, hidden: hidden["Vmax"] * s / (hidden["Km"] + s + s**2 / hidden["Km"]),  # the substrate inhibits
    ),
    "Beer-Lambert with stray light": _Case(
        BeerLambert,
        "beer-lambert",
        "concentration",
        "absorbance",
        10.0,
        {"absorptivity": (0.2, 0.6), "stray": (0.002, 0.05)},
        lambda hidden: -np.log10(hidden["stray"]) / hidden["absorptivity"],
        lambda c, hidden: hidden["absorptivity"] * c / (1 + 0.1 * c),  # the dye associates
    ),
}


def run_laws_benchmark(seeds: int, progress: Progress = lambda done, of: None, first: int = FIRST) -> dict[str, Any]:
    """Run the benchmark.

    Args:
        seeds: Tables of each kind, and a tenth as many campaigns.
        progress: Called with each table and campaign that is done.
        first: The first seed.

    Returns:
        Plain data: ``laws``, by name the shares of ``region`` and ``intervals`` that held, of ``wrong`` warnings about
        right laws, of poor designs that were ``told``, and of ``other`` laws that were called so; ``campaigns``, by
        name the ``requests`` of the law and of the default models, seed by seed, and how many were ``verified``; and
        ``bars``.
    """
    laws, campaigns, done = dict[str, Any](), dict[str, Any](), 0
    several = max(seeds // 10, 1)
    with one_thread():
        for name, case in CASES.items():
            tables, runs = list[dict[str, float]](), list[list[tuple[int, bool]]]()
            for seed in range(first, first + seeds):
                tables.append(judge_tables(case, seed))
                progress(done := done + 1, (seeds + several) * len(CASES))
            for seed in range(first, first + several):
                runs.append([run_campaign(case, seed, models) for models in ([case.plugin], None)])
                progress(done := done + 1, (seeds + several) * len(CASES))
            laws[name] = {key: float(np.mean([each[key] for each in tables])) for key in tables[0]}
            campaigns[name] = {
                "requests": [[requests for requests, _ in pair] for pair in runs],
                "verified": [sum(pair[which][1] for pair in runs) for which in (0, 1)],
            }
    bars = [hold_bar(f"{key}, {name}", laws[name][key], 0.95) for name in laws for key in ("region", "intervals")]
    bars += [
        hold_bar(f"{key}, {name}", laws[name][key], bar, at_least=True)
        for name in laws
        for key, bar in {"region": 0.85, "intervals": 0.85, "told": 0.9}.items()
    ]
    return {"seeds": [first, first + seeds - 1], "laws": laws, "campaigns": campaigns, "bars": bars}


def judge_tables(case: _Case, seed: int) -> dict[str, float]:
    """What the law says of rows of its own, of a poor design, and of another law's."""
    rng = np.random.default_rng(seed)
    hidden = {name: float(np.exp(rng.uniform(*np.log(ends)))) for name, ends in case.truth.items()}
    n, noise = int(rng.integers(ROWS[0], ROWS[1] + 1)), rng.uniform(*NOISE)
    unit = rng.random((n, 1))
    law = case.model()

    def fitted(high: float, respond: Callable[[Array], Array]) -> Law:
        readings = respond(unit * high)
        noisy = readings + noise * np.abs(readings).max() * rng.standard_normal(readings.shape)
        columns = NamedColumns.of(_space(case, high, np.nan), [case.channel], subtracted=False)
        return case.model().in_units(columns).fit(noisy, unit)

    own = fitted(case.high, lambda s: _truth(law, case, s, hidden))
    poor = fitted(FAR * case.bends(hidden), lambda s: _truth(law, case, s, hidden))
    other = fitted(case.high, lambda s: case.other(s, hidden))
    places = np.array([_place(law, name, value) for name, value in hidden.items()])
    facts = own.law_facts.parameters or {}
    held = [(each.low or 0) <= hidden[name] <= (each.high or 0) for name, each in facts.items()]
    return {
        "region": float(own.posterior_.less_probable(places) >= 0.1),
        "intervals": float(np.mean(held)),
        "wrong": float(own.law_facts.misfit is not None),
        "told": float(_says_what_is_open(poor.law_facts)),
        "other": float(other.law_facts.misfit is not None),
    }


def _says_what_is_open(facts: LawFacts) -> bool:
    """Whether something is said not to be determined."""
    return any(each.told for each in (facts.parameters or {}).values())


def _place(law: Law, name: str, value: float) -> float:
    low, high = next(each.ends for each in law.parameters if each.name == name)
    return float((np.log(value) - low) / (high - low))


def _truth(law: Law, case: _Case, settings: Array, hidden: Mapping[str, float]) -> Array:
    named = {name: np.array(value) for name, value in hidden.items()}
    return np.asarray(law.readings({case.knob: settings}, named)[case.channel])


def _space(case: _Case, high: float, noise: float) -> Space:
    channel = Channel(name=case.channel, floor=None, integral=False, noise=noise if noise == noise else None)
    return Space(knobs=(Knob(name=case.knob, high=high),), channels=(channel,))


def run_campaign(case: _Case, seed: int, models: Sequence[str] | None) -> tuple[int, bool]:
    """Requests until a verdict, and whether it is VERIFIED; the same instrument for the same seed."""
    rng, law = np.random.default_rng([seed, 1]), case.model()
    hidden = {name: float(np.exp(rng.uniform(*np.log(ends)))) for name, ends in case.truth.items()}
    largest = float(_truth(law, case, np.array([case.high]), hidden)[0])
    noise = 0.005 * largest
    space = _space(case, case.high, noise)

    def respond(unit: Settings) -> Array:
        return _truth(law, case, unit * case.high, hidden)

    instrument = Composed(
        name=f"{case.plugin} {seed}",
        space=space,
        response=respond,
        noise=NoiseSize(lit=np.array([noise]), dark=np.array([noise])),
        background=Steady(np.zeros(1)),
        rng=rng,
    )
    wanted = float(rng.uniform(*TARGET)) * largest
    written = {
        "name": "law",
        "instrument": "twin",
        "seed": seed,
        "budget": BUDGET,
        "targets": [{"readings": {case.channel: wanted}, "tolerance": TOLERANCE * largest}],
        **({} if models is None else {"models": models}),
    }
    run = Simulation(Plan(Campaign.parse(written), space), instrument)
    run.run()
    return len(run.observations), run.findings[-1].verdict is Verdict.VERIFIED


def laws_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result for people."""
    labels = {bar["figure"]: bar["figure"] for bar in result["bars"]}
    shares = figure_table("Laws, shares of tables of rows", ["law"], list(next(iter(result["laws"].values()))))
    for name, of in result["laws"].items():
        shares.add_row(name, *(f"{share:.3f}" for share in of.values()))
    runs = figure_table("Requests until a verdict, means", ["campaign"], ["law", "default", "law saves", "verified"])
    for name, of in result["campaigns"].items():
        requests = np.array(of["requests"], float)
        saved = requests[:, 1] - requests[:, 0]
        error = saved.std(ddof=1) / np.sqrt(len(saved)) if len(saved) > 1 else np.nan
        means = [f"{mean:.2f}" for mean in requests.mean(axis=0)]
        runs.add_row(name, *means, f"{saved.mean():.2f} ± {error:.2f}", f"{of['verified']} of {len(requests)}")
    return [bar_table("Laws, shares of tables", result["bars"], labels), shares, runs]
