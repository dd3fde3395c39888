"""What one model says to a problem: settings, whether they can work, and how far from its data it was asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl import plugins
from sdl.errors import InvalidInput, SdlError, suggest_nearest
from sdl.history import LawFacts, Verdict
from sdl.interchange.file_contents import name_lines
from sdl.space import NeedsUnits, Readings, Settings
from strategies.answers.candidates import Candidate
from strategies.answers.clustering import DrawCluster
from strategies.answers.corrected_reachability import corrected_reachability
from strategies.answers.reachability import CERTAINTY
from strategies.contract import InverseModel, Remoteness, facts_of_law, stands_in
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import TrainingRows, unshared
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.models.base.noise import span
from strategies.numerics.projection import pool
from strategies.solving.backgrounds.run_backgrounds import sample_in_lights
from strategies.solving.gaps import WidenedModel
from strategies.solving.offers import Offer, choose_offers
from strategies.solving.prior import most_probable
from strategies.solving.problem import InverseProblem

GROUP: plugins.Group = "sdl.inverse_models"
MOST_DRAWS = 5000
"""All distances between draws are kept at once."""
ROUNDING = 1e-9
"""Share of a channel's range below which two readings are the same."""
MORE = 5
"""Times as many draws are asked of a model of which a prior will keep a part."""
CONTRADICTS = 0.01
"""Share of the draws below which a prior contradicts what model and target say."""


@dataclass(frozen=True, eq=False)
class ModelAnswer:
    """What one model says to a problem, with the model and its draws where it has an answer."""

    row: dict[str, Any]
    """Plain data, as ``flows.studies.solve.solve`` returns it for a model."""
    model: InverseModel | None = None
    """Fitted on all rows."""
    draws: Settings | None = None
    """For the target, ``(n, d)``, in the unit box and beyond."""


def build_model(name: str, problem: InverseProblem) -> InverseModel:
    """The registered inverse model of that name, not fitted; one with an intercept where readings have no zero.

    Args:
        name: With its options, if they are not the default: ``ipage:latent=sobol``.
        problem: For which it is to be fitted.

    Raises:
        InvalidInput: for a law that does not go with these knobs and channels.
    """
    model: InverseModel = plugins.build_from_words(GROUP, name)
    if hasattr(model, "intercept"):
        model.intercept = not problem.through_origin
    if isinstance(model, NeedsUnits):
        model.in_units(problem.columns)
    return model


def draw_settings(model: WidenedModel, problem: InverseProblem, seed: int, n: int) -> tuple[Settings, float]:
    """At most ``n`` draws of a fitted model for the target of a problem, ``(m, d)``, and what share its prior allows.

    Where something is known of the settings, some times as many are drawn, and
    those are returned that agree with it.

    Raises:
        NotFinite: for draws that are not.
        InvalidInput: for another number or width of them.
    """
    rng = np.random.default_rng([seed, 1])
    many = n if problem.prior.says_nothing else min(MORE * n, MOST_DRAWS)
    draws = sample_in_lights(model, problem.target, problem.background, problem.light, many, rng)
    draws = require_finite(draws, "draws", (many, problem.space.d))
    if problem.prior.says_nothing:
        return draws, 1.0
    kept, agreeing = problem.prior.agreeing(draws, rng)
    return draws[rng.permutation(kept)[:n]], agreeing


def describe_answer(
    name: str, model: InverseModel, problem: InverseProblem, rows: int, draws: Settings, agreeing: float = 1.0
) -> ModelAnswer:
    """What the draws ``(n, d)`` of a model that learned from so many rows come to; a prior kept that share of them."""
    row = {"model": name, "error": None, "rows": rows, "agreeing": agreeing, **_offers(model, problem, draws)}
    row["law"] = None if (facts := facts_of_law(model)) is None else facts.to_json()
    return ModelAnswer(row | {"remoteness": _remoteness(model, problem)}, model, draws)


def no_answer(name: str, error: BaseException) -> ModelAnswer:
    """That a model has no answer, and why."""
    return ModelAnswer({"model": name, "error": plugin_error_sentence(name, error)})


def plugin_error_sentence(name: str, error: BaseException) -> str:
    """What a person should read of an error in a plug-in: our own are sentences, others need their kind to be said."""
    if isinstance(error, SdlError):
        return str(error)
    return f"the plug-in {name!r} {failure_sentence(error).removeprefix('it ')}"


