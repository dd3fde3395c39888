"""A host's first process, whose children work on one campaign after another; or the instrument that they share.

Run as a program, by ``two_hosts``.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np

from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer


class Steady(Twin):
    """A twin whose readings depend on its settings alone, so that a disturbed campaign asks what it would have.

    Only the light without a filter is off by some counts, never twice the same: a sensor that repeats itself is stuck.
    """

    def __init__(self) -> None:
        super().__init__(noise=0.0, session_gain=False, drift=0.0)
        self.count = 0

    def measure(self, settings):
        """Take one reading."""
        self.count += 1
        reply = super().measure(settings)
        readings = {**reply.readings, "clear": min(reply.readings["clear"], 65000) + self.count % 97}
        return replace(reply, readings=readings, raw=json.dumps(readings))


def written(number, url):
    """The campaign of a number, as a person would write it."""
    twin, rng = Steady(), np.random.default_rng([16, number])
    readings = twin.truth(rng.uniform(0.15, 0.85, 3))
    wanted = dict(zip(twin.space.channel_names, np.rint(readings).tolist(), strict=True))
    return {
        "name": f"night {number}",
        "seed": number,
        "budget": 2000,
        "instrument": {
            "plugin": "claude-light", "url": url, "allow_private": True, "connect_s": 0.5, "read_s": 1.5,
            "deadline_s": 2.0, "quiet_s": 0.5, "attempts": 8, "first_wait_s": 0.1, "longest_wait_s": 2.0,
        },
        "targets": [{"name": "colour", "readings": {key: wanted[key] for key in ("445nm", "515nm", "630nm")}}],
        "design": {"plugin": "one-by-one"},
    }  # fmt: skip


def serve_lamp(host, record, port="0", seconds="0.05"):
    """Serve the instrument until the process is killed; a reading takes so many seconds at least."""

    class Watched(InstrumentServer):
        """Writes down what comes and goes."""

        def measured(self, query, faults):
            begun = time.monotonic()
            busy = self._in_flight
            answer = super().measured(query, faults)
            line = {"begun": begun, "ended": time.monotonic(), "busy": busy, "in": answer["in"]}
            with self._pins, open(record, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            return answer

    class Slow(Steady):
        """Takes its time, at some settings more than at others."""

        def measure(self, settings):
            time.sleep(float(seconds) + 0.2 * (sum(settings.values()) * 1e4 % 1) ** 2)
            return super().measure(settings)

    server = Watched(Slow(), host=host, port=int(port))
    print(server.server_port, flush=True)
    server.serve_forever()


def be_host(orders):
    """Import all, then fork a controller for each line that is read."""
    real = time.time
    time.time = lambda: real() + orders["skew_s"]
    from flows.engine import opening, outcome, session  # noqa: F401
    from sdl.ledger import database_server
    from sdl.ledger import lease as leasing
    from strategies.plan import plan  # noqa: F401

    haste = orders["haste"]
    leasing.BEAT_S, leasing.TTL_S = leasing.BEAT_S / haste, leasing.TTL_S / haste
    database_server.ANSWER_S /= haste
    database_server.LIMITS = (
        f"SET lock_timeout = '{database_server.LOCK_S / haste:.1f}s'",
        f"SET idle_in_transaction_session_timeout = '{database_server.IDLE_S / haste:.1f}s'",
    )
    database_server.CONNECT |= {"connect_timeout": max(2, round(10 / haste)), "tcp_user_timeout": round(30_000 / haste)}
    database_server.CONNECT |= {"keepalives_idle": max(1, round(10 / haste)), "keepalives_interval": 1}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 1
            try:
                code = control(orders)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)


def control(orders):
    """Bring one campaign after another to its end, one at least, until no further one is wanted."""
    import logging

    from sdl.errors import Interrupted, SdlError

    interrupted, signals = threading.Event(), []

    def handle(number, _):
        signals.append(number)
        if len(signals) > 1:
            os._exit(128 + number)
        interrupted.set()

    signal.signal(signal.SIGTERM, handle)
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s {orders['host']} {os.getpid()} %(message)s", force=True
    )
    log = logging.getLogger("sdl")
    number = 0
    while True:
        try:
            number = work(orders, number, interrupted)
        except Interrupted:
            return 130
        except SdlError as error:
            log.warning("ended: %s: %s", type(error).__name__, error)
            return 5
        if Path(orders["stop"]).exists():
            return 0


def work(orders, number, interrupted):
    """Bring a campaign to its end, as a run that waits does; return the number of the next one."""
    from flows.engine.opening import open_session
    from flows.engine.outcome import recorded_end
    from sdl.errors import CampaignSuspended, Interrupted, LeaseHeld, LeaseLost, LedgerAway
    from sdl.history import State
    from sdl.ledger.database_server import AWAY_S
    from sdl.ledger.ledger import Ledger
    from strategies.plan.steps import Stop

    directory = Path(orders["home"])
    directory.mkdir(mode=0o700, exist_ok=True)
    with Ledger(orders["ledger"], directory, AWAY_S, interrupted) as book:
        done = {entry.title for entry in book.entries() if entry.state is State.FINISHED}
        while f"night {number}" in done:
            number += 1
        # Every third is worked on by one host, and the next one by the other, on the same instrument.
        if number % 3 == 2 and orders["host"] == "b" and f"night {number + 1}" not in done:
            number += 1
    while True:
        try:
            opened = open_session(
                written(number, orders["url"]), directory, orders["ledger"], interrupted=interrupted, patience_s=AWAY_S
            )
            with opened as session, recorded_end(session):
                while not isinstance(step := session.propose(), Stop):
                    session.execute(step)
                session.execute(step)
                return number
        except LedgerAway:
            continue
        except (LeaseHeld, LeaseLost) as error:
            with Ledger(orders["ledger"], directory, AWAY_S, interrupted) as book:
                while book.holder(error.instrument) is not None:
                    if interrupted.wait(0.1):
                        raise Interrupted("interrupted while it waited") from error
            if _finished(orders, number, directory, interrupted):
                return number
        except CampaignSuspended as error:
            if error.hold_off_s is None:
                raise
            if interrupted.wait(0.5):
                raise Interrupted("interrupted while it waited") from error


def _finished(orders, number, directory, interrupted):
    from sdl.history import State
    from sdl.ledger.database_server import AWAY_S
    from sdl.ledger.ledger import Ledger

    with Ledger(orders["ledger"], directory, AWAY_S, interrupted) as book:
        return any(entry.title == f"night {number}" and entry.state is State.FINISHED for entry in book.entries())


if __name__ == "__main__":
    if sys.argv[1] == "lamp":
        serve_lamp(*sys.argv[2:])
    else:
        be_host(json.loads(sys.argv[1]))
