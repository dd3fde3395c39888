"""MQTT: a topic for each knob and each channel, by Eclipse Paho (extra ``mqtt``)."""

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from sdl.campaign.section import Section
from sdl.errors import InstrumentRefused
from sdl.instruments.configured.definition import InstrumentDefinition, Secret, missing_extra, read_definition
from sdl.instruments.configured.driver import ConfiguredInstrument
from sdl.instruments.configured.templates import refuse_open_secrets, show_json, write_json, written_number
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.url_guard import GuardedUrl
from sdl.plugins import fill_secrets
from sdl.system.connections import take_back_unsent

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttOrder(Section):
    """What is published, and where its answer comes."""

    topic: str = Field(min_length=1, max_length=1000)
    """Published to; listened to where there is neither ``payload`` nor ``answer``."""
    payload: Annotated[Any, AfterValidator(refuse_open_secrets)] = None
    """A table or a list as JSON, in which a text that is only ``{NAME}`` becomes a number; text as it is. By default
    the setting of the knob."""
    answer: str | None = None
    """Topic on which the answer comes; by default the topic itself is listened to, and nothing is published."""
    qos: int = Field(default=1, ge=0, le=2)
    retain: bool = False

    @field_validator("topic", "answer")
    @classmethod
    def _plain(cls, topic: str | None) -> str | None:
        if topic is not None and set(topic) & set("#+\0"):
            raise ValueError("needs one topic, without wildcards")
        return topic

    def __str__(self) -> str:
        """The order for people."""
        given = "" if self.payload is None else f" {show_json(self.payload)}"
        return f"{self.topic}{given}"

    @property
    def heard_at(self) -> str:
        """The topic on which what answers it comes."""
        return self.answer or self.topic


Order = Annotated[MqttOrder, BeforeValidator(lambda order: {"topic": order} if isinstance(order, str) else order)]


class MqttDefinition(InstrumentDefinition[Order]):
    """An instrument behind an MQTT broker."""

    url: str
    """Of the broker, such as ``mqtt://192.168.1.20:1883`` or ``mqtts://broker.example``."""
    username: str | None = None
    password: Secret | None = None
    allow_private: bool = False
    """Whether the broker may stand on this machine or a private network."""
    ca_file: str | None = None
    """Certificates of the authority that signed the broker's own; by default the public authorities."""

    def faults(self) -> list[str]:
        """Return what of it does not go together, and what is wrong with the broker's URL."""
        lacking = missing_extra("plugin", "paho", "mqtt")
        return [
            *super().faults(),
            *GuardedUrl.faults(self.url, self.allow_private, PORTS),
            *([lacking] if lacking else []),
        ]


def mqtt(**options: Any) -> ConfiguredInstrument[MqttOrder]:
    """An instrument behind an MQTT broker, by configuration."""
    definition = read_definition(MqttDefinition, options, "mqtt")
    return ConfiguredInstrument("mqtt", definition, BrokerLine(definition))


