"""Flows that a person starts by hand: readings, a survey, an exam of settings that the person chose."""

from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.engine.handover import kept_instrument, take_instrument
from flows.engine.open_bench import open_bench
from flows.run_policy.failure_messages import says_what_to_do
from flows.run_policy.interrupts import finish_on_signal
from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.campaign.sections import DesignPart, Plugin
from sdl.campaign.validation import prepare, resolve_target
from sdl.errors import InvalidInput
from sdl.history import Observation
from sdl.measurement import manual as by_hand
from sdl.space import NamedSettings, Space
from strategies.contract import Design


@task(name="measure", cache_policy=NO_CACHE)
async def take_readings(
    instrument: Plugin, home: str | None, ledger: str | None, settings: NamedSettings, n: int
) -> list[dict[str, Any]]:
    """Take the readings and return them by name."""
    with finish_on_signal() as interrupted, open_bench(instrument, home, ledger, "by hand", interrupted) as bench:
        space = bench.instrument.space
        observations = by_hand.measure_by_hand(bench, [space.settings(settings)] * n)
        return [{"settings": settings, "readings": _named_readings(space, observation)} for observation in observations]


def _named_readings(space: Space, observation: Observation) -> dict[str, Any]:
    """Readings by channel, with words in place of a number that is only the ceiling of its channel."""
    censored = zip(space.channel_names, observation.censored, strict=True)
    words = {name: "at its ceiling" for name, at_ceiling in censored if at_ceiling}
    return space.named_readings(observation.readings) | words


@flow(name="measure", flow_run_name="measure-{instrument.plugin}")
@says_what_to_do
async def measure(
    instrument: Plugin,
    settings: NamedSettings,
    n: Annotated[int, Field(ge=1, le=1000)] = 1,
    home: str | None = None,
    ledger: str | None = None,
) -> list[dict[str, Any]]:
    """Take readings at settings that a person chooses.

    Args:
        instrument: The instrument and its options.
        settings: A value for every knob.
        n: Number of readings.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    return await take_readings(instrument, home, ledger, settings, n)


@task(name="survey", cache_policy=NO_CACHE)
async def visit_design(
    instrument: Plugin, home: str | None, ledger: str | None, name: str, design: DesignPart, seed: int, every: int
) -> int:
    """Take a reading at every point of a design and return their number."""
    plan: Design = plugins.build("sdl.designs", design.plugin, design.options)
    with finish_on_signal() as interrupted, open_bench(instrument, home, ledger, name, interrupted) as bench:
        from strategies.designs import propose_by_seed  # brings scipy, which takes a second

        settings = propose_by_seed(plan, bench.instrument.space, design.n, seed)
        return len(by_hand.survey_space(bench, settings, every))


@flow(name="survey", flow_run_name="survey-{name}")
@says_what_to_do
async def survey(
    name: str,
    instrument: Plugin,
    design: DesignPart,
    seed: Annotated[int, Field(ge=0)] = 0,
    every: Annotated[int, Field(ge=0, le=100_000)] = 10,
    home: str | None = None,
    ledger: str | None = None,
) -> int:
    """Take a reading at every point of a design, towards no target.

    Args:
        name: Name of the ledger's entry that the readings go to.
        instrument: The instrument and its options.
        design: The design, its number of points and its options.
        seed: Seed of the design.
        every: Readings between two of the background; 0 takes no background.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    return await visit_design(instrument, home, ledger, name, design, seed, every)


@task(name="verify", cache_policy=NO_CACHE)
async def judge_settings(
    config: Campaign,
    home: str | None,
    ledger: str | None,
    settings: NamedSettings,
    target: str | None,
    replicates: int,
) -> dict[str, Any]:
    """Examine the settings for one target of a campaign."""
    _, instrument = prepare(config, take_instrument(config.instrument))
    space, name = instrument.space, f"{config.slug} verified by hand"
    chosen = next((part for part in config.targets if part.name == target), config.targets[0])
    if extremes := [channel for channel in chosen.readings if chosen.interval(channel).extreme]:
        raise InvalidInput(
            f"{chosen.name}: readings at one place do not tell whether others give more of {', '.join(extremes)}; "
            "run the campaign, or name a bound"
        )
    with (
        finish_on_signal() as interrupted,
        kept_instrument(config.instrument, instrument),
    ):
        row = space.settings(settings)
        with open_bench(config.instrument, home, ledger, name, interrupted) as bench:
            bench.needed = list(chosen.readings)
            finding = by_hand.verify_by_hand(bench, resolve_target(space, chosen), row, config.verification, replicates)
    return {
        "target": finding.target,
        "verdict": finding.verdict,
        "sentence": finding.sentence,
        "facts": finding.facts.to_json(),
    }


@flow(name="verify", flow_run_name="verify-{config.name}")
@says_what_to_do
async def verify(
    config: Campaign,
    settings: NamedSettings,
    target: str | None = None,
    replicates: Annotated[int, Field(ge=2, le=1000)] = 8,
    home: str | None = None,
    ledger: str | None = None,
) -> dict[str, Any]:
    """Examine settings for a target by fresh measurements, in the light of this moment.

    Args:
        config: The campaign whose target, tolerance and confidence hold.
        settings: A value for every knob.
        target: Its name; by default the first one.
        replicates: Fresh readings, fixed before the first.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    return await judge_settings(config, home, ledger, settings, target, replicates)
