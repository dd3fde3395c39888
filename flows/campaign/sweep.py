"""The sweep: many targets in one campaign that shares its measurements among them, or one campaign after another."""

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows import environment
from flows.campaign.flow import campaign
from flows.engine.handover import build_instrument, kept_instrument
from flows.run_policy.failure_messages import says_what_to_do
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument

Seed = Annotated[int, Field(ge=0)]


@flow(name="sweep", flow_run_name="sweep-{config.name}")
@says_what_to_do
async def sweep(
    config: Campaign,
    targets: list[Target] | None = None,
    seeds: Annotated[list[Seed], Field(max_length=1000)] | None = None,
    apart: bool = False,
    home: str | None = None,
    ledger: str | None = None,
) -> list[dict[str, Any]]:
    """Run one campaign towards all targets, or apart one for each; goes on where an earlier run ended.

    Args:
        config: The campaign that each of them is, targets and seed aside.
        targets: Instead of those of the campaign.
        seeds: One campaign for each, all with the same targets; by default the campaign's own seed.
        apart: Whether each target has a campaign, a budget and a report of its own, which knows nothing of what was
            measured for the others. By default one campaign shares all its measurements and its budget among them,
            and needs far fewer.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.

    Raises:
        InvalidInput: before the first request, with every fault of every campaign.
    """
    directory = str(environment.home(home))
    instrument = build_instrument(config.instrument)
    with kept_instrument(config.instrument, instrument):
        parts = list_variants(config, targets or [], seeds or [], instrument, apart=apart)
        return [await campaign(part, directory, ledger) for part in parts]


def list_variants(
    config: Campaign, targets: Sequence[Target], seeds: Sequence[int], instrument: Instrument, *, apart: bool
) -> list[Campaign]:
    """Return the campaigns of a sweep, each with a name of its own.

    Args:
        config: What each of them is, targets and seed aside.
        targets: By default those of the campaign.
        seeds: By default the campaign's own.
        instrument: What they are checked against.
        apart: Whether each target has a campaign of its own.

    Raises:
        InvalidInput: with every fault of every campaign, and names that are found twice.
    """
    every = list(targets or config.targets)
    aims = [([target], [target.name]) for target in every] if apart else [(every, list[str]())]
    starts = [(seed, [f"seed {seed}"]) for seed in seeds] or [(config.seed, list[str]())]
    variants = [
        _variant(config, " ".join([config.name, *target_words, *seed_words]), aim, seed)
        for aim, target_words in aims
        for seed, seed_words in starts
    ]
    faults = [f"{variant.name}: {fault}" for variant in variants for fault in _faults(variant, instrument)]
    slugs = [variant.slug for variant in variants]
    faults += [
        f"two campaigns of the sweep have the name {name!r}" for name in sorted(set(slugs)) if slugs.count(name) > 1
    ]
    if faults:
        raise InvalidInput(faults)
    return variants


def _variant(config: Campaign, name: str, targets: Sequence[Target], seed: int) -> Campaign:
    changes: dict[str, Any] = {}
    if name != config.name:
        changes["name"] = name
    if list(targets) != list(config.targets):
        changes["targets"] = [target.model_dump(mode="json", exclude_unset=True) for target in targets]
    if seed != config.seed:
        changes["seed"] = seed
    return Campaign.parse(config.model_dump(mode="json", exclude_unset=True) | changes) if changes else config


def _faults(config: Campaign, instrument: Instrument) -> list[str]:
    try:
        prepare(config, instrument)
    except InvalidInput as error:
        return list(error.faults)
    return []