class BrokerLine:
    """A session at a broker that stays open.

    A message counts for a question if it came after the question, or after the last order where there is no time to
    settle: a sensor may publish at once, and just once, when its settings change. What a broker kept from earlier
    never does.

    Args:
        definition: With the broker and the topics.
    """

    def __init__(self, definition: MqttDefinition) -> None:
        self._definition = definition
        self._url = GuardedUrl.parse(definition.url, definition.allow_private, PORTS)
        self._topics = sorted({fill_secrets(order.heard_at) for order in _questions(definition)})
        self._waits = bool(definition.settle_s or any(knob.settle_s for knob in definition.knobs))
        self.place = f"{self._url.canonical}/{_common(definition)}"
        self._client: Client | None = None
        self._lost = threading.Event()
        self._messages = dict[str, queue.SimpleQueue[bytes | None]]()

    def open(self, deadline: Deadline) -> bool:
        """Connect and subscribe, unless a session is open."""
        if self._client is not None and not self._lost.is_set():
            return False
        self.drop()
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        definition, ready, refusal = self._definition, threading.Event(), list[str]()
        lost, messages = threading.Event(), {topic: queue.SimpleQueue[bytes | None]() for topic in self._topics}
        self._lost, self._messages = lost, messages
        client = self._client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)

        def connected(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            if reason.is_failure:
                refusal.append(str(reason))
            elif self._topics:
                client.subscribe([(topic, 1) for topic in self._topics])
                return
            ready.set()

        def subscribed(client: Any, data: Any, number: Any, reasons: Any, properties: Any) -> None:
            refusal.extend(str(reason) for reason in reasons if reason.is_failure)
            ready.set()

        def disconnected(*_: Any) -> None:
            lost.set()
            ready.set()
            for waiting in messages.values():
                waiting.put(None)

        def came(client: Any, data: Any, message: Any) -> None:
            if not message.retain:
                messages[message.topic].put(message.payload)

        client.on_connect, client.on_subscribe, client.on_disconnect, client.on_message = (
            connected,
            subscribed,
            disconnected,
            came,
        )
        if definition.username is not None:
            password = definition.password.get_secret_value() if definition.password else None
            client.username_pw_set(fill_secrets(definition.username), password)
        if self._url.scheme == "mqtts":
            client.tls_set(ca_certs=definition.ca_file)
        self._url.check_resolved()
        client.connect_timeout = deadline.left
        client.connect(self._url.host, self._url.port)
        line: Any = client.socket()
        self._url.check(str(line.getpeername()[0]))  # the name may lead elsewhere by now
        client.loop_start()
        if not ready.wait(deadline.left):
            raise TimeoutError("the broker does not answer")
        if refusal:
            raise InstrumentRefused(f"{self.place} refused: {', '.join(refusal)}", sent=False)
        if lost.is_set():
            raise ConnectionError("the broker closed the connection")
        return True

    def send(self, order: MqttOrder, value: float | str | None, deadline: Deadline) -> None:
        """Publish an order, and see that the broker has it."""
        if not self._waits:
            self._forget(self._topics)
        payload = order.payload if order.payload is not None else "" if value is None else written_number(value, "")
        self._publish(order, payload, deadline)

    def ask(self, order: MqttOrder, deadline: Deadline) -> str:
        """Publish what asks, if anything does, and return the next message that answers it."""
        asks = order.answer is not None or order.payload is not None
        if asks or self._waits:
            self._forget([fill_secrets(order.heard_at)])
        self._take_back(True)
        if asks:
            self._publish(order, order.payload if order.payload is not None else "", deadline)
        try:
            message = self._messages[fill_secrets(order.heard_at)].get(timeout=deadline.left)
        except queue.Empty:
            raise TimeoutError(f"no message at {order.heard_at}") from None
        if message is None:
            raise ConnectionError("the broker closed the connection")
        self._take_back(False)
        return message.decode(errors="replace")

    def drop(self) -> None:
        """End the session."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _take_back(self, on: bool) -> None:
        line: Any = self._client and self._client.socket()
        if line is not None:
            take_back_unsent(line, on)

    def _publish(self, order: MqttOrder, payload: Any, deadline: Deadline) -> None:
        assert self._client is not None
        text = fill_secrets(payload) if isinstance(payload, str) else write_json(payload)
        sent = self._client.publish(fill_secrets(order.topic), text, order.qos, order.retain)
        try:
            sent.wait_for_publish(deadline.left)
        except (ValueError, RuntimeError) as error:  # the session is over
            raise ConnectionError(str(error)) from error
        if not sent.is_published():
            raise (
                ConnectionError("the broker is gone") if self._lost.is_set() else TimeoutError(f"{order} is not taken")
            )

    def _forget(self, topics: list[str]) -> None:
        for topic in topics:
            waiting = self._messages[topic]
            while not waiting.empty():
                if waiting.get() is None:
                    raise ConnectionError("the broker closed the connection")


def _questions(definition: MqttDefinition) -> Iterator[MqttOrder]:
    asked = [definition.query, *(each.query for each in (definition.errors, definition.ready) if each)]
    asked += [knob.readback.query for knob in definition.knobs if knob.readback]
    asked += [channel.query for channel in definition.channels]
    yield from (order for order in asked if order is not None)


def _common(definition: MqttDefinition) -> str:
    """What all topics begin with, which tells an instrument from others at the broker; else the first topic."""
    orders = [*_questions(definition), *(knob.write for knob in definition.knobs if knob.write is not None)]
    levels = [order.topic.split("/") for order in orders]
    shared = []
    for level in zip(*levels, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared or levels[0])
