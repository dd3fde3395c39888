"""A campaign file checked whole against the instrument and the plug-ins, before the first request."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sdl import plugins
from sdl.campaign.campaign_instrument import NO_STEPS, adapt_to_campaign
from sdl.campaign.colour import ColourPart
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.sections import Plugin, QuantityPart
from sdl.campaign.source import build_sources
from sdl.errors import InvalidInput, suggest_nearest
from sdl.instruments.protocol import Instrument, ReadByPersons
from sdl.space import UNCONSTRAINED, Interval, NamedColumns, NeedsUnits, Space, Window

NEVER_S = 1e12
"""Seconds that no campaign takes."""
EXACT = 1e-9
"""Tolerance of a target whose own cannot be read: whatever is wrong with its readings shows all the same."""


@dataclass(frozen=True, eq=False)
class ResolvedTarget:
    """A target in the columns of the instrument."""

    name: str
    window: Window
    """Where the true readings are to lie, over ``p`` channels."""


def prepare(
    written: Mapping[str, Any] | Campaign,
    instrument: Instrument | None = None,
    sources: list[Instrument] | None = None,
) -> tuple[Campaign, Instrument]:
    """Check a campaign and build its instrument, without a request.

    Args:
        written: What a person wrote; a campaign that was parsed already is not parsed again.
        instrument: That of the campaign, if it is built already; by default it is built here.
        sources: Those of the campaign, if they are built already, and afterwards as it asks them; an empty list is
            filled with new ones. By default they are built to be checked, and closed again.

    Raises:
        InvalidInput: listing every fault, of the file and of what it names, with its key; no source stays open then,
            nor an instrument that was built here.
    """
    faults: list[str] = []
    campaign, beside = None, list[Instrument]() if sources is None else sources
    if isinstance(written, Campaign):
        campaign, written = written, written.model_dump(mode="json", exclude_unset=True)
    else:
        try:
            campaign = Campaign.parse(written)
        except InvalidInput as error:
            faults += error.faults
    models, built_here = dict[tuple[str, str], plugins.RowsNeeded](), list[Instrument]()
    for key, group, part in _parts(written):
        if key == "instrument" and instrument is not None:
            continue
        try:
            plugin = plugins.build(group, part.plugin, part.options)
            if key == "instrument":
                instrument = plugin
                built_here.append(plugin)
            if group == "sdl.inverse_models":
                models[key, part.plugin] = plugin
        except InvalidInput as error:
            faults += [plugins.place_fault(key, fault) for fault in error.faults]
    if campaign is None:  # or else they are looked at beside the instrument
        faults += _faults_of_sources(written)
    if instrument is not None:
        broken, quantities = set[str](), campaign.computed if campaign else _quantities(written)
        try:
            constraints, steps = (campaign.constraints, campaign.max_step) if campaign else (UNCONSTRAINED, NO_STEPS)
            instrument = adapt_to_campaign(instrument, quantities, constraints, steps)
        except InvalidInput as error:
            broken, faults = {*quantities}, [*faults, *error.faults]
        faults += _unknown(instrument.space, campaign)
        for index, target in _targets(written):
            if target.readings.keys() & broken:
                continue
            faults += [f"targets.{index}: {fault}" for fault in target_faults(instrument.space, target)]
        if campaign is not None:
            faults += [*_unaffordable(campaign), *_plate_faults(instrument.space, campaign)]
            faults += _condition_faults(instrument.space, campaign)
            faults += _source_faults(instrument, campaign, beside) if campaign.sources else []
            faults += _price_faults(instrument.space, campaign)
        if campaign is not None and not faults:
            faults += _inapplicable(instrument.space, campaign, models)
            named = {name: model for (key, name), model in models.items() if key.startswith("models.")}
            faults += _unlearnable(instrument.space, campaign, named)
    if faults or sources is None:
        _close(beside)
    if faults or campaign is None or instrument is None:
        _close(built_here)
        raise InvalidInput(faults)
    return _patient(campaign) if isinstance(instrument, ReadByPersons) else campaign, instrument


def _patient(campaign: Campaign) -> Campaign:
    """The campaign with a background that stays fresh, unless its file says otherwise: persons take days."""
    if "max_age_s" in campaign.background.model_fields_set:
        return campaign
    background = campaign.background.model_copy(update={"max_age_s": NEVER_S})
    return campaign.model_copy(update={"background": background})


def resolve_target(space: Space, target: Target) -> ResolvedTarget:
    """Return a target in the columns of a space."""
    free = Interval.about(math.nan, math.nan)
    space.columns(target.readings)  # says which of them there is not
    names = space.channel_names
    return ResolvedTarget(
        target.name, Window.of([target.interval(name) if name in target.readings else free for name in names])
    )


def target_faults(space: Space, target: Target) -> list[str]:
    """Return the reasons why no setting whatever could be verified for this target, as sentences; none as a rule."""
    try:
        space.columns(target.readings)
    except InvalidInput as error:
        return list(error.faults)
    faults = []
    for name, wish in target.readings.items():
        channel = space.channels[space.columns([name])[0]]
        unit, interval = channel.unit, target.interval(name)
        plain = f"= {interval.wanted:g}"
        short, said = (f"{wish}", f"{wish}") if isinstance(wish, str) else (plain, f"{plain} ± {interval.above:g}")
        # One bound is met from there on, two are met between them.
        nearest = interval.high if interval.one_sided else interval.wanted
        farthest = interval.low if interval.one_sided else interval.high
        if interval.extreme:
            continue
        if not interval.one_sided and interval.above != EXACT and interval.high == interval.wanted:
            faults.append(f"{name} {said} {unit}: no number of that size shows so small an error")
        elif channel.floor is not None and nearest < channel.floor:
            faults.append(f"{name} {short} {unit} is below the least that the sensor can return, {channel.floor:g}")
        elif channel.ceiling is not None and farthest >= channel.ceiling:
            faults.append(
                f"{name} {said} {unit} reaches the ceiling of the sensor, {channel.ceiling:g}: "
                'a reading there says "at least" and can verify nothing'
            )
    return faults


def _unaffordable(campaign: Campaign) -> list[str]:
    """Parts of a campaign of which one alone takes more requests than its budget."""
    parts: dict[str, Any] = {
        "verification.replicates": campaign.verification.replicates,
        "design.n": campaign.design.n,
        "targets": len(campaign.targets),  # each takes a reading at least
    }
    return [
        f"{key}: {requests} requests are more than the budget of {campaign.budget} allows: raise it, or take fewer"
        for key, requests in parts.items()
        if isinstance(requests, int) and requests > campaign.budget
    ]


def _price_faults(space: Space, campaign: Campaign) -> list[str]:
    """What of the prices of a campaign does not go with its instrument and its sources."""
    costs = {source.name: source.price for source in campaign.sources}
    return [f"price.{fault}" for fault in campaign.price.faults(space, costs)] if campaign.price else []


def _plate_faults(space: Space, campaign: Campaign) -> list[str]:
    """What of a campaign does not go with a plate, if there is one."""
    if space.plate is None:
        return []
    faults = list[str]()
    if campaign.ahead:
        faults.append("fitting.ahead: a plate is proposed from the plate before it, so nothing is prepared ahead")
    if campaign.history is not None and space.plate.rim == "apart":
        faults.append(
            "history: what an earlier campaign taught and how wells at the rim differ cannot be told apart; leave one "
            'out, or give the plate rim = "unused"'
        )
    return faults


def _inapplicable(space: Space, campaign: Campaign, models: Mapping[tuple[str, str], plugins.RowsNeeded]) -> list[str]:
    """Why laws, each by its key and name, do not go with the knobs and channels of the campaign."""
    columns, faults = NamedColumns.of(space, campaign.channels, subtracted=False), list[str]()
    for (key, name), model in models.items():
        try:
            if isinstance(model, NeedsUnits):
                model.in_units(columns)
        except InvalidInput as error:
            faults += [f"{key}: {name}: {fault}" for fault in error.faults]
    return faults


def _condition_faults(space: Space, campaign: Campaign) -> list[str]:
    """What of a campaign does not go with the conditions that its instrument says."""
    names = space.condition_names
    there = "" if names else "; the replies of this instrument say none"
    unknown = [name for name in campaign.conditions if name not in names]
    faults = [f"conditions: unknown condition {name!r}{suggest_nearest(name, names)}{there}" for name in unknown]
    faults += [
        f"instrument: condition {each.name!r} needs low and high, what it usually is: changes count in parts of that"
        for each in space.conditions
        if each.low is None
    ]
    if names and campaign.history is not None:
        which = ", ".join(names)
        faults.append(f"history: it does not say in which {which} it was read, which counts here: leave it out")
    if names and campaign.rivals:
        faults.append(f"rivals: they are not shown {', '.join(names)}, which readings depend on here: leave them out")
    return faults


def _source_faults(instrument: Instrument, campaign: Campaign, sources: list[Instrument]) -> list[str]:
    """What of a campaign does not go with its sources, and what is wrong with these, which the list has afterwards."""
    faults = list[str]()
    if instrument.space.plate is not None or instrument.space.conditions or isinstance(instrument, ReadByPersons):
        faults.append(
            "sources: they go with an instrument that measures one by one, without conditions: leave them out"
        )
    if campaign.ahead:
        faults.append("fitting.ahead: what a source tells decides the next round, so nothing is prepared ahead")
    if bent := [name for name in campaign.channels if not _is_sum(instrument.space, name)]:
        faults.append(
            f"sources: {', '.join(bent)} is no sum of channels, so how noisy it is changes from place to place, of "
            "which a source tells nothing: leave the sources out, or want the channels that it is computed from"
        )
    if faults or set(campaign.channels) - set(instrument.space.channel_names):
        return faults
    try:
        sources[:] = build_sources(campaign.sources, instrument, campaign.channels, sources)
    except InvalidInput as error:
        sources.clear()
        faults += error.faults
    return faults


def _is_sum(space: Space, name: str) -> bool:
    """Whether a channel is measured, or computed as a sum of such, each with a factor."""
    if (formula := space.formulas.get(name)) is None:
        return True
    return formula.linear is not None and all(_is_sum(space, each) for each in formula.names)


def _close(instruments: list[Instrument]) -> None:
    """Let go of instruments."""
    while instruments:
        instruments.pop().close()


def _faults_of_sources(written: Mapping[str, Any]) -> list[str]:
    """What is wrong with the options of sources, where the campaign as a whole cannot be read."""
    parts, faults = written.get("sources"), list[str]()
    for place, part in enumerate(parts) if isinstance(parts, list) else ():
        if not isinstance(part, dict):  # which is listed already
            continue
        options = {key: value for key, value in part.items() if key not in ("name", "price", "most")}
        with suppress(ValidationError):  # its faults are listed already
            named = Plugin.model_validate(options)
            try:
                plugins.build("sdl.instruments", named.plugin, named.options).close()
            except InvalidInput as error:
                faults += [plugins.place_fault(f"sources.{place}", fault) for fault in error.faults]
    return faults


def _unlearnable(space: Space, campaign: Campaign, models_named: Mapping[str, plugins.RowsNeeded]) -> list[str]:
    """Why no model could ever be fitted: each needs more readings than the budget has, and there is no history.

    Args:
        space: Of the instrument.
        campaign: The campaign.
        models_named: The models that its file names; where it names none, the default ones are asked.
    """
    if campaign.history is not None:
        return []
    knobs, channels = space.u, len(campaign.channels)
    models = models_named or {part.plugin: _model(part) for part in campaign.models}
    needed = {name: model.rows_needed(knobs, channels) for name, model in models.items()}
    least = min(needed, key=lambda name: needed[name])
    if needed[least] <= campaign.budget:
        return []
    others = {name: _model(Plugin(plugin=name)) for name in plugins.names("sdl.inverse_models")}
    able = [
        name
        for name, model in others.items()
        if not isinstance(model, NeedsUnits) and model.rows_needed(knobs, channels) <= campaign.budget
    ]
    advice = f"name another model ({', '.join(able)})" if able else "name a model that needs fewer"
    return [
        f"budget: {campaign.budget} requests are too few for every model: {least} needs {needed[least]} readings of "
        f"{knobs} knobs; raise it, {advice} or give the ledger of an earlier campaign as history"
    ]


def _model(part: Plugin) -> plugins.RowsNeeded:
    model: plugins.RowsNeeded = plugins.build("sdl.inverse_models", part.plugin, part.options)
    return model


def _unknown(space: Space, campaign: Campaign | None) -> list[str]:
    """Faults of the precautions: channels that the instrument has not, settings that it cannot take."""
    faults: list[str] = []
    if campaign is None:
        return faults
    for place, ask in (
        ("suspend.background", lambda: space.columns(campaign.suspend.background)),
        ("suspend.patch.settings", lambda: campaign.suspend.patch and space.settings(campaign.suspend.patch.settings)),
    ):
        try:
            ask()
        except InvalidInput as error:
            faults += [f"{place}: {fault}" for fault in error.faults]
    return faults


def _parts(written: Mapping[str, Any]) -> list[tuple[str, plugins.Group, Plugin]]:
    """Every plug-in that the file names, where it can be read at all."""
    lists = {key: value for key in ("models", "rivals") if isinstance(value := written.get(key), list)}
    sections: list[tuple[str, plugins.Group, Any]] = [
        ("instrument", "sdl.instruments", written.get("instrument")),
        ("design", "sdl.designs", written.get("design")),
        ("acquisition", "sdl.acquisitions", written.get("acquisition")),
        *(
            (f"{key}.{i}", "sdl.inverse_models", model)
            for key, models in lists.items()
            for i, model in enumerate(models)
        ),
    ]
    loop_options = {"sdl.designs": ("n",), "sdl.acquisitions": ("n", "rounds", "below")}
    parts = []
    for key, group, value in sections:
        value = {"plugin": value} if isinstance(value, str) else value
        if isinstance(value, dict):
            options = {
                option: setting for option, setting in value.items() if option not in loop_options.get(group, ())
            }
            with suppress(ValidationError):  # its faults are listed already
                parts.append((key, group, Plugin.model_validate(options)))
    return parts


def _quantities(written: Mapping[str, Any]) -> dict[str, QuantityPart]:
    """Every quantity, as far as it can be read."""
    quantities, readable = written.get("quantities"), dict[str, QuantityPart]()
    for name, part in quantities.items() if isinstance(quantities, dict) else ():
        with suppress(ValidationError):  # its faults are listed already
            readable[name] = QuantityPart.model_validate({"formula": part} if isinstance(part, str) else part)
    with suppress(ValidationError):
        readable |= ColourPart.model_validate(written.get("colour")).quantities
    return readable


def _targets(written: Mapping[str, Any]) -> list[tuple[int, Target]]:
    """Every target with its place, as far as it can be read: if need be, its readings alone."""
    targets = written.get("targets")
    readable = []
    for index, target in enumerate(targets if isinstance(targets, list) else []):
        readings = {"readings": target.get("readings"), "tolerance": EXACT} if isinstance(target, dict) else {}
        for content in (target, readings):
            with suppress(ValidationError):  # its faults are listed already
                readable.append((index, Target.model_validate(content)))
                break
    return readable
