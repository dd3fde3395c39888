"""The sweep: one campaign after another on one instrument, over targets, over seeds, or both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows import environment
from flows.campaign import campaign, written
from flows.failing import says_what_to_do
from sdl.campaign import Campaign, Target
from sdl.errors import InvalidInput
from sdl.preparing import prepare

Seed = Annotated[int, Field(ge=0)]


@flow(name="sweep", flow_run_name="sweep-{config.name}")
@says_what_to_do
async def sweep(
    config: Campaign,
    targets: list[Target] | None = None,
    seeds: Annotated[list[Seed], Field(max_length=1000)] | None = None,
    home: str | None = None,
    ledger: str | None = None,
) -> list[dict[str, Any]]:
    """Run a campaign for each target and each seed; goes on where an earlier run ended.

    Args:
        config: The campaign that each of them is, target and seed aside.
        targets: One campaign for each; all targets of the campaign in one unless told.
        seeds: One campaign for each; the campaign's own unless told.
        home: Data directory.
        ledger: File or URL of the ledger.

    Raises:
        InvalidInput: before the first request, with every fault of every campaign.
    """
    directory = str(environment.home(Path(home) if home else None))
    parts = variants(config, targets or [], seeds or [])
    return [await campaign(each, directory, ledger) for each in parts]


def variants(config: Campaign, targets: list[Target], seeds: list[int]) -> list[Campaign]:
    """The campaigns of a sweep, each with a name of its own.

    Raises:
        InvalidInput: with every fault of every campaign, and names that are found twice.
    """
    aims: Sequence[Target | None] = targets or [None]
    starts: Sequence[int | None] = seeds or [None]
    made = [_variant(config, target, seed) for target in aims for seed in starts]
    faults = [f"{each.name}: {fault}" for each in made for fault in _faults(each)]
    slugs = [each.slug for each in made]
    faults += [
        f"two campaigns of the sweep have the name {name!r}" for name in sorted(set(slugs)) if slugs.count(name) > 1
    ]
    if faults:
        raise InvalidInput(faults)
    return made


def _variant(config: Campaign, target: Target | None, seed: int | None) -> Campaign:
    words = [config.name, *([target.name] if target else []), *([f"seed {seed}"] if seed is not None else [])]
    changes: dict[str, Any] = {"name": " ".join(words)}
    if target is not None:
        changes["targets"] = [target.model_dump(mode="json", exclude_unset=True)]
    if seed is not None:
        changes["seed"] = seed
    return Campaign.parse(written(config) | changes)


def _faults(config: Campaign) -> list[str]:
    try:
        _, instrument = prepare(written(config))
    except InvalidInput as error:
        return list(error.faults)
    instrument.close()
    return []
