"""The inverse problem at a candidate, as plain data: what the target determines there, and what it leaves open."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from sdl.space import Readings, Settings
from strategies.answers.diagnosis import OPEN, Diagnosis, diagnose, weighted_sum
from strategies.answers.regularisation import Regularised, Truncated, regularised, truncated
from strategies.contract import InverseModel
from strategies.numerics.continuation import follow
from strategies.numerics.jacobian import Forward
from strategies.numerics.projection import project
from strategies.solving.model_answer import plugin_error_sentence, reading_noise
from strategies.solving.problem import InverseProblem

Remedy: TypeAlias = tuple[tuple[str, ...], float]
"""Channels to be fixed as well, and the standard deviation of a knob then, as a share of its range."""
MOST_FIXED = 2
"""Channels that are fixed as well, at most."""
SAME = 1e-9
"""How near settings are to those of a row, in the unit box, to be the same."""


def diagnose_answer(name: str, model: InverseModel, problem: InverseProblem, settings: Settings) -> dict[str, Any]:
    """What the forward half of a model says of the problem at settings ``(d,)`` in the unit box.

    Returns:
        Plain data: ``model``, ``error``, and if that is None ``settings``, ``noise`` of a reading by channel,
        ``jacobian`` (by channel, then knob, in units of both), ``singular`` values in units of noise over the width of
        the box, ``condition`` (None for a direction without effect), ``undetermined`` (directions in the unit box that
        the target leaves open), ``deviation`` of each knob for the noise of one reading, ``remedies`` (by knob that is
        not determined the free ``channels``, one or two, that would determine it best, fixed as well, and the
        ``deviation`` with them; None where none that were read would), ``sentences``, ``regularised`` (the settings
        nearest to the middle of the rows that noise cannot tell from the target, as ``regularise`` has them by
        ``tikhonov``, with their ``strength``), ``projected`` (the target as the model can produce it: ``settings``,
        ``readings``, ``distance`` in units of noise) and ``path`` (the straight line of readings from the row nearest
        to the target, as ``follow_path`` has it).
    """
    try:
        unit, wanted = reading_noise(model, problem), problem.target - problem.background
        diagnosis = diagnose(model.predict, settings, wanted, unit)
        near = project(model.predict, wanted[None], unit, problem.space.d)
        start = int(np.argmin((((problem.readings - wanted) / unit) ** 2).sum(axis=1)))
        return {
            "model": name,
            "error": None,
            **_describe(diagnosis, problem, _find_remedies(model, problem, diagnosis, unit)),
            "noise": problem.named(unit),
            "regularised": _keep_to_prior(regularised, model, problem),
            "projected": {
                "settings": problem.named_settings(near.settings[0]),
                "readings": problem.named(near.readings[0] + problem.background),
                "distance": float(near.distance[0]),
            },
            "path": follow_path(model, problem, problem.settings[start], problem.readings[start]),
        }
    except Exception as error:
        return {"model": name, "error": plugin_error_sentence(name, error)}


def follow_path(
    model: InverseModel, problem: InverseProblem, start: Settings, readings: Readings | None = None
) -> dict[str, Any]:
    """Where the straight line of readings leads from settings ``(d,)`` of the unit box to the target of a problem.

    Args:
        model: Fitted.
        problem: With the target.
        start: The known settings.
        readings: Known there, less the background, ``(c,)``; by default the mean of the rows that were measured there,
            and what the model expects where none was.

    Returns:
        Plain data: ``start``, ``settings`` at its end, the ``readings`` there, ``share`` of the way, ``reached``,
        ``reason``.
    """
    here = np.asarray((np.abs(problem.settings - start) <= SAME).all(axis=1))
    known = problem.readings[here].mean(axis=0) if readings is None and here.any() else readings
    unit, wanted = reading_noise(model, problem), problem.target - problem.background
    path = follow(model.predict, start, wanted, unit, known, knobs=problem.space.knob_names)
    return {
        "start": problem.named_settings(start),
        "settings": problem.named_settings(path.settings[-1]),
        "readings": problem.named(path.readings + problem.background),
        "share": path.share,
        "reached": path.reached,
        "reason": path.reason,
    }


def regularise(model: InverseModel, problem: InverseProblem) -> dict[str, Any]:
    """Settings that keep to the prior as far as noise allows, in two ways: ``tikhonov`` and ``truncated``.

    Returns:
        Plain data of each: ``settings``, ``readings``, ``misfit``, ``allowed``, ``met``, ``reason``, and ``gave_up``,
        what that costs in a sentence.
    """
    smooth, few = _keep_to_prior(regularised, model, problem), _keep_to_prior(truncated, model, problem)
    return {"tikhonov": smooth, "truncated": few}


def _keep_to_prior(
    way: Callable[[Forward, Readings, Readings, Settings], Regularised | Truncated],
    model: InverseModel,
    problem: InverseProblem,
) -> dict[str, Any]:
    prior, unit = np.clip(problem.prior.middle, 0.0, 1.0), reading_noise(model, problem)
    kept = way(model.predict, problem.target - problem.background, unit, prior)
    found = {
        "settings": problem.named_settings(kept.settings),
        "readings": problem.named(kept.readings + problem.background),
        "misfit": kept.misfit,
        "allowed": kept.allowed,
        "met": bool(kept.met),
        "reason": kept.reason,
        "gave_up": _given_up(kept, prior, problem.space.knob_names),
    }
    if isinstance(kept, Truncated):
        return found | {"kept": kept.kept}
    return found | {"strength": kept.strength if np.isfinite(kept.strength) else None}


def _given_up(kept: Regularised | Truncated, prior: Settings, knobs: Sequence[str]) -> str:
    """What keeping to the prior costs, in a sentence."""
    deviations = np.sqrt(kept.misfit)
    misses = f"The target is missed by {'less than 0.01' if deviations < 0.01 else f'{deviations:.2g}'} σ of noise"
    if not isinstance(kept, Truncated):
        apart = float(np.linalg.norm(kept.settings - prior))
        return f"{misses}, so as to lie within {apart:.2g} of the box of the settings that were to be kept."
    if not len(kept.given_up):
        return f"{misses}, and no direction was given up."
    return f"{misses}, and nothing moved along {' or '.join(weighted_sum(row, knobs) for row in kept.given_up)}."


def _find_remedies(
    model: InverseModel, problem: InverseProblem, diagnosis: Diagnosis, unit: Readings
) -> dict[str, Remedy | None]:
    """By knob that is not determined the fewest free channels whose slopes would determine it, and its deviation then.

    Of several channels, or pairs where no channel does it alone, those that determine it best.
    """
    free, at, wanted = problem.free, diagnosis.settings, problem.target - problem.background
    lacking = np.flatnonzero(np.linalg.norm(diagnosis.undetermined, axis=0) > OPEN).tolist()
    found: dict[str, Remedy | None] = {problem.space.knob_names[j]: None for j in lacking}
    noise = np.append(unit, free.noise(at)) if lacking and free.names else unit
    for size in range(1, min(len(free.names), MOST_FIXED) + 1):
        if None not in found.values():
            break
        for fixed in combinations(range(len(free.names)), size):
            more = np.full(len(free.names), np.nan)
            more[list(fixed)] = 0.0  # which ones are is all that matters
            seen = diagnose(
                lambda rows: np.hstack((model.predict(rows), free.expected(rows))), at, np.append(wanted, more), noise
            )
            named = tuple(free.names[column] for column in fixed)
            for j in lacking:
                knob = problem.space.knob_names[j]
                known, deviation = found[knob], float(seen.deviation[j])
                better = known is None or (len(known[0]) == size and deviation < known[1])
                if better and np.linalg.norm(seen.undetermined[:, j]) <= OPEN:
                    found[knob] = named, deviation
    return found


def _describe(diagnosis: Diagnosis, problem: InverseProblem, remedies: Mapping[str, Remedy | None]) -> dict[str, Any]:
    knobs, width = problem.space.knob_names, problem.space.high - problem.space.low
    slopes = [dict(zip(knobs, row, strict=True)) for row in (diagnosis.jacobian / width).tolist()]
    units = {problem.space.channels[column].unit for column in problem.space.columns(problem.names)}
    unit = units.pop().removesuffix("s") if len(units) == 1 else ""
    return {
        "settings": problem.space.named_settings(problem.space.from_unit(diagnosis.settings)),
        "jacobian": dict(zip(problem.names, slopes, strict=True)),
        "singular": diagnosis.singular.tolist(),
        "condition": diagnosis.condition if np.isfinite(diagnosis.condition) else None,
        "undetermined": [dict(zip(knobs, row, strict=True)) for row in diagnosis.undetermined.tolist()],
        "deviation": dict(zip(knobs, (diagnosis.deviation * width).tolist(), strict=True)),
        "remedies": {
            knob: best and {"channels": list(best[0]), "deviation": best[1] * float(width[knobs.index(knob)])}
            for knob, best in remedies.items()
        },
        "sentences": [
            *diagnosis.sentences(knobs, problem.names, unit or "unit"),
            *(
                f"Fix {' and '.join(best[0])} as well: {knob} within {best[1]:.2g} of its range."
                if best
                else f"No channel left free would determine {knob}, nor would two: it takes another kind of reading."
                for knob, best in remedies.items()
            ),
        ],
    }
