"""A hall of instruments for the wall: campaigns at work in a ledger, and the page served as its own program."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sdl.campaign.definition import Target
from sdl.history import Finding, NoticeKind, Purpose, ReplyClass, Request, Round, RoundKind, State, Verdict
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.reports.status import campaign_owner
from sdl.space import Channel, Knob, Space

SPACE = Space(
    knobs=tuple(Knob(name=name, low=0.0, high=1.0) for name in "RGB"),
    channels=tuple(Channel(name=name) for name in ("445nm", "515nm", "630nm")),
)
WANTED = np.array([16384.0, 9200.0, 12000.0])
TARGETS = [Target(name="white", readings=dict(zip(SPACE.channel_names, WANTED.tolist(), strict=True)))]
STRANGER = "<img src=x onerror=alert(1)><script>document.title='mine'</script> & <b>bold</b> \u202etxt"
"""The name of a campaign by which somebody tries what a page does with it."""
CHILD = """
import socket, sys, uvicorn
from pathlib import Path
from flows.laboratory.wall.app import beside, make_wall
from flows.server.own_origin import refuse_strangers
async def nothing(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
wall = beside(nothing, make_wall(sys.argv[2], Path(sys.argv[3])))
uvicorn.Server(uvicorn.Config(refuse_strangers(wall), log_level="error")).run([socket.socket(fileno=int(sys.argv[1]))])
"""


class Hall:
    """Campaigns on instruments that this process holds."""

    def __init__(self, where, seed=0):
        self.stack, self.random = contextlib.ExitStack(), np.random.default_rng(seed)
        self.ledger = self.stack.enter_context(Ledger(where))
        self.at_work = {}

    def close(self):
        self.stack.close()

    def begin(self, name, instrument, title="", budget=60, targets=TARGETS, **config):
        """Begin a campaign, whose instrument is held from now on."""
        written = {"budget": budget, "targets": [each.model_dump(mode="json") for each in targets], **config}
        entry = self.ledger.register(name, instrument, SPACE, written, {"sdl": "0"}, title or name)
        lease = self.stack.enter_context(self.ledger.hold(instrument, campaign_owner(entry.name)))
        self.at_work[name] = (lease, entry.id)
        return entry

    def reading(self, name, number, off=1.0, purpose=None, round_=0):
        """Take one reading of a campaign: every sixth is a reference of the light; off is in tolerances."""
        purpose = purpose or (Purpose.REFERENCE if number % 6 == 0 else Purpose.LEARNING)
        attempt = self.sent(name, number, purpose, round_)
        drift = 40 * np.sin(number / 25 + np.arange(3)) + self.random.normal(0, 6, 3)
        near = WANTED * (1 + 0.01 * off * self.random.normal(0, 1, 3))
        self.answer(name, attempt, np.round(400 + drift if purpose is Purpose.REFERENCE else near))
        return attempt

    def sent(self, name, number, purpose=Purpose.LEARNING, round_=0):
        """Plan and send one request, which nobody answers yet."""
        lease, campaign = self.at_work[name]
        request = Request(round_, number, 0, purpose, self.random.random(3))
        kind = RoundKind.DESIGN if round_ == 0 else RoundKind.LEARNING
        self.ledger.plan(lease, campaign, Round(round_, kind), [request])
        return self.ledger.send(lease, campaign, request, 10_000_000)

    def answer(self, name, attempt, values):
        lease, _ = self.at_work[name]
        values = np.asarray(values, float)
        reply = Reply({"R": 0.1}, {}, "{}", 0.1)
        self.ledger.receive(lease, attempt, reply, Screened(ReplyClass.OK, "", values, np.zeros(3, bool)))

    def finding(self, name, verdict=Verdict.VERIFIED, target="white", sentence="within the tolerance", round_=0):
        lease, campaign = self.at_work[name]
        self.ledger.find(lease, campaign, Finding(round_, target, verdict, sentence, np.full(3, 0.4)))

    def wait_for_approval(self, name, round_=1, why="it is the first round"):
        """Plan a round that a person has to see, and let the instrument go, as a campaign that waits does."""
        lease, campaign = self.at_work[name]
        requests = [Request(round_, i, 0, Purpose.LEARNING, np.array([0.1, 0.2, 0.3]) + i / 10) for i in range(3)]
        self.ledger.plan(lease, campaign, Round(round_, RoundKind.LEARNING), requests)
        Controls(self.ledger).request_approval(lease, campaign, round_, why)
        self.ledger.set_state(lease, campaign, State.PAUSED, f"round {round_} waits for approval, since {why}")

    def end(self, name, state=State.FINISHED, reason="all targets are settled"):
        lease, campaign = self.at_work[name]
        self.ledger.set_state(lease, campaign, state, reason)


@contextlib.contextmanager
def served(where, home):
    """Serve the wall of a ledger; yields its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-c", CHILD, str(listener.fileno()), str(where), str(home)]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], env={**os.environ, "SDL_HOME": str(home)})
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def cpu_s(process):
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_hall(where, seed=0):
    """Eight instruments on a usual afternoon, and one campaign of somebody who writes more than a name."""
    hall = Hall(where, seed)
    titles = {
        "claude-light": "White at noon",
        "photometer": STRANGER,
        "furnace-2": "Anneal at 640 °C, again, with the second thermocouple and the slower ramp of last week",
        "reactor-a": "Yield against flow",
        "spectrometer": "Three bands",
        "dye-mixer": "Ink 7",
        "an-instrument-with-a-name-that-somebody-thought-was-a-good-idea": "Feed rate",
        "arm": "Reach",
    }
    for name, title in titles.items():
        hall.begin(f"{name}-today", name, title)
        for number in range(25 if name != "arm" else 2):
            hall.reading(f"{name}-today", number, off=3.0 if number < 15 else 0.6)
    hall.finding("claude-light-today", sentence="within the tolerance: 445nm 16390 ± 30 for 16384 ± 164, at 95 %")
    hall.finding("dye-mixer-today", Verdict.NOT_REACHABLE, sentence="no setting gives these readings together")
    hall.wait_for_approval("reactor-a-today")
    hall.end("furnace-2-today", State.SUSPENDED, "the background left its band: 630nm reads 512, 391 to 430 is usual")
    hall.end("dye-mixer-today")
    Controls(hall.ledger, "Ada").note(hall.at_work["arm-today"][1], NoticeKind.PAUSED, "asked to pause: a new belt")
    return hall


def main():
    """Serve such a laboratory in a new ledger, to be looked at."""
    with contextlib.closing(busy_hall(sys.argv[1])) as hall, served(sys.argv[1], Path(sys.argv[1]).parent) as (url, _):
        print(f"{url}/wall", flush=True)
        for number in itertools.count(100):
            time.sleep(0.25)
            hall.reading(f"{('claude-light', 'photometer', 'spectrometer', 'arm')[number % 4]}-today", number)


if __name__ == "__main__":
    main()
