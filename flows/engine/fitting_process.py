"""Fits in a process of their own, with a limit of time and one of memory: a model that breaks them ends only that.

A campaign asks for it with a table ``[fitting]``; the models that come first by default are fitted in milliseconds and
need none. The process reads the ledger, fits the models and returns the next step of the plan as plain data, so no
model leaves it. It serves all rounds of a session. When it dies or takes too long, the model that it was at is left out
for the rest of the campaign, the reason stands with the round, and another process goes on without it.
"""

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from flows.engine.step_json import step_from_json, step_to_json
from sdl.campaign.definition import Campaign, FittingPart
from sdl.history import History
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.ledger import Ledger
from sdl.space import Space
from strategies.fitting import fitting
from strategies.fitting.fitting import Fitted
from strategies.plan.lookahead import possible_endings
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Step

START_S = 120.0
WARM_ROWS = 20
GRACE_S = 5.0
"""Seconds beyond the limit after which the process ends by itself, should nobody be there to end it."""


Stage: TypeAlias = tuple[int, ...]
"""How far a campaign has come: what is written down of it, counted by kind."""


@dataclass(eq=False)
class FittingProcess:
    """A planner whose models are fitted in a process of their own, which begins when it is first needed."""

    campaign: Campaign
    space: Space
    entry: int
    """Number of the campaign in the ledger."""
    ledger: str
    """File or URL, which may hold a password: it is never part of a command line."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Models that broke the limits since this session began, and how."""
    _child: "_Child | None" = None
    _decision: tuple[Stage, Step] | None = None
    """What the process decided, and at which stage of the campaign."""
    _prepared: tuple[int, int] = (-1, 0)
    """Round, and exams so far, at which the next round was last prepared."""

    def __post_init__(self) -> None:
        self.plan = Plan(self.campaign, self.space)

    @property
    def limits(self) -> FittingPart:
        """How long a model may take, and how much memory."""
        assert self.campaign.fitting is not None
        return self.campaign.fitting

    def change_campaign(self, campaign: Campaign) -> None:
        """Go on with a campaign in which the number of requests is another, in a process that knows it."""
        self.close()
        self.campaign, self.plan, self._decision = campaign, Plan(campaign, self.space), None

    def next_step(self, history: History) -> Step:
        """Return the step that follows: as the process decided, or by the plan alone where that needs no model."""
        if self._decision is not None and self._decision[0] == _stage(history):
            return self._decision[1]
        return self.plan.next_step(history, None)

    def fit(self, step: Fit, history: History) -> None:
        """Have the models fitted and the step that follows decided, which only the process can that has them.

        Raises:
            RuntimeError: if it ends without being at any model.
        """
        self._decision = _stage(history), self._decide(history)

    def _decide(self, history: History) -> Step:
        while True:
            left_out = self._gone(history)
            at, why = "", ""
            child = self._running()
            child.say({"decide": True, "left_out": left_out})
            while True:
                told = child.hear(self.limits.limit_s if at else START_S)
                if told is None:
                    why = child.end()
                    break
                if "step" in told:
                    return step_from_json(told["step"])
                at = told["at"]
            self._child = None
            if not at or at in left_out:
                raise RuntimeError(f"the process that fits the models {why} before it was at one of them")
            self.left_out[at] = f"{fitting.LEFT_OUT}{why}"

    def prepare(self, history: History) -> None:
        """Have the next round fitted and proposed while the present one is measured; does not wait for it."""
        stage = (history.rounds[-1].number, len(history.exams))
        if self.limits.ahead and stage != self._prepared:
            self._prepared = stage
            self._running().say({"decide": False, "left_out": self._gone(history)})

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _gone(self, history: History) -> dict[str, str]:
        return fitting.models_left_out(history.rounds) | self.left_out

    def _running(self) -> "_Child":
        if self._child is None:
            self._child = _Child()
            config = self.campaign.model_dump(mode="json", exclude_unset=True)
            self._child.say({"config": config, "entry": self.entry, "ledger": self.ledger})
        return self._child


def _stage(history: History) -> Stage:
    parts = (history.rounds, history.planned, history.observations, history.exams, history.findings)
    return history.sent, *map(len, parts)


