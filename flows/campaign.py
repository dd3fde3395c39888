"""The campaign: from the readings somebody wants to verified settings."""

from pathlib import Path
from typing import Any

from prefect import flow

from flows import environment, server
from flows.scheduled import made_up_for
from flows.signals import finish_on_signal
from sdl.campaign import Campaign
from sdl.history import Entry


@flow(name="campaign", flow_run_name="campaign-{config.name}", validate_parameters=True)
async def campaign(
    config: Campaign, home: str | None = None, ledger: str | None = None, again: bool = False
) -> dict[str, Any]:
    """Propose, measure, retrain and verify until every target is settled; goes on where an earlier run ended.

    Args:
        config: The campaign.
        home: Data directory; ``SDL_HOME`` or ``sdl-data`` unless told.
        ledger: File or URL; a file in the data directory unless told.
        again: Begin anew under the next free name if the campaign of this name is finished.
    """
    directory = environment.home(Path(home) if home else None)
    where = environment.ledger(ledger, directory)
    if (state := made_up_for(where, lambda entry: entry.created if _is_of(config, entry) else None)) is not None:
        return state  # type: ignore[no-any-return]
    # Models and figures take seconds to load: not before the run is seen to have begun.
    from flows import tasks
    from flows.session import open_session, outcome, recorded_fate
    from strategies.plan import Stop

    with finish_on_signal() as interrupted:
        opened = open_session(written(config), directory, where, again=again, interrupted=interrupted)
        with opened as session, recorded_fate(session):
            while not isinstance(step := await tasks.propose(session), Stop):
                await tasks.ACTIONS[type(step)](session, step)
            await tasks.report(session, step)
            return outcome(session.ledger, session.entry.name)


def _is_of(config: Campaign, entry: Entry) -> bool:
    """Whether an entry is the campaign, or one that ``again`` began."""
    return entry.title == config.name or entry.title.startswith(f"{config.name} ")


def written(config: Campaign) -> dict[str, Any]:
    """A campaign as a person would write it."""
    return config.model_dump(mode="json", exclude_unset=True)


def run(config: Campaign, home: Path, ledger: str | None, again: bool) -> dict[str, Any]:
    """Run the flow from a program that has no event loop."""
    return server.run(campaign(config, str(home), ledger, again))