def reading_noise(model: InverseModel, problem: InverseProblem) -> Readings:
    """Standard deviation of one reading, ``(c,)``: as stated, else what model or rows leave over, whichever is less."""
    stated = problem.space.noise[problem.space.columns(problem.names)]
    left = np.std(problem.readings - model.predict(problem.settings.copy()), axis=0)
    # A model that meets every row has only rounding left, of which no search can make a unit.
    least = ROUNDING * span(problem.readings)
    return np.asarray(np.where(np.isnan(stated), np.maximum(np.minimum(left, problem.posterior.noise), least), stated))


def choose_models(models: Sequence[str], n: int) -> list[str]:
    """Names of the models asked for, each once; for none all that are registered and have a say on ``n`` rows.

    A law is asked by its name alone: that it holds is for a person to say.
    """
    return list(dict.fromkeys(models or (name for name in plugins.names(GROUP) if not _silent(name, n))))


def _silent(name: str, n: int) -> bool:
    """Whether a model is a law, or would let another one speak for it, which is asked anyway; a failure says so."""
    try:
        model = plugins.build(GROUP, name)
        return isinstance(model, NeedsUnits) or stands_in(model, n)
    except Exception:  # a model is anybody's code
        return False


def find_option_faults(models: Sequence[str], seed: int, draws: int) -> list[str]:
    """What is wrong with the options that every question to models has."""
    faults = find_model_faults(models)
    if seed < 0:
        faults.append(f"seed needs a whole number from 0, got {seed}")
    if not 1 <= draws <= MOST_DRAWS:
        faults.append(f"draws needs a whole number from 1 to {MOST_DRAWS}, got {draws}")
    return faults


def find_model_faults(models: Sequence[str]) -> list[str]:
    """Models that there are not, and options that they have not, each model as ``build_model`` takes it."""
    known, faults = plugins.names(GROUP), list[str]()
    for words in dict.fromkeys(models):
        try:
            name, options = plugins.read_named(GROUP, words)
            if plugins.current_name(GROUP, name) not in known:
                faults.append(f"unknown inverse model {name!r}{suggest_nearest(name, known)}")
            elif options:
                plugins.build_from_words(GROUP, words)
        except InvalidInput as error:
            faults += error.faults
    return faults