class _Child:
    """A process, and what it says."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.engine.fitting_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us to obey; here it would look like a model's fault
            env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
        )
        self._said: queue.Queue[bytes] = queue.Queue()
        self._late = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def say(self, words: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # that it is gone is heard

    def hear(self, within_s: float) -> dict[str, Any] | None:
        """What it says next; None if it ended or says nothing in time."""
        try:
            line = self._said.get(timeout=within_s)
        except queue.Empty:
            self._late, self._within_s = True, within_s
            return None
        told: dict[str, Any] | None = json.loads(line) if line else None
        return told

    def end(self) -> str:
        """End it, and say in words how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._late or self._process.poll() is None:
            self._process.kill() if self._late else self._process.stdin.close()
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join()
        self._process.stdout.close()
        if self._late:
            return f"took more than {self._within_s:g} s"
        return (
            f"ended its process by {signal.Signals(-code).name}" if code < 0 else f"ended its process with code {code}"
        )

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line)
        self._said.put(b"")


# ---------------------------------------------------------------------- inside


def _serve() -> NoReturn:
    """Answer one line of standard input after the other; end with it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints is no answer
    asked: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()

    def tell(**words: Any) -> None:
        print(json.dumps(words), file=answers, flush=True)

    about = json.loads(asked.get())
    campaign = Campaign.parse(about["config"])
    assert campaign.fitting is not None
    limits = campaign.fitting
    with Ledger(about["ledger"]) as book:
        space = next(entry.space for entry in book.entries() if entry.id == about["entry"])
        inside, known = _Inside(campaign, space), HistoryCache(about["entry"])
        _limit_memory(limits.memory_mb)

        def at(name: str) -> None:
            signal.setitimer(signal.ITIMER_REAL, limits.limit_s + GRACE_S)
            tell(at=name)

        while True:
            question = json.loads(asked.get())
            history = book.history(about["entry"], campaign.background.max_age_s, known)
            if question["decide"]:
                tell(step=step_to_json(inside.decide(history, question["left_out"], at)))
            else:
                inside.prepare(history, question["left_out"], at)
            signal.setitimer(signal.ITIMER_REAL, 0)


class _Inside:
    """What the process knows from one question to the next."""

    def __init__(self, campaign: Campaign, space: Space) -> None:
        self.campaign, self.plan = campaign, Plan(campaign, space)
        self.fitted: Fitted | None = None
        self.left_out: Mapping[str, str] = {}

    def decide(self, history: History, left_out: Mapping[str, str], at: Any) -> Step:
        if left_out != self.left_out:
            self.fitted, self.left_out = None, left_out
        while isinstance(step := self._next(history, at), Fit):
            self.fitted = self.plan.fit(step, history, left_out, at)
        return step

    def prepare(self, history: History, left_out: Mapping[str, str], at: Any) -> None:
        """Find out what the decision will rest on, which is kept with the fit until it is asked for."""
        foreseen = possible_endings(history)
        if not foreseen and self.fitted is None:
            self._warm_up(left_out, at)
        for ending in foreseen:
            self.decide(ending, left_out, at)

    def _warm_up(self, left_out: Mapping[str, str], at: Any) -> None:
        """Load what the models need, by a fit of random rows: a library may take seconds for that."""
        rng, space = np.random.default_rng(0), self.plan.space
        readings, settings = rng.random((WARM_ROWS, len(self.plan.columns))), rng.random((WARM_ROWS, space.d))
        for name, part in fitting.named_models(self.campaign.models).items():
            if name not in left_out:
                at(name)
                with suppress(Exception):  # whatever it has against them, it will have something else against real ones
                    fitting.build_model(part).fit(readings, settings)

    def _next(self, history: History, at: Any) -> Step:
        if self.fitted is not None and self.fitted.name:
            at(self.fitted.name)
        return self.plan.next_step(history, self.fitted)


def _read(asked: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)  # whoever asked is gone


def _limit_memory(megabytes: int) -> None:
    """Allow so much beyond what the program itself takes, where the system tells that."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    taken = int(statm.read_text().split()[0]) * resource.getpagesize()
    most = taken + megabytes * 1_000_000
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    _serve()
