"""What the wall costs its server, and how late a reading is on it: eight instruments, four readings a second in all.

    PYTHONPATH=tests/support:tests/simulators python tests/simulators/wall_load.py [SECONDS] [OLD_ROWS] [LEDGER_URL]

One page is open in Chromium. A delay is from the moment in the ledger at which a reading came until its page shows it.
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from hall import Hall, cpu_s, served
from pages import browsing

from sdl.history import Finding, Round, RoundKind, Verdict
from sdl.ledger.synthetic import fill_campaign

INSTRUMENTS, READINGS_S = 8, 4.0
SETTLE_S = 10
WATCH = """
window.delays = []
const before = take
take = (news) => {
  before(news)
  if (news.readings.length < 20) for (const [, , at] of news.readings) window.delays.push(Date.now() / 1000 - at)
}
"""


def measure(seconds, old, where, folder):
    """Return the share of a processor in percent, and the delays in seconds."""
    hall = Hall(where)
    with contextlib.closing(hall):
        for number in range(INSTRUMENTS):
            hall.begin(f"campaign-{number}", f"instrument-{number}", budget=100_000)
        if old:
            past = hall.begin("past", "instrument-0b")
            with hall.ledger.writing() as connection:
                rounds = [Round(n, RoundKind.LEARNING) for n in range(100)]
                fill_campaign(connection, past, rounds, Finding(99, "white", Verdict.REFUTED, "past"), old)
        with served(where, folder) as (url, process), browsing(folder / "profile") as browser:
            browser.open(f"{url}/wall")
            browser.run(WATCH)
            taken, begun, used = 0, time.monotonic(), None
            while time.monotonic() < begun + SETTLE_S + seconds:
                if used is None and time.monotonic() > begun + SETTLE_S:
                    used, since = cpu_s(process), time.monotonic()
                hall.reading(f"campaign-{taken % INSTRUMENTS}", taken)
                taken += 1
                time.sleep(max(0.0, begun + taken / READINGS_S - time.monotonic()))
            share = 100 * (cpu_s(process) - used) / (time.monotonic() - since)
            time.sleep(2)
            return share, sorted(json.loads(browser.run("JSON.stringify(window.delays)"))), taken


def main():
    """Measure and print one line."""
    seconds, old = (int(word) for word in (*sys.argv[1:3], *["60", "0"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        where = sys.argv[3] if len(sys.argv) > 3 else f"{name}/ledger.sqlite"
        share, delays, taken = measure(seconds, old, where, Path(name))
    median, late = (delays[int(part * (len(delays) - 1))] for part in (0.5, 0.95))
    print(
        f"{taken} readings, {len(delays)} seen: server {share:.1f} % of a core; "
        f"delay {median:.2f} s in the middle, {late:.2f} s at 95 %, {delays[-1]:.2f} s at most"
    )


if __name__ == "__main__":
    main()
