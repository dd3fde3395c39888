"""A cheap source beside the instrument: what campaigns cost with it against the instrument alone, and whether they lie.

A source reads what the instrument would, 10 % off in some way, at a twentieth of the price. Each campaign is run with
and without it, on the same instrument and the same targets. Seeds below ``FIRST`` were for tuning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.cells import Data, Progress, work_out_all
from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.campaign.source import SourcePart
from sdl.history import Purpose
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.simulated.responses import Plane, Response, Sum, Waves
from sdl.space import Readings, Space
from strategies.evaluation.families.blueprint import lamp_like
from strategies.evaluation.families.case import Goal, KnownInstrument
from strategies.evaluation.judged_campaign import JudgedCampaign
from strategies.plan.plan import Plan

FIRST = 11_000
"""The first seed."""
PRICE = 0.05
"""Of a request to the source, in requests to the instrument."""
OFF = 0.1
"""Part by which a source is off."""
BUDGET = 200
BEND = (0.4, 0.8)
"""Standard deviation of a bend, as a share of the span of its plane ..."""
LENGTH = (0.5, 0.8)
"""... over which it forgets itself, in parts of the range of a knob ..."""
TOLERANCE = (2.0, 4.0)
"""... and the tolerance in noises of a reading: what is hard is to find the settings, not to prove them."""
TARGETS = 2
"""Of each campaign on a bent response."""
WHITE = {"445nm": 16384, "515nm": 16384, "630nm": 16384}
KINDS = {
    "white, gains off": "the paper's problem on the twin; each channel of the source reads 10 % more or less",
    "bent, gains off": "3 or 4 knobs bent by 40 to 80 %, two targets of 2 to 4 noises; the source likewise",
    "bent, shape off": "the same, where the source has a bend of its own, of 10 % of the span",
    "bent, unlike": "the same, where the source is another instrument altogether",
}
"""What is compared."""
MADE_OF = 4000
"""Draws for the interval of a ratio."""


@dataclass(eq=False)
class Off:
    """A source that reads the truth of an instrument, or another response, with factors and a bend of its own."""

    instrument: KnownInstrument
    factors: Readings
    noise: Readings
    rng: np.random.Generator
    bend: Response | None = None
    like: bool = True
    identity: str = "off"
    patience: Patience = field(default_factory=Patience)

    @property
    def space(self) -> Space:
        """That of the instrument."""
        return self.instrument.space

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading."""
        space = self.space
        asked = space.settings(settings)
        read = self.instrument.truth(asked[None])[0] if self.like else np.zeros(space.p)
        read = self.factors * read
        if self.bend is not None:
            read = read + self.bend(space.to_unit(asked[None]))[0]
        read = read + self.noise * self.rng.standard_normal(space.p)
        whole = [channel.integral for channel in space.channels]
        read = np.where(whole, np.rint(read), read)
        read = np.where(np.isnan(space.ceiling), read, np.minimum(read, space.ceiling))
        floor = np.array([-np.inf if each.floor is None else each.floor for each in space.channels])
        named = space.named_readings(np.maximum(read, floor))
        return Reply(applied=space.named_settings(asked), readings=named, raw="")

    def close(self) -> None:
        """Nothing to leave safe."""


def run_fusion_benchmark(
    seeds: int, progress: Progress = lambda done, of: None, first: int = FIRST, processes: int | None = None
) -> dict[str, Any]:
    """Run the benchmark.

    Args:
        seeds: Pairs of campaigns of each kind.
        progress: Called with each pair that is done.
        first: The first seed.
        processes: At work at once; as many as there are processors if it is None.

    Returns:
        Plain data: by kind the price of each campaign with the source and without, how many were verified, and how
        many verdicts were false; and ``bars``.
    """
    cells = [{"kind": kind, "seed": seed} for kind in KINDS for seed in range(first, first + seeds)]
    pairs = work_out_all(run_pair, cells, processes, progress)
    kinds = {
        kind: _summary([pair for cell, pair in zip(cells, pairs, strict=True) if cell["kind"] == kind])
        for kind in KINDS
    }
    like = [kind for kind in KINDS if "unlike" not in kind]
    bars = [hold_bar(f"price beside the instrument alone: {kind}", kinds[kind]["ratio"], 0.7) for kind in like]
    bars.append(hold_bar("false verdicts", sum(of["with"]["false"] for of in kinds.values()), 0))
    return {"seeds": [first, first + seeds - 1], "kinds": kinds, "bars": bars}


def run_pair(cell: Data) -> dict[str, Any]:
    """One campaign with a source and one without."""
    return {"with": _run(cell, True), "alone": _run(cell, False)}


