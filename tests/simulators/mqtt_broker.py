"""As much of an MQTT 3.1.1 broker as an instrument needs: sessions, wildcards, QoS 0 and 1, kept messages."""

import asyncio
import struct
import threading
from contextlib import suppress

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14


def packet(kind, body=b"", flags=0):
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes([kind << 4 | flags]) + bytes(digits) + body


def text(body, at):
    (length,) = struct.unpack_from(">H", body, at)
    return body[at + 2 : at + 2 + length].decode(), at + 2 + length


def matches(pattern, topic):
    wanted, there = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        return there[: len(wanted) - 1] == wanted[:-1]
    return len(wanted) == len(there) and all(w in ("+", t) for w, t in zip(wanted, there, strict=True))


class Broker:
    """Serves in a thread of its own as a context manager; sessions are known by their user names."""

    def __init__(self, password=None):
        self.sessions, self.kept, self.password = {}, {}, password
        self.loop, self.ready, self.port = asyncio.new_event_loop(), threading.Event(), 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def run(self):
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for writer in list(self.sessions):
            writer.transport.abort()
        for left in asyncio.all_tasks(self.loop):
            left.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()

    def cut(self, spared):
        """End the connections of all but one user."""

        def cut():
            for writer, (user, _) in self.sessions.items():
                if user != spared:
                    writer.transport.abort()

        self.loop.call_soon_threadsafe(cut)

    async def serve(self, reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readexactly(1))[0]
                length, shift = 0, 0
                while True:
                    (digit,) = await reader.readexactly(1)
                    length |= (digit & 127) << shift
                    shift += 7
                    if digit < 128:
                        break
                body = await reader.readexactly(length)
                if not self.take(writer, head >> 4, head & 15, body):
                    break
        self.sessions.pop(writer, None)
        writer.close()

    def take(self, writer, kind, flags, body):
        if kind == CONNECT:
            user, password = self.credentials(body)
            refused = self.password is not None and password != self.password
            writer.write(packet(CONNACK, bytes([0, 5 if refused else 0])))
            self.sessions[writer] = (user, set())
            return not refused
        if kind == SUBSCRIBE:
            at, granted, wanted = 2, bytearray(), self.sessions[writer][1]
            while at < len(body):
                pattern, at = text(body, at)
                wanted.add(pattern)
                granted.append(0)
                at += 1
            writer.write(packet(SUBACK, body[:2] + granted))
            for topic, payload in self.kept.items():
                if any(matches(pattern, topic) for pattern in wanted):
                    self.hand_on(writer, topic, payload, 1)
        elif kind == PUBLISH:
            topic, at = text(body, 0)
            if flags >> 1 & 3:
                writer.write(packet(PUBACK, body[at : at + 2]))
                at += 2
            if flags & 1:
                self.kept[topic] = body[at:]
            for other, (_, wanted) in list(self.sessions.items()):
                if any(matches(pattern, topic) for pattern in wanted):
                    self.hand_on(other, topic, body[at:], 0)
        elif kind == PINGREQ:
            writer.write(packet(PINGRESP))
        return kind != DISCONNECT

    @staticmethod
    def hand_on(writer, topic, payload, kept):
        name = topic.encode()
        with suppress(ConnectionError):
            writer.write(packet(PUBLISH, struct.pack(">H", len(name)) + name + payload, kept))

    @staticmethod
    def credentials(body):
        _, at = text(body, 0)
        flags, at = body[at + 1], at + 4
        _, at = text(body, at)
        user, at = text(body, at) if flags & 128 else ("", at)
        return user, text(body, at)[0] if flags & 64 else ""
