"""What one model says to a problem: settings, whether they can work, and how far from its data it was asked."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl import plugins
from sdl.errors import SdlError, nearest
from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.answers.candidates import Candidate
from strategies.answers.clustering import DrawCluster, cluster_draws, refused
from strategies.answers.corrected_reachability import corrected_reachability
from strategies.contract import InverseModel, Remoteness, stands_in
from strategies.correction.kriging import TrainingRows, unshared
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.solving.problem import Problem

GROUP: plugins.Group = "sdl.inverse_models"
MOST_DRAWS = 5000
"""All distances between draws are kept at once."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model says, with the model and its draws where it says something."""

    said: dict[str, Any]
    """Plain data, as ``flows.solving.solve`` returns it for a model."""
    model: InverseModel | None = None
    """Fitted on all rows."""
    draws: Settings | None = None
    """For the target, ``(n, d)``, in the unit box and beyond."""


def answer(name: str, problem: Problem, seed: int, draws: int) -> Answer:
    """What one model says to a problem, or why it says nothing.

    Whatever a plug-in raises ends in a sentence: a stranger's mistake must not keep the others from answering.
    """
    try:
        model: InverseModel = plugins.build(GROUP, name)
        readings, settings = problem.rows(model)
        started = time.perf_counter()
        model.fit(readings, settings)
        fitted = time.perf_counter()
        drawn = model.sample(problem.target - problem.background, draws, np.random.default_rng([seed, 1]))
        drawn = require_finite(drawn, "draws", (draws, problem.space.d))
        took = {"fit_s": fitted - started, "draw_s": time.perf_counter() - fitted}
        found = {"rows": len(settings), **_offered(model, problem, drawn), "remoteness": _remote(model, problem)}
        return Answer({"model": name, "error": None, **found, **took}, model, drawn)
    except (Exception, SystemExit) as error:
        return Answer({"model": name, "error": sentence(name, error)})


def sentence(name: str, error: BaseException) -> str:
    """What a person should read of an error in a plug-in: our own are sentences, others need their kind to be said."""
    if isinstance(error, SdlError):
        return str(error)
    return f"the plug-in {name!r} {failure_sentence(error).removeprefix('it ')}"


def noise(model: InverseModel, problem: Problem) -> Readings:
    """Standard deviation of one reading, ``(c,)``: as stated for the channel, else what the model leaves over."""
    stated = problem.space.noise[problem.space.columns(problem.names)]
    left = np.std(problem.readings - model.predict(problem.settings.copy()), axis=0)
    return np.asarray(np.where(np.isnan(stated), left, stated))


def named(models: Sequence[str], n: int) -> list[str]:
    """Names of the models asked for, each once; for none all that are registered and have a say on ``n`` rows."""
    return list(dict.fromkeys(models or (name for name in plugins.names(GROUP) if not _silent(name, n))))


def _silent(name: str, n: int) -> bool:
    """Whether a model would let another one speak for it, which is asked anyway; one that fails says so itself."""
    try:
        return stands_in(plugins.build(GROUP, name), n)
    except Exception:  # a model is anybody's code
        return False


def faults(models: Sequence[str], seed: int, draws: int) -> list[str]:
    """What is wrong with the options that every question to models has."""
    known = plugins.names(GROUP)
    found = [f"unknown inverse model {name!r}{nearest(name, known)}" for name in models if name not in known]
    if seed < 0:
        found.append(f"seed needs a whole number from 0, got {seed}")
    if not 1 <= draws <= MOST_DRAWS:
        found.append(f"draws needs a whole number from 1 to {MOST_DRAWS}, got {draws}")
    return found


