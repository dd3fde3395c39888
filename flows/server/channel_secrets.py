"""The address of a notification's channel, which is a secret, stays out of the events and logs of Prefect's server.

Prefect keeps as an event what a library says of a message that did not get through, logs the address of a webhook with
the traceback, and tells, of each block that is made, all that it does not take for a secret. A server imports this as
a collection of Prefect's, whoever starts it; other programs that do so are left as they are.
"""

import logging
import re
import sys
from typing import Any

TALKATIVE = ("httpx", "httpcore", "urllib3")
"""Libraries that log where they send messages to."""
STATUS = re.compile(r"\b(?:error=|error '|answered )(?P<status>[1-5]\d\d)\b")
"""How apprise, httpx and we name the status of an answer."""


def describe_failure(words: str) -> str:
    """Return of what a library says of a message that it did not send the status alone.

    >>> describe_failure("Failed to send ntfy notification to topic 'pear': Page not found., error=404.")
    'the channel answered 404'
    """
    status = STATUS.search(words)
    return f"the channel answered {status['status']}" if status else "the message was not sent"


def _keep_channels_secret() -> None:
    from prefect.server.events import actions
    from prefect.server.events.schemas import lifecycle

    sender: Any = actions.SendNotification
    teller: Any = lifecycle
    send, tell = sender.act, teller._block_document_event

    async def send_discreetly(action: Any, triggered: Any) -> None:
        try:
            await send(action, triggered)
        except Exception as error:  # not all that a block raises is its own error: a webhook's has the address in it
            words = f"{error} {action._result_details.pop('notification_log', '')}"
            raise actions.ActionFailed(describe_failure(words)) from None

    def tell_discreetly(kind: str, block: Any, occurred: Any) -> Any:
        return tell(kind, block.model_copy(update={"data": {}}), occurred)

    def reduce(record: logging.LogRecord) -> bool:
        record.msg, record.args = describe_failure(record.getMessage()), ()
        return True

    sender.act, teller._block_document_event = send_discreetly, tell_discreetly
    logging.getLogger("apprise").addFilter(reduce)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


if "prefect.server.events.actions" in sys.modules:
    _keep_channels_secret()