def collect_warnings(
    rows: Iterable[Mapping[str, Any]], of_conditions: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """What a person should know of answers before any figure, each a ``text`` and its ``tone``: ``bad`` or ``open``.

    Args:
        rows: Of the models.
        of_conditions: What is to be said of the conditions in which all of them are asked.
    """
    rows = list(rows)
    lacking = [f"{row['model']} has no answer: {row['error']}" for row in rows if row["error"] is not None]
    rows, notes = [row for row in rows if row["error"] is None], [*map(dict, of_conditions)]
    if far := [row["model"] for row in rows if not row["reachable"]]:
        text = "no setting of the knobs gives these readings together; the nearest that can be had stands in the table"
        text += _seen_words(rows[0]["remoteness"]["seen"])
        notes.append({"tone": "bad", "text": f"NOT REACHABLE by {', '.join(far)}: {text}"})
    remote: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for row in rows:
        notes += _law_warnings(row)
        if row["remoteness"]["warning"]:
            remote.setdefault(row["remoteness"]["warning"], []).append(row["model"])
        if row["candidates"] and row["candidates"][0]["misses"]:
            missing.setdefault(", ".join(row["candidates"][0]["misses"]), []).append(row["model"])
    notes += [{"tone": "bad", "text": f"OUT OF DOMAIN of {', '.join(names)}: {text}"} for text, names in remote.items()]
    if apart := [row["model"] for row in rows if row["candidates"] and row["candidates"][0]["remote"] > 1]:
        text = "no row was measured near the settings of the first offer, so what is said of them is a guess"
        notes.append({"tone": "bad", "text": f"SETTINGS IN A GAP of the rows, {', '.join(apart)}: {text}"})
    if against := [row["model"] for row in rows if row["agreeing"] < CONTRADICTS]:
        text = "hardly any draw agrees with both, so the offers are a compromise of little weight"
        notes.append({"tone": "bad", "text": f"PRIOR AGAINST TARGET by {', '.join(against)}: {text}"})
    for channels, names in missing.items():
        text = "the model's own prediction there is out of the tolerance, so take it for a hint and measure near it"
        notes.append({"tone": "open", "text": f"MISSED at {channels} by the first offer of {', '.join(names)}: {text}"})
    idle: dict[str, list[str]] = {}
    for row in rows:
        if row.get("idle"):
            idle.setdefault(", ".join(row["idle"]), []).append(row["model"])
    for channels, names in idle.items():
        text = "on rows not seen it does no better than their mean, so what it offers is a guess"
        notes.append({"tone": "bad", "text": f"EXPLAINS NOTHING of {channels}, {', '.join(names)}: {text}"})
    if lost := [row["model"] for row in rows if row["reachable"] and row["nearest"]]:
        text = f"every draw of {', '.join(lost)} lies outside the bounds; the nearest inside stands in the table"
        notes.append({"tone": "open", "text": text})
    return notes + [{"tone": "open", "text": text} for text in lacking]


def _law_warnings(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a person should know of a law: that it does not hold for the rows, or which parameters they do not tell."""
    words = LawFacts.from_json(row.get("law") or {}).words
    told = f"; determined together: {words['determined together']}" if "determined together" in words else ""
    tones = {"does not hold": ("bad", ""), "not determined": ("open", told)}
    return [
        {"tone": tone, "text": f"LAW {about.upper()}, {row['model']}: {words[about]}{more}"}
        for about, (tone, more) in tones.items()
        if about in words
    ]


def note_gaps(rows: Iterable[Mapping[str, Any]], n: int) -> list[str]:
    """Which models learned from more than the ``n`` complete rows."""
    more = [f"{row['model']} ({row['rows'] - n})" for row in rows if row["error"] is None and row["rows"] > n]
    return [f"rows in which some channel was not read taught these models too: {', '.join(more)}"] if more else []


def _offers(model: InverseModel, problem: InverseProblem, draws: Settings) -> dict[str, Any]:
    """Candidates if the model can reach the target, else the nearest that it can reach."""
    settings, readings, reachable = _reach(model, problem, draws)
    chosen = choose_offers(model, problem, draws) if reachable else []
    if reachable and not chosen and problem.window.holds(readings[None])[0]:  # all draws are forbidden, and this hits
        chosen = choose_offers(model, problem, settings[None])
    offers = _describe_candidates(model, problem, chosen)
    nearest_ = {
        "settings": problem.named_settings(settings),
        "readings": problem.named(readings),
        "free": problem.free.foretold(settings),
    }
    verdict = "REACHABLE" if reachable else Verdict.NOT_REACHABLE.value
    refused = float(1 - problem.allowed(draws).mean())
    return {
        "reachable": reachable,
        "verdict": verdict,
        "candidates": offers,
        "nearest": None if offers else nearest_,
        "refused": refused,
    }


def _reach(model: InverseModel, problem: InverseProblem, draws: Settings) -> tuple[Settings, Readings, bool]:
    """The nearest settings ``(d,)`` to the target, the readings there, and whether that is near enough.

    Where knobs that follow from the others would leave their bounds there, the nearest that is allowed is sought among
    the rows, the draws, and points all over the box.
    """
    rows = known_rows(model, problem)
    near, readings, _ = corrected_reachability(model, problem.window, problem.background, rows)
    if problem.allowed(near.settings[None])[0]:
        return near.settings, readings, near.reachable
    places = np.vstack((problem.settings, draws, pool(problem.space.d)))
    places = places[problem.allowed(places)]
    forward = CorrectedModel.of(model, rows, problem.target - problem.background)
    expected, doubt = forward.predict(places) + problem.background, forward.missed.at(places)[1]
    off = problem.off(expected)
    possible = bool((off <= 1 + CERTAINTY * doubt / problem.unit).all(axis=1).any())
    at = int((np.maximum(off, 0.0) ** 2).sum(axis=1).argmin())
    return places[at], expected[at], near.reachable and possible


def known_rows(model: InverseModel, problem: InverseProblem) -> TrainingRows:
    """The rows of a problem, for what a model misses nearby."""
    still = np.zeros(problem.readings.shape[1])
    return TrainingRows(problem.settings, problem.readings, reading_noise(model, problem), still, unshared)


def first_offer(row: Mapping[str, Any], problem: InverseProblem) -> Settings:
    """The likeliest candidate of a model, or the nearest that it can reach, in the unit box, ``(d,)``."""
    offer = (row["candidates"] or [row["nearest"]])[0]["settings"]
    unit = problem.space.to_unit([offer[name] for name in problem.space.knob_names])
    return np.asarray(np.clip(unit, 0, 1))


def _describe_candidates(model: InverseModel, problem: InverseProblem, offers: Sequence[Offer]) -> list[dict[str, Any]]:
    """What is offered as plain data: of each answer a draw, the mean of its draws, and its most probable settings."""
    if not offers:
        return []
    starts = np.stack([offer.answer.settings for offer in offers])
    wanted, unit = problem.target - problem.background, reading_noise(model, problem)
    peaks = most_probable(model.predict, wanted, unit, problem.prior, starts)
    peaks = np.where(problem.allowed(peaks)[:, None], peaks, starts)
    means = np.stack([offer.mean for offer in offers])
    expected = [model.predict(places.copy()) + problem.background for places in (means, peaks)]
    return [
        {
            **describe_offer(problem, offer.answer, offer.readings),
            "chance": offer.chance,
            "mean": _describe_place(problem, means[at], expected[0][at]),
            "most_probable": _describe_place(problem, peaks[at], expected[1][at]),
        }
        for at, offer in enumerate(offers)
    ]


def _describe_place(problem: InverseProblem, settings: Settings, readings: Readings) -> dict[str, Any]:
    """Settings ``(d,)`` of the unit box and what a model expects there ``(c,)``, as plain data."""
    return {
        "settings": problem.named_settings(settings),
        "readings": problem.named(readings),
        "misses": problem.missed(readings),
    }


def describe_offer(problem: InverseProblem, offer: DrawCluster | Candidate, readings: Readings) -> dict[str, Any]:
    """What is offered, with the readings expected there ``(c,)``, as plain data."""
    return {
        **_describe_place(problem, offer.settings, readings),
        "spread": problem.named_spread(offer.spread),
        "share": offer.share,
        "free": problem.free.foretold(offer.settings),
        "remote": float(problem.remote(offer.settings[None])[0]),
    }


def describe_data(problem: InverseProblem) -> dict[str, Any]:
    """What every model may learn from: complete ``rows``, the ``domain`` of knobs, and the ``ranges`` of what was read.

    Ranges are of knobs as they were set, and of channels less their background; ``conditions`` have by name what is
    ``given`` and what the rows had, ``low`` and ``high``.
    """
    every = problem.ties.every
    columns = [*zip(every.knob_names, problem.measured.T, strict=True)]
    columns += zip(problem.names, problem.readings.T, strict=True)
    return {
        "rows": len(problem.settings),
        "domain": {knob.name: [knob.low, knob.high] for knob in every.knobs},
        "ranges": {name: [float(values.min()), float(values.max())] for name, values in columns},
        "conditions": problem.conditions.plain(),
    }


def describe_target(problem: InverseProblem) -> dict[str, Any]:
    """What is wanted of each channel, as plain data: the reading and its tolerance, None where there is one bound."""
    window = problem.window
    intervals = {name: window[place] for place, name in enumerate(problem.names)}
    return {
        "target": {name: interval.wanted for name, interval in intervals.items()},
        "tolerance": {name: None if interval.one_sided else interval.above for name, interval in intervals.items()},
        "wanted": {name: str(interval) for name, interval in intervals.items()},
    }


def describe_nearest_row(problem: InverseProblem) -> dict[str, Any]:
    """The measured row that reads nearest to the target, in the light of the answers, as plain data.

    Of rows whose settings are forbidden by now only where all are.
    """
    readings, allowed = problem.readings + problem.background, problem.allowed(problem.settings)
    at = int(np.where(allowed | ~allowed.any(), problem.off(readings).max(axis=1), np.inf).argmin())
    return {
        "line": int(problem.lines[at]),
        "settings": problem.ties.every.named_settings(problem.measured[at]),
        "readings": problem.named(readings[at]),
        "misses": problem.missed(readings[at]),
        "free": problem.free.foretold(problem.settings[at]),
        "chance": float(problem.chance(problem.settings[at : at + 1])[0]),
    }


def _remoteness(model: InverseModel, problem: InverseProblem) -> dict[str, Any]:
    remoteness = model.remoteness(problem.target - problem.background)
    channels = [problem.names[column] for column in remoteness.channels]
    out = not remoteness.score <= 1
    return {
        "score": remoteness.score if np.isfinite(remoteness.score) else None,
        "reason": remoteness.reason,
        "channels": channels,
        "seen": problem.seen,
        "warning": _warning(remoteness, channels) + _seen_words(problem.seen) if out else None,
    }


def _warning(remoteness: Remoteness, channels: Sequence[str]) -> str:
    where = f" at {', '.join(channels)}" if channels else ""
    score = f"remoteness {remoteness.score:.2g}, out above 1"
    return f"the target lies {remoteness.reason}{where} ({score}), so an answer is a guess"


def _seen_words(lines: Sequence[int]) -> str:
    """That rows without settings have readings like the target, which are so many lines of the file."""
    return f"; such readings were seen, with what settings is not known ({name_lines(lines)})" if lines else ""
