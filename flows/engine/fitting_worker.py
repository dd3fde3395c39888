"""The process that fits the models of a campaign for a ``FittingProcess``: ``python -m flows.engine.fitting_worker``.

It reads one message a line from standard input, as JSON, and answers on standard output. The first message says which
campaign it is; each one after that asks for a decision, or to prepare the next one. Before a model is used its name is
sent, so that the other side knows which one it was if this process dies or falls silent.
"""

import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from flows.engine.step_json import step_to_json
from sdl.analysis.spending import with_allowance
from sdl.campaign.definition import Campaign
from sdl.history import History
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.ledger import Ledger
from sdl.space import NamedColumns, Space
from sdl.system.clock import now
from strategies.fitting import fitting
from strategies.fitting.fitting import Fitted
from strategies.plan.lookahead import possible_endings
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Step

GRACE_S = 5.0
"""Seconds beyond the limit of a model after which this process ends by itself, should nobody be there to end it."""
WARM_ROWS = 20
"""Random rows of the fit that loads what a model needs."""


@dataclass(eq=False)
class FittingWorker:
    """What the process keeps from one message to the next.

    Args:
        campaign: The campaign.
        space: Knobs and channels of its instrument.
        announce: Called with the name of each model before it is used.
    """

    campaign: Campaign
    space: Space
    announce: Callable[[str], object]
    fits: dict[int, Fitted] = field(default_factory=dict)
    """By their round: while a round is an exam, the next one may be prepared already."""
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan = Plan(self.campaign, self.space)

    def decide(self, history: History, left_out: Mapping[str, str]) -> Step:
        """Return the step that follows, after all fits that it takes.

        Args:
            history: What the ledger holds.
            left_out: Models by name that are not to be tried, and why.
        """
        if left_out != self.left_out:
            self.fits, self.left_out = {}, left_out
        step = self._next_step(history, None)
        while isinstance(step, Fit):
            if step.round not in self.fits:
                last = {number: fitted for number, fitted in self.fits.items() if number == step.round - 1}
                self.fits = last | {step.round: self.plan.fit(step, history, left_out, self.announce)}
            step = self._next_step(history, self.fits[step.round])
        return step

    def prepare(self, history: History, left_out: Mapping[str, str]) -> None:
        """Find out what the next decision will rest on; it is kept with the fit until that decision is asked for."""
        endings = possible_endings(history)
        if not endings and not self.fits:
            self._warm_up(left_out)
        for ending in endings:
            self.decide(ending, left_out)

    def _warm_up(self, left_out: Mapping[str, str]) -> None:
        """Load what the models need, by a fit of random rows: a library may take seconds for that."""
        rng, columns = np.random.default_rng(0), NamedColumns.of(self.space, self.campaign.channels, subtracted=False)
        readings, settings = rng.random((WARM_ROWS, len(self.plan.columns))), rng.random((WARM_ROWS, self.space.u))
        for name, part in fitting.named_models(self.campaign.models).items():
            if name not in left_out:
                self.announce(name)
                with suppress(Exception):  # whatever it has against them, it will have something else against real ones
                    fitting.build_model(part, columns).fit(readings, settings)

    def _next_step(self, history: History, fitted: Fitted | None) -> Step:
        if fitted is not None and fitted.name:
            self.announce(fitted.name)
        return self.plan.next_step(history, fitted)


def serve_decisions() -> NoReturn:
    """Answer one message after the other, and end with standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints is no answer
    messages: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_receive, args=(messages,), daemon=True).start()

    def send(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    setup = json.loads(messages.get())
    campaign = Campaign.parse(setup["config"])
    assert campaign.fitting is not None
    limits = campaign.fitting

    def announce(name: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, limits.limit_s + GRACE_S)
        send(at=name)

    with Ledger(setup["ledger"]) as book:
        entry = next(entry for entry in book.entries() if entry.id == setup["entry"])
        worker, cache = FittingWorker(campaign, entry.space, announce), HistoryCache(setup["entry"])
        _limit_memory(limits.memory_mb)
        while True:
            message = json.loads(messages.get())
            history = book.history(setup["entry"], campaign.background.max_age_s, cache)
            history = with_allowance(history, campaign, entry.space, now(), entry.created)
            if message["decide"]:
                send(step=step_to_json(worker.decide(history, message["left_out"])))
            else:
                worker.prepare(history, message["left_out"])
            signal.setitimer(signal.ITIMER_REAL, 0)


def _receive(messages: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        messages.put(line)
    os._exit(0)  # whoever asked is gone


def _limit_memory(megabytes: int) -> None:
    """Allow so much beyond what the program itself takes, where the system says how much that is."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    taken = int(statm.read_text().split()[0]) * resource.getpagesize()
    most = taken + megabytes * 1_000_000
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    serve_decisions()
