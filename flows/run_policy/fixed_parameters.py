"""What a run of a deployment may not change: where things lie, and its instrument. The laboratory alone says that.

A form leaves these out, or shows them; whoever starts a run may write anything into its parameters all the same.
"""

from collections.abc import Mapping
from typing import Any, get_origin, get_type_hints

from prefect import get_client
from prefect.context import FlowRunContext

from sdl import plugins
from sdl.campaign.sections import Plugin
from sdl.errors import InvalidInput
from sdl.instruments.configured.driver import ConfiguredInstrument

PLACES = ("home", "ledger", "instruments")
"""Parameters that nobody but the laboratory gives."""


async def refuse_changes() -> None:
    """Compare the parameters of this run with those of its deployment.

    Raises:
        InvalidInput: naming each that may not differ and does.
    """
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    assert context.flow_run.deployment_id is not None
    async with get_client() as client:
        deployment = await client.read_deployment(context.flow_run.deployment_id)
    if faults := describe_changes(context.flow_run.parameters, deployment.parameters):
        raise InvalidInput(faults)


def describe_changes(run: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Return in words which parameters of a run differ from those of its deployment and must not.

    Args:
        run: Parameters of the run, as plain data.
        own: Parameters of the deployment.
    """
    faults = [
        f"{name}: is for the laboratory to say, leave it out" for name in PLACES if run.get(name) != own.get(name)
    ]
    if _history_ledger(run) != _history_ledger(own):
        faults.append("history.ledger: is for the laboratory to say, leave it out")
    section, deployed = _instrument_section(run), _instrument_section(own)
    # Equal sections name one instrument; only others have to be built to learn which one they name.
    if deployed is None or section == deployed:
        return faults
    if any(_is_described(part) for part in (section, deployed) if part is not None):
        faults.append("instrument: what is sent to it, or run for it, is for the laboratory to say: leave it as it is")
    elif (here := _identity(section)) != (there := _identity(deployed)):
        faults.append(
            f"instrument: this deployment is for {there}, got {here}; another one needs a deployment of its own"
        )
    return faults


def _instrument_section(parameters: Mapping[str, Any]) -> Plugin | None:
    """The section of an instrument that parameters have; None where they have none."""
    config = parameters.get("config")
    part = parameters.get("instrument") or (config.get("instrument") if isinstance(config, Mapping) else None)
    return Plugin.model_validate({"plugin": part} if isinstance(part, str) else part) if part else None


def _history_ledger(parameters: Mapping[str, Any]) -> Any:
    """The ledger whose earlier campaigns a run starts from: a file or host that this machine would open for anybody."""
    config = parameters.get("config")
    history = config.get("history") if isinstance(config, Mapping) else None
    return history.get("ledger") if isinstance(history, Mapping) else None


def _is_described(part: Plugin) -> bool:
    """Whether the options of an instrument are its program: what is sent where, with which secret, or run here.

    Its plug-in says so by what it returns; it is not built for that, since the options may be a stranger's.
    """
    returned = get_type_hints(plugins.load("sdl.instruments", part.plugin)).get("return")
    return get_origin(returned) is ConfiguredInstrument


def _identity(part: Plugin | None) -> str | None:
    """Which instrument a section names, with its address: another one of the same name may be anybody's."""
    if part is None:
        return None
    instrument = plugins.build("sdl.instruments", part.plugin, part.options)
    instrument.close()
    driver = instrument.driver if isinstance(instrument, plugins.Apparatus) else instrument
    return " at ".join(dict.fromkeys((str(instrument.identity), str(driver.identity))))
