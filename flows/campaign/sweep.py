"""The sweep: many targets in one campaign that shares its measurements among them, or one campaign after another."""

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows import environment
from flows.campaign.flow import campaign, written
from flows.run_policy.failure_messages import says_what_to_do
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput

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
        seeds: One campaign for each, all with the same targets; the campaign's own unless told.
        apart: Whether each target has a campaign, a budget and a report of its own, which knows nothing of what was
            measured for the others. Unless told, one campaign shares all its measurements and its budget among them,
            and needs far fewer.
        home: Data directory.
        ledger: File or URL of the ledger.

    Raises:
        InvalidInput: before the first request, with every fault of every campaign.
    """
    directory = str(environment.home(home))
    parts = variants(config, targets or [], seeds or [], apart=apart)
    return [await campaign(each, directory, ledger) for each in parts]


def variants(config: Campaign, targets: Sequence[Target], seeds: Sequence[int], *, apart: bool) -> list[Campaign]:
    """The campaigns of a sweep, each with a name of its own.

    Args:
        config: What each of them is, targets and seed aside.
        targets: Those of the campaign where none is given.
        seeds: The campaign's own where none is given.
        apart: Whether each target has a campaign of its own.

    Raises:
        InvalidInput: with every fault of every campaign, and names that are found twice.
    """
    every = list(targets or config.targets)
    aims = [([each], [each.name]) for each in every] if apart else [(every, list[str]())]
    starts = [(seed, [f"seed {seed}"]) for seed in seeds] or [(config.seed, list[str]())]
    made = [
        _variant(config, " ".join([config.name, *of, *from_]), some, seed)
        for some, of in aims
        for seed, from_ in starts
    ]
    faults = [f"{each.name}: {fault}" for each in made for fault in _faults(each)]
    slugs = [each.slug for each in made]
    faults += [
        f"two campaigns of the sweep have the name {name!r}" for name in sorted(set(slugs)) if slugs.count(name) > 1
    ]
    if faults:
        raise InvalidInput(faults)
    return made


def _variant(config: Campaign, name: str, targets: Sequence[Target], seed: int) -> Campaign:
    changes: dict[str, Any] = {"name": name}
    if list(targets) != list(config.targets):
        changes["targets"] = [each.model_dump(mode="json", exclude_unset=True) for each in targets]
    if seed != config.seed:
        changes["seed"] = seed
    return Campaign.parse(written(config) | changes)


def _faults(config: Campaign) -> list[str]:
    try:
        _, instrument = prepare(written(config))
    except InvalidInput as error:
        return list(error.faults)
    instrument.close()
    return []
