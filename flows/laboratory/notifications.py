"""Messages to people: one automation of the Prefect server that hands events of ours to a notification block.

The block holds the address and its secret; neither this program nor the laboratory file knows them. The server sends,
so a channel that is down costs a campaign nothing; the service and the doctor say what did not get through.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.laboratory.definition import Notify, Occasion
from flows.server.api_client import open_client
from flows.ui import events

NAME = "sdl: notifications"
EVENTS: dict[Occasion, set[str]] = {
    "verdict": {events.VERDICT},
    "suspended": {events.SUSPENDED},
    "resumed": {events.RESUMED},
    "waiting": {events.WAITING},
    "finished": {events.FINISHED},
    "stalled": {events.STALLED},
    "drift": {events.DRIFTED, events.OUT_OF_BAND},
}
TRIGGERED, SENT = "prefect.automation.triggered", "prefect.automation.action.executed"
SENDING_S = 20.0
"""A message has this long to get through."""
LOOK_S = 60.0
SUBJECT = "sdl: {{ event.resource.name }}"
BODY = "{{ event.payload.message }}"
"""Prefect fills these in with the event, whose own text is no template."""


async def keep_automation(client: PrefectClient, notify: Notify | None) -> str | None:
    """Make the automation, or bring it up to date with the laboratory file; without a wish for it there is none.

    Args:
        client: Client of the server.
        notify: Who is notified of what; None for nobody.

    Returns:
        What has to be done first, in words; None if all is well.
    """
    automations = await client.read_automations_by_name(NAME)
    if notify is None:
        for automation in automations:
            await client.delete_automation(automation.id)
        return None
    try:
        kind, name = notify.place
        block = await client.read_block_document_by_name(name, kind, include_secrets=False)
    except ObjectNotFound:
        return describe_missing_block(notify)
    assert block.id is not None
    made = make_automation(block.id, notify)
    if not automations:
        await client.create_automation(made)
    for automation in automations:
        made.enabled = automation.enabled  # a person may have switched it off
        if _core(automation) != _core(made):
            await client.update_automation(automation.id, made)
    return None


def describe_missing_block(notify: Notify) -> str:
    """Return in words that the server has no such block, and what to do about it."""
    return (
        f"nobody is notified: the Prefect server has no block {notify.block!r}; make it in its UI under Blocks, then "
        "start 'sdl up' or 'sdl deploy' again"
    )


def make_automation(block: UUID, notify: Notify) -> AutomationCore:
    """Return the automation, by the number of the block that sends."""
    return AutomationCore(
        name=NAME,
        description=f"Tells {notify.block} of: {', '.join(notify.on)}. Made from the laboratory file.",
        trigger=EventTrigger(
            expect=set().union(*(EVENTS[occasion] for occasion in notify.on)),
            match=ResourceSpecification({"prefect.resource.id": ["sdl.campaign.*", "sdl.instrument.*"]}),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[SendNotification(block_document_id=block, subject=SUBJECT, body=BODY)],
    )


async def watch_messages(api: str) -> None:
    """Print once of each message that it did not get through, until this is cancelled.

    Args:
        api: URL of the server's API.
    """
    last = None
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            sentence = await asyncio.to_thread(describe_lost_message, api)
        except (httpx.HTTPError, httpx.InvalidURL):  # it is not the server that is asked about here
            continue
        if sentence not in (None, last):
            print(sentence, file=sys.stderr, flush=True)
            last = sentence


def describe_lost_message(api: str) -> str | None:
    """Return in words that the last message did not get through; None if it did, or none was sent.

    What was sent is asked for, since a server keeps silent about some of the messages that it could not send.

    Args:
        api: URL of the server's API.

    Raises:
        httpx.HTTPError: if it does not answer.
    """
    ours = {"event": {"name": [TRIGGERED, SENT]}, "resource": {"labels": {"prefect.resource.name": NAME}}}
    with open_client(api) as client:
        answer = client.request("POST", "/events/filter", json={"filter": ours})
    sent = sorted(answer.json()["events"], key=lambda event: str(event["occurred"]), reverse=True)
    until = datetime.now(UTC) - timedelta(seconds=SENDING_S)
    last = next((e for e in sent if e["event"] == TRIGGERED and datetime.fromisoformat(e["occurred"]) < until), None)
    if last is None or any(e["event"] == SENT and e["occurred"] >= last["occurred"] for e in sent):
        return None
    message = last["payload"]["triggering_event"]["payload"].get("message", "")
    return (
        f"the message {message!r} of {last['occurred'][:19]} UTC did not get through: see that its channel is up and "
        "that the block has the right address"
    )


def _core(of: AutomationCore) -> AutomationCore:
    """What a server keeps of it, without the numbers and moments that it adds."""
    fields = AutomationCore.model_fields.keys()
    return AutomationCore.model_validate(of.model_dump(include=set(fields), exclude={"trigger": {"id"}}))
