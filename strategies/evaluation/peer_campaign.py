"""A campaign that a peer leads: it says what to measure, and everything else is as in our own.

The peer is told all rows less the background of their moment, how sure that is, and the target less the present one.
References are read when our own plan would read them, by its cadence and before exams. Examined is the setting that
reads nearest to the target, once its mean reading is within the tolerance, give or take ``BENEFIT`` standard deviations
of that mean; one that was examined has to be proposed again before. The exam is the plan's own, of that very setting:
the verdict, and that it is left where further readings are unlikely to bring one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdl.analysis.background import Background
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget
from sdl.history import History, Observation, Purpose, Round, RoundFacts, RoundKind
from sdl.space import Readings, Settings, Space
from strategies.evaluation.peers.protocol import Aim, Peer, Seen
from strategies.fitting.fitting import Fitted
from strategies.fitting.model_selection import Choice
from strategies.numerics.distinct_rows import distinct_rows
from strategies.plan.plan import Plan
from strategies.plan.round_context import RoundContext
from strategies.plan.steps import Fit, Measure, Step, Stop
from strategies.posterior.growing import FEWEST

BENEFIT = 1.0
"""Standard deviations of its mean reading by which a setting may miss the tolerance and is examined all the same."""
DIGITS = 9
"""Decimals of a setting in the unit box that count."""


@dataclass(frozen=True, eq=False)
class PeerCampaign:
    """A peer's campaign for one target, asked for steps as a plan is."""

    plan: Plan
    """Of the same campaign, for its exams."""
    name: str
    """Of the peer."""
    peer: Peer

    @property
    def campaign(self) -> Campaign:
        return self.plan.campaign

    @property
    def space(self) -> Space:
        return self.plan.space

    @property
    def columns(self) -> list[int]:
        """Channels that some target fixes."""
        return self.plan.columns

    @property
    def target(self) -> ResolvedTarget:
        """The target over these channels."""
        return self.plan.targets[0]

    def next_step(self, history: History, fitted: Fitted | None) -> Step:
        """What to do next; what is fitted serves the exams alone, and the peer sees nothing of it."""
        if not history.rounds:
            design = self.space.spread(self.peer.design(self.space.u, self._rng(0)))
            return self._measure(history, 0, RoundKind.DESIGN, design) if len(design) else self._propose(history, 1)
        if history.open_exam is not None:
            return self.plan.next_step(history, fitted)
        if any(finding.settles for finding in history.findings):
            return Stop("every target is settled")
        if history.sent >= self.campaign.most:
            return Stop(f"all {self.campaign.most} requests of the budget are sent")
        current, judged = history.rounds[-1], {finding.round for finding in history.findings}
        if history.lacking and current.number not in judged:
            return Measure(current, history.lacking)
        begun = current.kind is RoundKind.EXAM and current.number not in judged
        return self._go_on(history, fitted, current, begun=begun)

    def fit(self, step: Fit, history: History) -> Fitted:
        """Retrain as the plan does."""
        return self.plan.fit(step, history)

    def _go_on(self, history: History, fitted: Fitted | None, current: Round, *, begun: bool) -> Step:
        """The plan's own exam of the candidate, if there is one and a fresh background leaves it worth that."""
        candidate, number = self._candidate(history), current.number + (not begun)
        if candidate is None or len(history.observations) < FEWEST:
            return self._propose(history, current.number + 1)
        if fitted is None or fitted.round != number:
            return Fit(number, number)
        insight = self.plan.insight(history, replace(fitted, choice=Choice(self.name, "")))
        turn = RoundContext(self.campaign, history, number, insight, self.target, [self.target])
        if begun:
            return self.plan.examine(turn, current, candidate)
        return self.plan.begin_exam(turn, candidate, RoundFacts())

    def _propose(self, history: History, number: int) -> Measure:
        proposed = self.peer.propose(self._seen(history), self._rng(number))
        return self._measure(history, number, RoundKind.LEARNING, proposed[None])

    def _measure(self, history: History, number: int, kind: RoundKind, unit: Settings) -> Measure:
        """A round of settings in the unit box, ``(n, d)``, with references by their cadence."""
        settings = self.space.from_unit(np.clip(unit, 0, 1))
        return Measure(Round(number, kind), self.plan.batch(history, number, settings, Purpose(kind.value)))

    def _candidate(self, history: History) -> Settings | None:
        """What is to be examined, in the unit box, ``(d,)``; None if nothing read near enough to the target.

        Nothing is, where as much as possible is wanted: what is read near enough to that nobody knows.
        """
        seen = self._seen(history)
        if Aim.MOST in seen.aims:
            return None
        first, place = distinct_rows(seen.settings.round(DIGITS))
        at = np.eye(len(first))[place]
        times = at.sum(axis=0)[:, None]
        benefit = BENEFIT * np.nan_to_num(self.space.noise[self.columns]) / np.sqrt(times)
        half = np.where(seen.window.one_sided, seen.scale, seen.window.half)
        outside = half - seen.window.room(at.T @ seen.readings / times)
        excess = (outside / (half + benefit)).max(axis=1, initial=0.0)
        due = self._proposed_since_their_exam(history)
        near = (row for row in np.argsort(excess, kind="stable") if excess[row] <= 1)
        return next((seen.settings[first[row]] for row in near if self._key(seen.settings[first[row]]) in due), None)

    def _proposed_since_their_exam(self, history: History) -> set[bytes]:
        rounds = {each.number for each in history.rounds if each.kind is not RoundKind.EXAM}
        rows = [each for each in history.observations if each.round in rounds]
        proposed = {self._key(self.space.to_unit(each.settings)): each.round for each in rows}
        examined = {self._key(self.space.to_unit(each.settings)): each.round for each in history.exams}
        return {key for key, round_ in proposed.items() if round_ > examined.get(key, -1)}

    def _key(self, unit: Settings) -> bytes:
        return (unit.round(DIGITS) + 0.0).tobytes()  # -0.0 is 0

    def _seen(self, history: History) -> Seen:
        conditions = Background.of(history.observations, self.space.p)
        rows = [each for each in history.observations if each.purpose.teaches]
        seq = np.array([each.seq for each in rows], int)
        background = conditions.at(seq)
        readings = _uncensored(rows, self.space) - background
        unsure = conditions.drifts(seq) * conditions.covariance(seq).diagonal()[:, None]
        return Seen(
            self.space,
            self.space.to_unit(np.array([each.settings for each in rows]).reshape(-1, self.space.d)),
            readings[:, self.columns],
            self.target.window.less(conditions.latest[self.columns]),
            np.sqrt(self.space.noise**2 + unsure)[:, self.columns],
        )

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.campaign.seed, number])


def _uncensored(rows: Sequence[Observation], space: Space) -> Readings:
    """Readings of rows ``(n, p)``; one at its ceiling stands there, since peers take no "at least"."""
    readings = np.array([each.readings for each in rows]).reshape(-1, space.p)
    censored = np.array([each.censored for each in rows], bool).reshape(-1, space.p)
    return np.where(censored, space.ceiling, readings)