def warnings(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What a person should know of answers before any figure, each a ``text`` and its ``tone``: ``bad`` or ``open``."""
    rows = list(rows)
    lacking = [f"{row['model']} has no answer: {row['error']}" for row in rows if row["error"] is not None]
    rows, said = [row for row in rows if row["error"] is None], list[dict[str, str]]()
    if far := [row["model"] for row in rows if not row["reachable"]]:
        text = "no setting of the knobs gives these readings together; the nearest that can be had stands in the table"
        said.append({"tone": "bad", "text": f"NOT REACHABLE by {', '.join(far)}: {text}"})
    remote: dict[str, list[str]] = {}
    for row in rows:
        if row["remoteness"]["warning"]:
            remote.setdefault(row["remoteness"]["warning"], []).append(row["model"])
    said += [{"tone": "bad", "text": f"OUT OF DOMAIN of {', '.join(names)}: {text}"} for text, names in remote.items()]
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row["candidates"] and row["candidates"][0]["misses"]:
            missing.setdefault(", ".join(row["candidates"][0]["misses"]), []).append(row["model"])
    for channels, names in missing.items():
        text = "the model's own prediction there is out of the tolerance, so take it for a hint and measure near it"
        said.append({"tone": "open", "text": f"MISSED at {channels} by the first offer of {', '.join(names)}: {text}"})
    if lost := [row["model"] for row in rows if row["reachable"] and row["nearest"]]:
        text = f"every draw of {', '.join(lost)} lies outside the bounds; the nearest inside stands in the table"
        said.append({"tone": "open", "text": text})
    return said + [{"tone": "open", "text": text} for text in lacking]


def gaps(rows: Iterable[Mapping[str, Any]], n: int) -> list[str]:
    """Which models learned from more than the ``n`` complete rows."""
    more = [f"{row['model']} ({row['rows'] - n})" for row in rows if row["error"] is None and row["rows"] > n]
    return [f"rows in which some channel was not read taught these models too: {', '.join(more)}"] if more else []


def _offered(model: InverseModel, problem: Problem, drawn: Settings) -> dict[str, Any]:
    """Candidates if the model can reach the target, else the nearest that it can reach."""
    near, reachable = _nearest(model, problem)
    found = [_candidate(model, problem, each) for each in cluster_draws(drawn)] if reachable else []
    verdict = "REACHABLE" if reachable else Verdict.NOT_REACHABLE.value
    offer = {"candidates": found, "nearest": None if found else near, "refused": refused(drawn)}
    return {"reachable": reachable, "verdict": verdict, **offer}


def _nearest(model: InverseModel, problem: Problem) -> tuple[dict[str, Any], bool]:
    """Where the model comes nearest to the target, and whether that may be near enough."""
    known = rows(model, problem)
    found, readings, _ = corrected_reachability(model, problem.target, problem.tolerance, problem.background, known)
    settings, named = problem.named_settings(found.settings), problem.named(readings)
    return {"settings": settings, "readings": named}, found.reachable


def rows(model: InverseModel, problem: Problem) -> TrainingRows:
    """The rows of a problem, for what a model misses nearby."""
    still = np.zeros(problem.readings.shape[1])
    return TrainingRows(problem.settings, problem.readings, noise(model, problem), still, unshared)


def _candidate(model: InverseModel, problem: Problem, candidate: DrawCluster) -> dict[str, Any]:
    return named_offer(problem, candidate, model.predict(candidate.settings[None])[0] + problem.background)


def named_offer(problem: Problem, offer: DrawCluster | Candidate, readings: Readings) -> dict[str, Any]:
    """What is offered, with the readings expected there ``(c,)``, as plain data."""
    width = problem.space.high - problem.space.low
    off = np.abs(readings - problem.target) > problem.tolerance
    return {
        "settings": problem.named_settings(offer.settings),
        "spread": problem.space.named_settings(offer.spread * width),
        "share": offer.share,
        "readings": problem.named(readings),
        "misses": [name for name, missed in zip(problem.names, off, strict=True) if missed],
    }


def _remote(model: InverseModel, problem: Problem) -> dict[str, Any]:
    found = model.remoteness(problem.target - problem.background)
    channels = [problem.names[column] for column in found.channels]
    out = not found.score <= 1
    return {
        "score": found.score if np.isfinite(found.score) else None,
        "reason": found.reason,
        "channels": channels,
        "warning": _warning(found, channels) if out else None,
    }


def _warning(found: Remoteness, channels: Sequence[str]) -> str:
    where = f" at {', '.join(channels)}" if channels else ""
    return f"the target lies {found.reason}{where} (remoteness {found.score:.2g}, out above 1), so an answer is a guess"
