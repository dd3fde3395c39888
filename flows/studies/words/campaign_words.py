"""What a campaign file says for rows that exist already: kinds of knobs, constraints, quantities, a target."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sdl.campaign.toml import read_toml
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.space import Interval, Space


class CampaignWords(NamedTuple):
    """What holds for rows."""

    space: Space | None
    """Knobs, constraints and channels; None where the rows themselves say it."""
    targets: Sequence[str]
    """As ``read_target_words`` takes them."""
    quantities: Sequence[str]
    """As ``read_rows`` takes them."""


def read_campaign_words(
    file: Path | None, targets: Sequence[str] | None, quantities: Sequence[str] | None
) -> CampaignWords:
    """Return what a campaign file says, with what is said beside it.

    Args:
        file: The campaign; None for none.
        targets: What is wanted; by default what the one target of the campaign wants.
        quantities: Computed beside those of the campaign.

    Raises:
        InvalidInput: for a file that is no campaign, and for one of several targets where none is given.
    """
    targets, quantities = targets or (), quantities or ()
    if file is None:
        return CampaignWords(None, targets, quantities)
    campaign, instrument = prepare(read_toml(file))
    instrument.close()
    if not targets and len(campaign.targets) > 1:
        named = ", ".join(target.name for target in campaign.targets)
        raise InvalidInput(f"{file} has several targets, {named}: say with --target what is wanted")
    target = campaign.targets[0]
    wanted = targets or [_written(channel, target.interval(channel)) for channel in target.readings]
    computed = [f"{name}={part.formula}" for name, part in campaign.computed.items()]
    return CampaignWords(instrument.space.measured, wanted, [*computed, *quantities])


def _written(channel: str, interval: Interval) -> str:
    """What is wanted of a channel, in the words of a command."""
    if interval.extreme:
        most = interval.wanted > 0
        return f"{channel}={'maximum' if most else 'minimum'}±{interval.below if most else interval.above!r}"
    if interval.one_sided:
        return f"{channel}{'>=' if interval.side == 'least' else '<='}{interval.wanted!r}"
    return f"{channel}={interval.wanted:.15g}±{interval.above:.15g}"
