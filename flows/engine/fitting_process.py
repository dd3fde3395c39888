"""Fits in a process of their own, with a limit of time and one of memory: a model that breaks them ends only that.

A campaign asks for it with a table ``[fitting]``; the models that come first by default are fitted in milliseconds and
need none. The process reads the ledger, fits the models and returns the next step of the plan as plain data, so no
model leaves it. It serves all rounds of a session. When it dies or takes too long, the model that it was at is left out
for the rest of the campaign, the reason stands with the round, and another process goes on without it.

This is the side of the campaign; ``fitting_worker`` is what runs in the process.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flows.engine.step_json import step_from_json
from sdl.campaign.definition import Campaign
from sdl.campaign.sections import FittingPart
from sdl.history import History
from sdl.space import Space
from strategies.fitting import fitting
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Step

START_S = 120.0
"""Seconds within which the process has to say that it is at a model, libraries and all."""
END_S = 5.0
"""Seconds that it has to end in order before it is killed."""

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

    def prepare(self, history: History) -> None:
        """Have the next round fitted and proposed while the present one is measured, if the campaign wants that."""
        stage = (history.rounds[-1].number, len(history.exams))
        if self.limits.ahead and stage != self._prepared:
            self._prepared = stage
            self._running().send({"decide": False, "left_out": self._left_out(history)})

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _decide(self, history: History) -> Step:
        """Ask until a process answers; each one that does not costs the model that it was at."""
        while True:
            left_out = self._left_out(history)
            child, model = self._running(), ""
            child.send({"decide": True, "left_out": left_out})
            while (answer := child.receive(self.limits.limit_s if model else START_S)) is not None:
                if "step" in answer:
                    return step_from_json(answer["step"])
                model = answer["at"]
            reason = child.end()
            self._child = None
            if not model or model in left_out:
                raise RuntimeError(f"the process that fits the models {reason} before it was at one of them")
            self.left_out[model] = f"{fitting.LEFT_OUT}{reason}"

    def _left_out(self, history: History) -> dict[str, str]:
        return fitting.models_left_out(history.rounds) | self.left_out

    def _running(self) -> "_Child":
        if self._child is None:
            self._child = _Child()
            config = self.campaign.model_dump(mode="json", exclude_unset=True)
            self._child.send({"config": config, "entry": self.entry, "ledger": self.ledger})
        return self._child


def _stage(history: History) -> Stage:
    parts = (history.rounds, history.planned, history.observations, history.exams, history.findings)
    return history.sent, *map(len, parts)


class _Child:
    """A process, and its answers as they come."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.engine.fitting_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us to obey; here it would look like a model's fault
            env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._late_after_s: float | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; that the process is gone shows when no answer comes."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, within_s: float) -> dict[str, Any] | None:
        """Return the next answer; None if the process ended or does not answer in time, seconds."""
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            self._late_after_s = within_s
            return None
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def end(self) -> str:
        """End the process, and return in words how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._late_after_s is not None:
            self._process.kill()
        elif self._process.poll() is None:
            self._process.stdin.close()
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join()
        self._process.stdout.close()
        if self._late_after_s is not None:
            return f"took more than {self._late_after_s:g} s"
        return (
            f"ended its process by {signal.Signals(-code).name}" if code < 0 else f"ended its process with code {code}"
        )

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")