def _run(cell: Data, with_source: bool) -> dict[str, Any]:
    instrument, goals, source = _problem(str(cell["kind"]), int(cell["seed"]))
    written: dict[str, Any] = {
        "name": "fusion",
        "seed": int(cell["seed"]),
        "budget": BUDGET,
        "instrument": {"plugin": "twin"},
        "targets": goals,
    }
    if with_source:
        written["sources"] = [SourcePart(name="cheap", plugin="twin", price=PRICE)]
    campaign = JudgedCampaign(Plan(Campaign.model_validate(written), instrument.space), instrument)
    campaign.simulation.sources = {"cheap": source}
    campaign.run()
    rows = campaign.simulation.observations
    asked = sum(row.purpose is Purpose.SOURCE for row in rows)
    facts = [each.facts.sources for each in campaign.simulation.rounds if each.facts.sources]
    return {
        "own": len(rows) - asked,
        "asked": asked,
        "price": len(rows) - asked + PRICE * asked,
        "verified": campaign.verified,
        "false": len(campaign.false) + sum(f.verdict == "NOT REACHABLE" for f in campaign.simulation.findings),
        "dropped": bool(facts and facts[-1]["cheap"].dropped),
    }


def _problem(kind: str, seed: int) -> tuple[Any, list[Any], Off]:
    rng = np.random.default_rng([seed, len(kind)])
    if kind.startswith("white"):
        twin = Twin(seed=seed)
        return twin, [{"name": "white", "readings": WHITE, "tolerance": "1 %"}], _off(twin, rng)
    d, p = int(rng.integers(3, 5)), int(rng.integers(3, 5))
    blueprint = lamp_like(rng, knobs=(d, d), channels=(p, p))
    bend = Waves.drawn(rng.uniform(*BEND) * blueprint.span, d, rng.uniform(*LENGTH), rng)
    blueprint = replace(blueprint, response=Sum(blueprint.response, bend), ratio=rng.uniform(*TOLERANCE))
    goals: list[Goal] = [blueprint.reachable_goal(f"target {number + 1}", rng) for number in range(TARGETS)]
    instrument = blueprint.case(rng, *goals).instrument
    source = _off(instrument, rng)
    if "shape" in kind:
        own = Waves.drawn(OFF * blueprint.span, d, rng.uniform(*LENGTH), rng)
        source = replace(source, factors=np.ones(p), bend=own)
    elif "unlike" in kind:
        other = Plane(rng.uniform(-1, 1, (d, p)) * blueprint.span)
        wild = Waves.drawn(0.3 * blueprint.span, d, 0.6, rng)
        source = replace(source, bend=Sum(other, wild), like=False)
    return instrument, [goal.target for goal in goals], source


def _off(instrument: KnownInstrument, rng: np.random.Generator) -> Off:
    """A source of which each channel reads a part more or less."""
    p = instrument.space.p
    return Off(instrument, 1 + OFF * rng.choice([-1.0, 1.0], p), np.nan_to_num(instrument.space.noise), rng.spawn(1)[0])


def _summary(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """What pairs of campaigns of one kind come to."""
    both = {name: [pair[name] for pair in pairs] for name in ("with", "alone")}
    price = {name: np.array([each["price"] for each in runs]) for name, runs in both.items()}
    draws = np.random.default_rng(0).integers(len(pairs), size=(MADE_OF, len(pairs)))
    ratios = price["with"][draws].sum(axis=1) / price["alone"][draws].sum(axis=1)
    return {
        "ratio": float(price["with"].sum() / price["alone"].sum()),
        "interval": [float(end) for end in np.quantile(ratios, (0.025, 0.975))],
        "pairs": pairs,
        **{
            name: {
                "price": float(price[name].mean()),
                "median": float(np.median(price[name])),
                "asked": float(np.mean([each["asked"] for each in runs])),
                "verified": sum(each["verified"] for each in runs),
                "false": sum(each["false"] for each in runs),
                "dropped": sum(each["dropped"] for each in runs),
            }
            for name, runs in both.items()
        },
    }


def fusion_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result for people."""
    labels = {bar["figure"]: bar["figure"] for bar in result["bars"]}
    heads = ["price alone", "with a source", "ratio", "95 %", "asked", "verified alone", "with", "false", "dropped"]
    table = figure_table("A source 10 % off, at a twentieth of the price", ["kind"], heads)
    for kind, of in result["kinds"].items():
        low, high = of["interval"]
        alone, beside, n = of["alone"], of["with"], len(of["pairs"])
        table.add_row(
            kind,
            f"{alone['price']:.1f}",
            f"{beside['price']:.1f}",
            f"{of['ratio']:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{beside['asked']:.0f}",
            f"{alone['verified']} of {n}",
            f"{beside['verified']} of {n}",
            f"{alone['false']} and {beside['false']}",
            f"{beside['dropped']}",
        )
    return [bar_table("Fusion of sources", result["bars"], labels), table]
